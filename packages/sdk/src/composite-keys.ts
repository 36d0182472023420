// Composite keys in flows and contracts: a key that stands for several, of which enough must sign. It stands wherever a key does, among the
// participants of a state and the signatories of a transaction too. The text is the platform's own (`@bowline/base/composite-key`).
//
// A contract asks `compositeKeys.isFulfilledBy(owner, transaction.signatories)`: that the signatories have signed is the platform's to see to.

import { compositeKeysOver } from "@bowline/base/composite-key";
import { parseKey } from "./public-keys.ts";
import { refusable } from "./refusals.ts";
import type { PublicKeyText } from "./transaction.ts";

export interface CompositeKey {
  /** What the weights of those who sign must add up to. */
  readonly threshold: number;
  readonly children: readonly { readonly key: PublicKeyText; readonly weight: number }[];
}

const trees = compositeKeysOver(parseKey);

/** Each throws `crypto.compositeInvalid` or `key.malformed` on text that is no key. */
export const compositeKeys = /* @__PURE__ */ Object.freeze({
  /** One tree has one text, whatever the order of its children. */
  compose: (composite: CompositeKey): PublicKeyText => refusable(() => trees.compose(composite)),
  /** Undefined for a simple key. */
  decompose: (key: PublicKeyText): CompositeKey | undefined => refusable(() => trees.decompose(key)),
  /** The simple keys of a key: of a simple one only itself. */
  leaves: (key: PublicKeyText): readonly PublicKeyText[] => refusable(() => trees.leaves(key)),
  /** Whether those who sign are enough for a key. A composite key among them signs as itself: its own threshold is seen to where it stands. */
  isFulfilledBy: (key: PublicKeyText, signers: readonly PublicKeyText[]): boolean => refusable(() => isFulfilled(key, new Set(signers))),
} as const);

function isFulfilled(key: PublicKeyText, signers: ReadonlySet<PublicKeyText>): boolean {
  if (signers.has(key)) return true;
  const composite = trees.decompose(key);
  if (composite === undefined) return false;
  const signed = composite.children.filter((child) => isFulfilled(child.key, signers));
  return signed.reduce((sum, { weight }) => sum + weight, 0) >= composite.threshold;
}
