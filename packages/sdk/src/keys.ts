// What flow code may do with keys. Private keys never come near it: the platform signs, with this member's own ledger keys,
// and only ever under a preimage that begins with the purpose `app` and this virtual node. So no bytes that an author chooses can
// pass for a transaction, for a notary's word, or for what was signed on another virtual node.

import type { Data } from "@bowline/base";
import type { SignatureSpec } from "./signature-specs.ts";
import type { Syscall } from "./syscalls.ts";
import type { PublicKeyText } from "./transaction.ts";

/** Made by `keys.sign`; `signatures.verify` of `@bowline/sdk/crypto` checks it, in flows and contracts. */
export interface DigitalSignature {
  readonly by: PublicKeyText;
  /** Short hash of the virtual node on which it was made: part of what is signed. */
  readonly vnode: string;
  readonly spec: SignatureSpec;
  readonly signature: Uint8Array;
}

export interface Keys {
  /** `spec` is the default of the key's scheme where nothing is said. Fails with `crypto.keyUnknown` for a key that is not this member's. */
  sign(bytes: Uint8Array, key: PublicKeyText, spec?: SignatureSpec): Promise<DigitalSignature>;
  /** Those of `keys` that this member can sign with; of a composite key, those of its leaves. In the order given. */
  mine(keys: readonly PublicKeyText[]): Promise<readonly PublicKeyText[]>;
  /** A key that stands for several, of which enough must sign. Fails with `crypto.compositeInvalid`. */
  compose(threshold: number, children: readonly { readonly key: PublicKeyText; readonly weight: number }[]): Promise<PublicKeyText>;
}

export const keysOf = (ask: (call: Syscall) => Promise<Data>): Keys => ({
  sign: (bytes, key, spec) =>
    ask({
      kind: "keys.sign",
      key,
      bytes: bytes.slice(),
      ...(spec === undefined ? {} : { spec }),
    }) as Promise<unknown> as Promise<DigitalSignature>,
  mine: (keys) => ask({ kind: "keys.mine", keys: [...keys] }) as Promise<readonly string[]>,
  compose: (threshold, children) =>
    ask({ kind: "keys.compose", threshold, children: children.map(({ key, weight }) => ({ key, weight })) }) as Promise<string>,
});
