import type { SecureHash, ShortHash } from "./bytes.ts";
import type { X500Name } from "./name.ts";

/** Who a virtual node is: a member's name in one application network. */
export interface HoldingIdentity {
  readonly x500Name: X500Name;
  /** A UUID, lower case. */
  readonly groupId: string;
  readonly fullHash: SecureHash;
  /** The first twelve digits of `fullHash`: how REST names a virtual node. */
  readonly shortHash: ShortHash;
}
