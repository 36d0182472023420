// Composite keys (`@bowline/base/composite-key`) over the keys that this package knows, with a memory of those it has read.

import { compositeKeysOver, type ParsedCompositeKey } from "@bowline/base/composite-key";
import { Lru } from "./lru.ts";
import { schemeOf } from "./schemes.ts";

export type { CompositeKey, WeightedKey } from "@bowline/base/composite-key";

const PARSED_MAX = 1_000;

export const {
  compose: composeKeys,
  decompose: decomposeKey,
  leaves: leafKeys,
  isFulfilledBy,
} = compositeKeysOver(schemeOf, new Lru<string, ParsedCompositeKey>(PARSED_MAX));
