// A transaction that two parties gather before anybody signs it.
//
//   ledger.exchangeBuilder                    ledger.receiveBuilder, and later ledger.updateBuilder
//   -- builder (and what proves its past) --> resolve what it names
//   <-- need | chain, as often -------------  (backchain.flow.ts)
//                                             the author adds to it
//   resolve what is added <-- additions ----  (and what proves their past)
//   need | chain, as often ----------------->
//   -- received --------------------------->
//
// Whoever stops says why. Guarantee: each side has verified what the other's states come from before its author goes on, and those
// are all under one notary.

import { type Data, type Decoder, decoder, type X500Name } from "@bowline/base";
import { type FlowContext, FlowError } from "@bowline/sdk";
import type { GatheredTransaction } from "@bowline/sdk/transaction-rules";
import Type, { type Static } from "typebox";
import { ask, exchange, Party, platformFlow, Stopped, send, stopped } from "./asking.ts";
import { Need, resolveFromPeer, serveHistory } from "./backchain.flow.ts";
import { Shown } from "./backchain.ts";
import { FilteredDependencies } from "./dependencies.ts";
import { additionsTo, checkGathered, digestOf, Gathered, notaryOfAll, refsOf, withAdditions } from "./gathered.ts";
import { Name } from "./leaves.ts";
import { resolvePast, showPast } from "./past.flow.ts";
import { dependenciesOf, type ResolvedState } from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;
/** Where the notary of the states verifies: its word on each of them. Else their past is served on request. */
const Past = Type.Object({ notary: Type.Unsafe<X500Name>(Name), dependencies: FilteredDependencies }, STRICT);
const Builder = Type.Object({ kind: Type.Literal("builder"), gathered: Gathered, past: Type.Optional(Past) }, STRICT);
const Additions = Type.Object({ kind: Type.Literal("additions"), gathered: Gathered, past: Type.Optional(Past) }, STRICT);
const Received = Type.Object({ kind: Type.Literal("received") }, STRICT);
const Abandoned = Type.Object({ kind: Type.Literal("abandoned"), ...Stopped }, STRICT);
const readBuilder = decoder(Type.Union([Builder, Abandoned]), "builder that is sent");
const readAdditions = decoder(Type.Union([Need, Additions, Abandoned]), "reply to a builder");
const readReceived = decoder(Type.Union([Need, Received, Abandoned]), "reply to what was added to a builder");
type Aside = Static<typeof Need> | Static<typeof Abandoned>;
interface Sent {
  readonly gathered: GatheredTransaction;
  readonly past?: Static<typeof Past> | undefined;
}

export const exchangeBuilder = platformFlow({
  name: "ledger.exchangeBuilder",
  input: Type.Object({ session: Party, gathered: Gathered }, STRICT),
  call: (context, { session, gathered }) =>
    orAbandon(context, session, async () => {
      const own = checkGathered(gathered);
      const sent = { kind: "builder", ...(await withPast(context, own, own.notary)) };
      const { gathered: additions, past } = await servePast(context, session, own, { sent, expected: readAdditions });
      const all = withAdditions(own, checkGathered(additions));
      await resolve(context, session, { gathered: additions, past }, all.notary);
      await send(context, session.id, { kind: "received" });
      return all;
    }),
});

export const receiveBuilder = platformFlow({
  name: "ledger.receiveBuilder",
  input: Type.Object({ session: Party }, STRICT),
  call: (context, { session }) =>
    orAbandon(context, session, async () => {
      const [came] = await exchange(context, [], [session.id], readBuilder);
      const { gathered, past } = unlessAbandoned(session, came as Static<typeof Builder>);
      await resolve(context, session, { gathered: checkGathered(gathered), past }, gathered.notary);
      return gathered;
    }),
});

export const updateBuilder = platformFlow({
  name: "ledger.updateBuilder",
  input: Type.Object({ session: Party, received: Gathered, gathered: Gathered }, STRICT),
  call: (context, { session, received, gathered }) =>
    orAbandon(context, session, async () => {
      const additions = additionsTo(received, checkGathered(gathered));
      const sent = { kind: "additions", ...(await withPast(context, additions, gathered.notary)) };
      await servePast(context, session, additions, { sent, expected: readReceived });
      return null;
    }),
});

/** Sends, and serves what the states that are named descend from until the peer says what is waited for. */
async function servePast<Reply extends { readonly kind: string }>(
  context: FlowContext,
  session: Party,
  gathered: GatheredTransaction,
  { sent, expected }: { readonly sent: Data; readonly expected: Decoder<Reply | Aside> },
): Promise<Reply> {
  const shown = new Shown(dependenciesOf(gathered));
  let payload = sent;
  for (;;) {
    const [said] = await exchange(context, [{ session: session.id, payload }], [session.id], expected);
    const reply = unlessAbandoned(session, said as Reply | Aside);
    if (reply.kind !== "need") return reply as Reply;
    payload = await serveHistory(context, shown, reply as Static<typeof Need>);
  }
}

/** What is sent: where the notary of its states verifies, with its word on them. */
async function withPast(
  context: FlowContext,
  gathered: GatheredTransaction,
  notary: X500Name | undefined,
): Promise<{ readonly [name: string]: Data }> {
  const refs = refsOf(gathered);
  const alone = { gathered: gathered as unknown as Data };
  if (refs.length === 0) return alone;
  const states = await ask(context, "vault.sources", { refs });
  const known = states.filter((state) => state !== null);
  if (known.length < refs.length) {
    const unknown = refs.filter((_, i) => (states[i] ?? null) === null);
    throw new FlowError("vault.stateUnknown", `This vault holds no verified state ${unknown.join(", ")}.`);
  }
  const named = notaryOfAll(notary, known) as X500Name;
  const dependencies = await showPast(context, { ...gathered, notary: named });
  return dependencies === undefined ? alone : { ...alone, past: { notary: named, dependencies: dependencies as readonly Data[] } };
}

/** Of a peer's states all are under one notary, `notary` where it is named already, and come from what is verified here afterwards. */
async function resolve(
  context: FlowContext,
  { id: session }: Party,
  { gathered, past }: Sent,
  notary: X500Name | undefined,
): Promise<void> {
  const { inputs, references } = gathered;
  const proving = { id: digestOf(gathered), groupId: context.groupId, inputs, references };
  const states: { inputs: readonly ResolvedState[]; references: readonly ResolvedState[] } =
    past === undefined
      ? await resolveFromPeer(context, session, proving)
      : await resolvePast(context, session, {
          proving: { ...proving, notary: past.notary },
          dependencies: past.dependencies,
          groupParameters: (await ask(context, "membership.groupParameters", { hash: null })).bytes,
        });
  notaryOfAll(notary, [...states.inputs, ...states.references]);
}

class PeerGaveUp extends FlowError {}

/** The peer is told why: where it is gone it need not be. */
async function orAbandon(context: FlowContext, session: Party, work: () => Promise<unknown>): Promise<unknown> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof PeerGaveUp) throw thrown;
    await send(context, session.id, { kind: "abandoned", ...stopped(thrown) }).catch(() => undefined);
    throw thrown;
  }
}

function unlessAbandoned<Said extends { readonly kind: string }>(
  { counterparty }: Party,
  said: Said | Static<typeof Abandoned>,
): Exclude<Said, Static<typeof Abandoned>> {
  if (said.kind !== "abandoned") return said as Exclude<Said, Static<typeof Abandoned>>;
  const { type, message } = said as Static<typeof Abandoned>;
  throw new PeerGaveUp(type, `${counterparty} gave up: ${message}`, { party: counterparty });
}
