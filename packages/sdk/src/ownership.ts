// States that somebody has issued, and states that somebody owns: whose signature which change needs. A key may stand for
// several; the platform sees to it that enough of them sign.

import type { Data } from "@bowline/base";
import * as Type from "typebox";
import { type Constraint, isSignedBy, unless } from "./change.ts";
import type { PublicKeyText } from "./transaction.ts";

/** Who issues or owns a state, by name for readers and queries, by key for contracts. That the key is the member's, flows check. */
export const Party = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 512, description: "An X.500 name." }),
    key: Type.String({ minLength: 1, maxLength: 8_192, description: "The ledger key that signs, or one that stands for several." }),
  },
  { additionalProperties: false },
);
export type Party = Type.Static<typeof Party>;

/**
 * Who issues a state signs when it is created and when it is deleted. An update makes nobody an issuer who does not sign.
 *
 * @example issuable(({ issuer }) => issuer.key)
 */
export const issuable = <T extends Data>(issuerOf: (state: T) => PublicKeyText): Constraint<T> => ({
  broken(change) {
    const [consumed, created] = [change.consumed, change.created].map((states) => states.map(({ state }) => issuerOf(state.data)));
    const signed = (key: PublicKeyText): boolean => isSignedBy(change, key);
    switch (change.kind) {
      case "create":
        return unless(created?.every(signed) === true, "issuable.createUnsigned", "the issuer of what is created signs");
      case "update":
        return unless(
          created?.every((key) => consumed?.includes(key) || signed(key)) === true,
          "issuable.issuerAppears",
          "an issuer that had issued nothing of what is consumed signs",
        );
      case "delete":
        return unless(consumed?.every(signed) === true, "issuable.deleteUnsigned", "the issuer of what is deleted signs");
    }
  },
});

/**
 * Nothing is taken from its owner without the owner's signature.
 *
 * @example ownable(({ owner }) => owner.key)
 */
export const ownable = <T extends Data>(ownerOf: (state: T) => PublicKeyText): Constraint<T> => ({
  broken: (change) =>
    unless(
      change.consumed.every(({ state }) => isSignedBy(change, ownerOf(state.data))),
      "ownable.ownerUnsigned",
      "the owner of what is consumed signs",
    ),
});
