// How a party comes to trust the inputs of a transaction that it is shown: it asks the proposer for the transactions that they
// come from, and those for theirs, until it reaches what it has verified itself; then verifies all, the oldest first.
//
// Who serves answers only ancestors of the transaction that was proposed, found by walking down from it. Who fetches is bound
// by count and bytes, accepts only what it asked for, and checks each transaction in full: signatures, notary, contracts.

import { decoder } from "@bowline/base";
import { type FlowContext, FlowError, type SessionId, type StateRef } from "@bowline/sdk";
import Type from "typebox";
import { ask, exchange, ownedOutputs, writeVault } from "./asking.ts";
import { Bytes, parseStateRef } from "./leaves.ts";
import { BACKCHAIN_ANSWER_BYTES_MAX, BACKCHAIN_BYTES_MAX, BACKCHAIN_REQUEST_MAX, BACKCHAIN_TRANSACTIONS_MAX } from "./limits.ts";
import type { VaultWrite } from "./ports.ts";
import {
  decodeSigned,
  dependenciesOf,
  encodeSigned,
  type ResolvedState,
  resolvedOutput,
  type SignedTransaction,
  type Transaction,
} from "./transaction.ts";
import type { VerificationReply } from "./verification.ts";

const readChain = decoder(
  Type.Object(
    { kind: Type.Literal("chain"), transactions: Type.Array(Bytes, { minItems: 1, maxItems: BACKCHAIN_REQUEST_MAX }) },
    { additionalProperties: false },
  ),
  "backchain answer",
);

/** Inputs and references of a transaction, from verified rows of this vault; what is missing is fetched from the proposer first. */
export async function resolveFromProposer(
  context: FlowContext,
  session: SessionId,
  transaction: Transaction,
): Promise<{ readonly inputs: readonly ResolvedState[]; readonly references: readonly ResolvedState[] }> {
  const refs = refsOf(transaction);
  let states = await sourcesOf(context, refs);
  const missing = missingSources(refs, states);
  if (missing.length > 0) {
    await fetchChain(context, session, missing);
    states = await sourcesOf(context, refs);
  }
  const resolved = requireAll(refs, states, transaction.id);
  return { inputs: resolved.slice(0, transaction.inputs.length), references: resolved.slice(transaction.inputs.length) };
}

/** What a proposer answers to a request for ancestors. `allowed` grows with what is served. */
export async function serveChain(context: FlowContext, allowed: Set<string>, ids: readonly string[]) {
  const stranger = ids.find((id) => !allowed.has(id));
  if (stranger !== undefined)
    throw new FlowError("ledger.backchainRefused", `A peer asked for ${stranger}, which is no ancestor of what was proposed.`);
  const rows = await ask(context, "vault.transactions", { ids });
  const transactions: Uint8Array[] = [];
  let bytes = 0;
  for (const [i, row] of rows.entries()) {
    if (row?.status !== "V") throw new FlowError("ledger.backchainUnknown", `Transaction ${ids[i]} is not verified in this vault.`);
    if (bytes > BACKCHAIN_ANSWER_BYTES_MAX) break;
    transactions.push(row.bytes);
    bytes += row.bytes.length;
    for (const ancestor of dependenciesOf(decodeSigned(row.bytes).transaction)) allowed.add(ancestor);
  }
  return { kind: "chain", transactions };
}

/** Fetches, verifies and records these transactions and all their ancestors that this vault has not verified. */
async function fetchChain(context: FlowContext, session: SessionId, roots: readonly string[]): Promise<void> {
  const fetched = new Map<string, SignedTransaction>();
  const known = new Map<StateRef, ResolvedState>();
  let wanted = [...roots];
  let bytes = 0;
  while (wanted.length > 0) {
    const batch = wanted.slice(0, BACKCHAIN_REQUEST_MAX);
    const [answer] = await exchange(context, [{ session, payload: { kind: "need", ids: batch } }], [session], readChain);
    const arrived = (answer?.transactions ?? []).map(decodeSigned);
    for (const signed of arrived) {
      const { id } = signed.transaction;
      if (!batch.includes(id) || fetched.has(id)) throw invalid(id, "it was not asked for");
      fetched.set(id, signed);
      bytes += signed.transaction.bytes.length;
    }
    if (fetched.size > BACKCHAIN_TRANSACTIONS_MAX || bytes > BACKCHAIN_BYTES_MAX)
      throw invalid(
        roots[0] as string,
        `its history is longer than ${BACKCHAIN_TRANSACTIONS_MAX} transactions or ${BACKCHAIN_BYTES_MAX} bytes`,
      );
    const refs = arrived.flatMap(({ transaction }) => refsOf(transaction));
    const states = await sourcesOf(context, refs);
    for (const state of states) if (state !== null) known.set(state.ref, state);
    wanted = [...new Set([...wanted, ...missingSources(refs, states)])].filter((id) => !fetched.has(id));
  }
  await recordChain(context, oldestFirst(fetched), known);
}

async function recordChain(context: FlowContext, chain: readonly SignedTransaction[], known: Map<StateRef, ResolvedState>): Promise<void> {
  const verified: { readonly signed: SignedTransaction; readonly bytes: Uint8Array; readonly reply: VerificationReply }[] = [];
  const writes: VaultWrite[] = [];
  const parameters = new Map<string, Uint8Array>();
  for (const signed of chain) {
    const { transaction } = signed;
    const hash = transaction.metadata.membershipGroupParametersHash;
    if (!parameters.has(hash)) {
      const found = await ask(context, "membership.groupParameters", { hash });
      parameters.set(hash, found.bytes);
      writes.push({ kind: "groupParameters", ...found });
    }
    const resolved = (refs: readonly StateRef[]) =>
      requireAll(
        refs,
        refs.map((ref) => known.get(ref) ?? null),
        transaction.id,
      );
    const bytes = encodeSigned(signed);
    const reply = await ask(context, "verification.verify", {
      transaction: bytes,
      inputs: resolved(transaction.inputs),
      references: resolved(transaction.references),
      groupParameters: parameters.get(hash) as Uint8Array,
      verified: null,
    });
    if (!reply.complete)
      throw invalid(transaction.id, reply.valid ? "it is not signed by all and accepted by its notary" : reply.violations.join("; "));
    for (let index = 0; index < transaction.outputs.length; index++) {
      const output = resolvedOutput(transaction, index) as ResolvedState;
      known.set(output.ref, output);
    }
    verified.push({ signed, bytes, reply });
  }
  const mine = await ownedOutputs(
    context,
    verified.map(({ reply }) => reply.outputs),
  );
  verified.forEach(({ bytes, reply: { verdict, mac } }, i) => {
    writes.push({ kind: "verified", bytes, verdict, mac, visible: mine[i] ?? [] });
  });
  await writeVault(context, ...writes);
}

/** Dependencies before dependants. A cycle cannot be, for ids are hashes; were there one, it would be walked once. */
function oldestFirst(fetched: ReadonlyMap<string, SignedTransaction>): readonly SignedTransaction[] {
  const sorted: SignedTransaction[] = [];
  const seen = new Set<string>();
  const stack = [...fetched.keys()].map((id) => ({ id, done: false }));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const signed = fetched.get(top.id);
    if (signed === undefined) continue;
    if (top.done) sorted.push(signed);
    else if (!seen.has(top.id)) {
      seen.add(top.id);
      stack.push({ id: top.id, done: true }, ...dependenciesOf(signed.transaction).map((id) => ({ id, done: false })));
    }
  }
  return sorted;
}

const refsOf = ({ inputs, references }: Transaction): readonly StateRef[] => [...inputs, ...references];

const sourcesOf = (context: FlowContext, refs: readonly StateRef[]): Promise<readonly (ResolvedState | null)[]> =>
  refs.length === 0
    ? Promise.resolve([])
    : ask(context, "vault.sources", { refs: [...new Set(refs)] }).then((states) => inOrder(refs, states));

function inOrder(refs: readonly StateRef[], states: readonly (ResolvedState | null)[]): readonly (ResolvedState | null)[] {
  const found = new Map(states.filter((state) => state !== null).map((state) => [state.ref, state]));
  return refs.map((ref) => found.get(ref) ?? null);
}

const missingSources = (refs: readonly StateRef[], states: readonly (ResolvedState | null)[]): readonly string[] => [
  ...new Set(refs.filter((_, i) => states[i] === null).map((ref) => parseStateRef(ref).transactionId)),
];

function requireAll(refs: readonly StateRef[], states: readonly (ResolvedState | null)[], id: string): readonly ResolvedState[] {
  return states.map((state, i) => {
    if (state === null) throw invalid(id, `state ${refs[i]} is no output of the transaction that it names`);
    return state;
  });
}

const invalid = (id: string, reason: string) =>
  new FlowError("ledger.backchainInvalid", `The history of ${id} does not hold: ${reason}.`, { id, reason });
