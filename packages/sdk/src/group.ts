import type { NotaryInfo, PublicKeyText } from "./transaction.ts";

/** What all members of a group agree on, signed by whoever runs the group. A transaction names the parameters it was built under by hash. */
export interface GroupParameters {
  readonly groupId: string;
  /** From 1, never down. */
  readonly epoch: number;
  /** Milliseconds since 1970. */
  readonly modifiedAt: number;
  readonly minimumPlatformVersion: number;
  readonly notaries: readonly NotaryInfo[];
  /** `ext.…` entries that the group has agreed on; absent when there are none. */
  readonly extensions?: Readonly<Record<string, string>>;
}

/** The canonical bytes of `GroupParameters`, as signed; their SHA-256 is the hash that transactions name. */
export interface SignedGroupParameters {
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
  readonly signedBy: PublicKeyText;
}
