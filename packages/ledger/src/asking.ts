// How the ledger's flows ask: other roles by typed service calls, peers by raw sessions (they are the author's, by id), and
// failures of the pure modules as failures of the flow.

import { BowlineError, type Data, type Decoder, decode, decoder, encode, type X500Name } from "@bowline/base";
import { leafKeys } from "@bowline/crypto";
import {
  type FlowContext,
  type FlowDefinition,
  FlowError,
  failureOf,
  flow,
  type SessionId,
  type StateDescription,
  type TransactionView,
} from "@bowline/sdk";
import { keysAsked, sees } from "@bowline/sdk/visibility";
import Type, { type Static, type TSchema } from "typebox";
import { Bytes } from "./leaves.ts";
import type { LedgerServices, VaultWrite, VisibleOutput } from "./ports.ts";
import { decodeSigned, encodeSigned, type SignedTransaction } from "./transaction.ts";
import { Description, type VerificationReply } from "./verification.ts";

/** A session of the author's flow. */
export const Party = Type.Object(
  { id: Type.String(), counterparty: Type.Unsafe<X500Name>(Type.String()) },
  { additionalProperties: false },
);
export type Party = Static<typeof Party>;

export async function ask<Name extends keyof LedgerServices>(
  context: FlowContext,
  service: Name,
  request: LedgerServices[Name]["request"],
): Promise<LedgerServices[Name]["reply"]> {
  // The reply is another role's, of this platform, and as trusted as this code.
  return (await context.syscall({ kind: "service", service, request: request as Data })) as unknown as LedgerServices[Name]["reply"];
}

export async function writeVault(context: FlowContext, ...writes: readonly VaultWrite[]): Promise<void> {
  await context.syscall({ kind: "vault.write", writes: writes as unknown as readonly Data[] });
}

/** Sends first, then waits for one message of each of `receives`. A peer's message that fits no schema fails the flow. */
export async function exchange<T>(
  context: FlowContext,
  sends: readonly { readonly session: SessionId; readonly payload: Data }[],
  receives: readonly SessionId[],
  expected: Decoder<T>,
): Promise<readonly T[]> {
  const payloads = (await context.syscall({ kind: "session.exchange", sends, receives })) as readonly Data[];
  return payloads.map(expected);
}

export async function send(context: FlowContext, session: SessionId, payload: Data): Promise<void> {
  await context.syscall({ kind: "session.exchange", sends: [{ session, payload }], receives: [] });
}

/** Why a flow stopped, as its peer is told. */
export const Stopped = { type: Type.String({ maxLength: 255 }), message: Type.String({ maxLength: 8_192 }) };

export function stopped(thrown: unknown): { type: string; message: string } {
  const { type, message } = failureOf(asFailure(thrown));
  return { type: type.slice(0, 255).toWellFormed(), message: message.slice(0, 8_192).toWellFormed() };
}

/** The outputs of each transaction that this member sees: what its vault keeps. One call for all of them. */
export async function ownedOutputs(
  context: FlowContext,
  transactions: readonly VerificationReply["outputs"][],
): Promise<readonly (readonly VisibleOutput[])[]> {
  const asked = [...new Set(keysThatSee(transactions.flat()))];
  const mine = asked.length === 0 ? [] : (await ask(context, "crypto.filterMyKeys", { keys: asked })).keys;
  return transactions.map((outputs) => keptOutputs(outputs, mine));
}

/** The simple keys on which it turns who sees these outputs. */
export const keysThatSee = (outputs: readonly StateDescription[]): readonly string[] =>
  outputs.flatMap(({ participants, visible }) => (visible === undefined ? participants : keysAsked(visible)).flatMap(leafKeys));

/** Who has a part in a composite key holds it, as far as seeing goes. */
export function keptOutputs(outputs: VerificationReply["outputs"], mine: readonly string[]): readonly VisibleOutput[] {
  const isMine = (key: string): boolean => leafKeys(key).some((leaf) => mine.includes(leaf));
  return outputs.flatMap((description, index) => {
    const { participants, visible } = description;
    return (visible === undefined ? participants.some(isMine) : sees(visible, isMine)) ? [{ index, ...description }] : [];
  });
}

/** A flow of the platform: what the pure modules refuse is its failure, by the same code. */
export function platformFlow<I extends TSchema>(definition: {
  readonly name: string;
  readonly input: I;
  call(context: FlowContext, input: Static<I>): Promise<unknown>;
}): FlowDefinition<I> {
  return flow({
    ...definition,
    startable: false,
    call: async (context, input) => {
      try {
        return await definition.call(context, input);
      } catch (thrown) {
        throw asFailure(thrown);
      }
    },
  });
}

const asFailure = (thrown: unknown): unknown =>
  thrown instanceof BowlineError ? new FlowError(thrown.code, thrown.message, thrown.details) : thrown;

/**
 * What a flow of the platform hands to the author's, to be handed to the next one: the transaction with its signatures, and
 * what the verification role said of it. Whatever the author does with it, the next flow has the verdict's MAC checked.
 */
export interface Carried {
  readonly signed: SignedTransaction;
  readonly verdict: Uint8Array;
  readonly mac: Uint8Array;
  readonly outputs: VerificationReply["outputs"];
}

/** With what the author's side sees of it. */
export interface Viewed extends Carried {
  readonly view: TransactionView;
}

// A flow that was under way when the platform was upgraded brings what an earlier version handed over, which had more in it.
const readCarried = decoder(
  Type.Object({
    signed: Bytes,
    verdict: Bytes,
    mac: Bytes,
    outputs: Type.Array(Type.Object(Description, { additionalProperties: false })),
  }),
  "record",
);

export function handOver({ view, ...carried }: Viewed): Data {
  return { ...handBack(carried), transaction: view as unknown as Data };
}

/** To whom has its view already: a transaction goes through every step of its author's flow, and each time in full would cost. */
export function handBack(carried: Carried): { readonly [name: string]: Data } {
  const { signed, verdict, mac, outputs } = carried;
  const record = encode({ signed: encodeSigned(signed), verdict, mac, outputs } as unknown as Data);
  return { id: signed.transaction.id, record };
}

export function takeBack(record: Uint8Array): Carried {
  const { signed, verdict, mac, outputs } = readCarried(decode(record));
  return { signed: decodeSigned(signed), verdict, mac, outputs };
}
