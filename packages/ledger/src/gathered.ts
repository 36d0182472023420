// What two parties gather of a transaction before anybody signs: one has begun, the other adds.
//
// Guarantees: nothing that was there is changed or taken away, a notary and a time window that are set among it, whatever a peer
// says; what came of a peer is as much as a transaction can hold, and names keys and notaries that are such.

import { badRequest, type Data, decoder, encode, equalBytes, type SecureHash, type X500Name } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import type { StateRef } from "@bowline/sdk";
import type { GatheredTransaction } from "@bowline/sdk/transaction-rules";
import Type from "typebox";
import { canonicalName, checkedKey, EncumbranceTag, Name, outputInfoOf, PublicKey, StateReference, Time, Version } from "./leaves.ts";
import { GROUP_LEAVES_MAX, TRANSACTION_BYTES_MAX } from "./limits.ts";
import type { ResolvedState } from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;
const MANY = { maxItems: GROUP_LEAVES_MAX } as const;
const Anything = Type.Unsafe<Data>(Type.Unknown());
export const Gathered = Type.Unsafe<GatheredTransaction>(
  Type.Object(
    {
      notary: Type.Optional(Name),
      from: Type.Optional(Time),
      until: Type.Optional(Time),
      inputs: Type.Array(StateReference, MANY),
      references: Type.Array(StateReference, MANY),
      outputs: Type.Array(
        Type.Object({ type: Name, version: Version, contract: Name, data: Anything, encumbrance: Type.Optional(EncumbranceTag) }, STRICT),
        MANY,
      ),
      commands: Type.Array(Type.Object({ type: Name, contract: Name, data: Anything }, STRICT), MANY),
      signatories: Type.Array(PublicKey, MANY),
    },
    STRICT,
  ),
);
const readGathered = decoder(Gathered, "builder");
const LISTS = ["inputs", "references", "outputs", "commands", "signatories"] as const;

/** Throws where it is no part of a transaction: `input.invalid`, `ledger.builderTooLarge`, or what is wrong with a key or a name. */
export function checkGathered(came: unknown): GatheredTransaction {
  const gathered = readGathered(came);
  const size = bytesOf(gathered).length;
  if (size > TRANSACTION_BYTES_MAX)
    throw badRequest("ledger.builderTooLarge", `A builder has ${size} bytes, and a transaction at most ${TRANSACTION_BYTES_MAX}.`);
  if (gathered.notary !== undefined) canonicalName(gathered.notary);
  for (const key of gathered.signatories) checkedKey(key);
  return gathered;
}

/** What `now` has more than `before`. Throws `ledger.builderChanged` where it has anything less, or other. */
export function additionsTo(before: GatheredTransaction, now: GatheredTransaction): GatheredTransaction {
  if (before.notary !== undefined && now.notary !== before.notary) throw changed(`its notary is ${before.notary}`);
  if (hasWindow(before) && (now.from !== before.from || now.until !== before.until)) throw changed("its time window is set");
  for (const list of LISTS)
    if (!equalBytes(encode(now[list].slice(0, before[list].length) as unknown as Data), encode(before[list] as unknown as Data)))
      throw changed(`its ${list} stay as they came, in their order, with what is added after them`);
  const { notary, from, until } = now;
  return {
    ...(before.notary !== undefined || notary === undefined ? {} : { notary }),
    ...(hasWindow(before) || from === undefined ? {} : { from }),
    ...(hasWindow(before) || until === undefined ? {} : { until }),
    inputs: now.inputs.slice(before.inputs.length),
    references: now.references.slice(before.references.length),
    outputs: now.outputs.slice(before.outputs.length),
    commands: now.commands.slice(before.commands.length),
    signatories: now.signatories.slice(before.signatories.length),
  };
}

/** With what a peer added; of what is there already nothing is added again. Throws `ledger.builderChanged`. */
export function withAdditions(own: GatheredTransaction, additions: GatheredTransaction): GatheredTransaction {
  if (own.notary !== undefined && additions.notary !== undefined) throw changed(`its notary is ${own.notary}`);
  if (hasWindow(own) && hasWindow(additions)) throw changed("its time window is set");
  return checkGathered({
    ...own,
    ...additions,
    inputs: once(own.inputs, additions.inputs),
    references: once(own.references, additions.references),
    outputs: [...own.outputs, ...additions.outputs],
    commands: [...own.commands, ...additions.commands],
    signatories: once(own.signatories, additions.signatories),
  });
}

/** The notary of states that are to be in one transaction, and of that if it has one. Throws `ledger.builderNotaryDiffers`. */
export function notaryOfAll(notary: X500Name | undefined, states: readonly ResolvedState[]): X500Name | undefined {
  const [one, other] = new Set([...(notary === undefined ? [] : [notary]), ...states.map(({ info }) => outputInfoOf(info).notary)]);
  if (other === undefined) return one;
  throw badRequest(
    "ledger.builderNotaryDiffers",
    `What is to be one transaction is under one notary, and not under ${one} and ${other} both.`,
  );
}

export const refsOf = ({ inputs, references }: GatheredTransaction): readonly StateRef[] => [...inputs, ...references];

/** Names it where a transaction's id would stand. */
export const digestOf = (gathered: GatheredTransaction): SecureHash => secureHashOf(bytesOf(gathered));

const bytesOf = (gathered: GatheredTransaction): Uint8Array => encode(gathered as unknown as Data);
const hasWindow = ({ from, until }: GatheredTransaction): boolean => from !== undefined || until !== undefined;
const once = (own: readonly string[], added: readonly string[]): readonly string[] => [...new Set([...own, ...added])];
const changed = (reason: string) =>
  badRequest("ledger.builderChanged", `A builder that is sent can be added to, and not be changed: ${reason}.`);
