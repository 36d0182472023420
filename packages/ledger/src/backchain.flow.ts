// How a party comes to trust the inputs of a transaction that it is shown: it asks the peer for the transactions that they come
// from, and those for theirs, until it reaches what it has verified itself; then verifies all, the oldest first.
//
//   receiver                                     sender
//   need (ids, and how many ancestors) -------->
//   need, several at a time -------------------> reads a page: these, then their ancestors
//                              <---------------- chain
//   look up what it leads to; ask on; meanwhile check signatures and notaries, and keep what is new as unverified
//   …
//   batch by batch: contracts, beside each other; then verified, in one commit
//
// What is kept is signed by all and accepted by a notary of the group, so a liar leaves nothing behind. Unverified rows are the
// queue: whatever dies, whoever comes next goes on from them, with this peer or with another.

import { type Data, decoder, type SecureHash } from "@bowline/base";
import { type FlowContext, FlowError, type GroupParameters, type SessionId, type StateRef } from "@bowline/sdk";
import { worded } from "@bowline/sdk/transaction-rules";
import Type from "typebox";
import { ask, exchange, ownedOutputs, platformFlow, Stopped, writeVault } from "./asking.ts";
import { Gathered, type HistoryRequest, invalid, type Shown } from "./backchain.ts";
import { decodeGroupParameters, notaryKeysOf, notaryOf } from "./group-parameters.ts";
import { Bytes, parseStateRef, TransactionId } from "./leaves.ts";
import { HISTORY_AHEAD_MAX, HISTORY_ANSWER_BYTES_MAX, HISTORY_REQUEST_MAX, HISTORY_TRANSACTIONS_MAX } from "./limits.ts";
import { decodeSigned, dependenciesOf, encodeSigned, type ResolvedState, type SignedTransaction, type Transaction } from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;
/** What a receiver asks: part of what a sender reads in whatever exchange needs a history. */
export const Need = Type.Object(
  {
    kind: Type.Literal("need"),
    ids: Type.Array(TransactionId, { minItems: 1, maxItems: HISTORY_REQUEST_MAX }),
    ahead: Type.Integer({ minimum: 0, maximum: HISTORY_AHEAD_MAX }),
  },
  STRICT,
);
const readChain = decoder(
  Type.Union([
    Type.Object(
      {
        kind: Type.Literal("chain"),
        transactions: Type.Array(Bytes, { minItems: 1, maxItems: HISTORY_REQUEST_MAX + HISTORY_AHEAD_MAX }),
      },
      STRICT,
    ),
    Type.Object({ kind: Type.Literal("abandoned"), ...Stopped }, STRICT),
  ]),
  "answer to a request for a history",
);

/** A transaction, or what is to become one. */
type Proving = Pick<Transaction, "id" | "inputs" | "references">;

export interface Resolved {
  readonly inputs: readonly ResolvedState[];
  readonly references: readonly ResolvedState[];
}

/** Inputs and references of a transaction, from verified rows of this vault; what is missing is fetched from the peer first. */
export async function resolveFromPeer(context: FlowContext, session: SessionId, transaction: Proving): Promise<Resolved> {
  const refs = refsOf(transaction);
  const states = await sourcesOf(context, refs);
  const roots = missingSources(refs, states);
  if (roots.length === 0) return split(transaction, states);
  // A flow of its own: what it heard and asked goes from the journal when it is over.
  await context.syscall({ kind: "platform", flow: "ledger.resolve", input: { session, roots } });
  return resolveHere(context, transaction);
}

export const resolveHere = async (context: FlowContext, transaction: Proving): Promise<Resolved> =>
  split(transaction, await sourcesOf(context, refsOf(transaction)));

export const resolveHistory = platformFlow({
  name: "ledger.resolve",
  input: Type.Object({ session: Type.String(), roots: Type.Array(TransactionId) }, STRICT),
  call: async (context, { session, roots }) => {
    const gathered = new Gathered(roots);
    await fetchHistory(context, session, gathered, roots);
    for (const batch of gathered.batches()) await recordBatch(context, batch);
    return null;
  },
});

/** What a peer that proposed something answers to a request for its history. */
export async function serveHistory(context: FlowContext, shown: Shown, request: HistoryRequest): Promise<Data> {
  const strangers = shown.strangers(request);
  if (strangers.length > 0) {
    const search = { of: shown.dependencies, among: strangers, limit: HISTORY_TRANSACTIONS_MAX };
    shown.admit(strangers, await ask(context, "vault.ancestors", search));
  }
  const { ids, ahead } = request;
  const rows = await ask(context, "vault.history", { ids, ahead, bytesMax: HISTORY_ANSWER_BYTES_MAX });
  return { kind: "chain", transactions: shown.page(request, rows) };
}

async function fetchHistory(context: FlowContext, session: SessionId, gathered: Gathered, roots: readonly SecureHash[]): Promise<void> {
  const lookUp = async (ids: readonly SecureHash[]) => {
    if (ids.length > 0) gathered.learn(await ask(context, "vault.unresolved", { ids, limit: HISTORY_TRANSACTIONS_MAX + 1 }));
  };
  const keys = new NotaryKeys(context);
  let arrived: readonly SignedTransaction[] = [];
  await lookUp(roots);
  while (!gathered.isComplete || gathered.isWaiting || arrived.length > 0) {
    const sends = gathered.requests().map((request) => ({ session, payload: { kind: "need", ...request } }));
    const [[answer]] = await Promise.all([
      gathered.isWaiting ? exchange(context, sends, [session], readChain) : [],
      arrived.length > 0 ? keep(context, arrived, keys) : null,
    ]);
    if (answer?.kind === "abandoned") throw new FlowError(answer.type, answer.message);
    const signed = (answer?.transactions ?? []).map(decodeSigned);
    if (answer === undefined) arrived = [];
    else {
      const fresh = gathered.take(
        signed.map(({ transaction }) => ({
          id: transaction.id,
          dependencies: dependenciesOf(transaction),
          size: transaction.bytes.length,
        })),
      );
      await lookUp(gathered.frontier(fresh));
      arrived = signed.filter(({ transaction: { id } }) => fresh.has(id) && gathered.isStaged(id));
    }
  }
}

/** What the group says of the keys of notaries: now, and when a transaction was built. */
class NotaryKeys {
  readonly #context: FlowContext;
  readonly #parameters = new Map<SecureHash | null, Promise<GroupParameters>>();

  constructor(context: FlowContext) {
    this.#context = context;
  }

  /** A key that the notary gave up for a new one is among those of now; one that was revoked is not. */
  async check({ id, notary, notaryKey, metadata: { membershipGroupParametersHash: hash } }: Transaction): Promise<void> {
    const then = notaryOf(await this.#parametersOf(hash), notary)?.key;
    const now = notaryOf(await this.#parametersOf(null), notary);
    if (then !== notaryKey || now === undefined || !notaryKeysOf(now).includes(notaryKey))
      throw invalid(id, `its notary ${notary} has no such key in its group`);
  }

  #parametersOf(hash: SecureHash | null): Promise<GroupParameters> {
    const known = this.#parameters.get(hash) ?? this.#load(hash);
    this.#parameters.set(hash, known);
    return known;
  }

  async #load(hash: SecureHash | null): Promise<GroupParameters> {
    const signed = await ask(this.#context, "membership.groupParameters", { hash });
    await writeVault(this.#context, { kind: "groupParameters", ...signed });
    return decodeGroupParameters(signed.bytes, hash ?? undefined);
  }
}

/** As unverified, if a notary of the group accepted it with all of its signatures: of a history nothing else is kept. */
async function keep(context: FlowContext, arrived: readonly SignedTransaction[], keys: NotaryKeys): Promise<void> {
  for (const { transaction } of arrived) await keys.check(transaction);
  const bytes = arrived.map(encodeSigned);
  const states = await ask(context, "verification.signatures", { transactions: bytes });
  for (const [i, { missing, invalid: wrong, notary }] of states.entries())
    if (missing.length > 0 || wrong.length > 0 || notary?.kind !== "accepted")
      throw invalid(arrived[i]?.transaction.id as string, "it is not signed by all and accepted by its notary");
  await writeVault(context, ...bytes.map((one) => ({ kind: "history", bytes: one }) as const));
}

/** Throws at the first that is not valid: those before it are verified, it is invalid, and those after it stay as they are. */
async function recordBatch(context: FlowContext, ids: readonly SecureHash[]): Promise<void> {
  const replies = await ask(context, "verification.verifyHere", { ids });
  const broken = replies.findIndex(({ complete }) => !complete);
  const complete = broken < 0 ? replies : replies.slice(0, broken);
  const kept = await ownedOutputs(
    context,
    complete.map(({ outputs }) => outputs),
  );
  const writes = complete.map(({ verdict, mac }, i) => {
    return { kind: "verifiedHere", id: ids[i] as SecureHash, verdict, mac, visible: kept[i] ?? [] } as const;
  });
  if (writes.length > 0) await writeVault(context, ...writes);
  const wrong = replies[broken];
  if (wrong === undefined) return;
  const [id, reason] = [ids[broken] as SecureHash, worded(wrong.violations)];
  if (wrong.valid) throw invalid(id, "it is not signed by all and accepted by its notary");
  const [row] = await ask(context, "vault.transactions", { ids: [id] });
  const evidence = { kind: "content", verdict: wrong.verdict, mac: wrong.mac } as const;
  if (row != null) await writeVault(context, { kind: "invalid", bytes: row.bytes, reason, evidence });
  throw invalid(id, reason);
}

const refsOf = ({ inputs, references }: Proving): readonly StateRef[] => [...inputs, ...references];

function split({ id, inputs, references }: Proving, states: readonly (ResolvedState | null)[]): Resolved {
  const resolved = states.map((state, i) => {
    if (state === null) throw invalid(id, `state ${[...inputs, ...references][i]} is no output of the transaction that it names`);
    return state;
  });
  return { inputs: resolved.slice(0, inputs.length), references: resolved.slice(inputs.length) };
}

const sourcesOf = (context: FlowContext, refs: readonly StateRef[]): Promise<readonly (ResolvedState | null)[]> =>
  refs.length === 0
    ? Promise.resolve([])
    : ask(context, "vault.sources", { refs: [...new Set(refs)] }).then((states) => inOrder(refs, states));

function inOrder(refs: readonly StateRef[], states: readonly (ResolvedState | null)[]): readonly (ResolvedState | null)[] {
  const found = new Map(states.filter((state) => state !== null).map((state) => [state.ref, state]));
  return refs.map((ref) => found.get(ref) ?? null);
}

const missingSources = (refs: readonly StateRef[], states: readonly (ResolvedState | null)[]): readonly SecureHash[] => [
  ...new Set(refs.filter((_, i) => states[i] === null).map((ref) => parseStateRef(ref).transactionId)),
];
