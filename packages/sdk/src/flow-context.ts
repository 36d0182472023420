// What flow code is handed, on top of one fiber. A scope numbers the steps of one flow function: a sub-flow has a scope
// of its own below the step at which it was called, so that steps keep their paths whatever runs beside them.
//
// A sub-flow takes plain data and returns plain data, and shares nothing with its caller: so when it is over its result is all
// that a replay needs of it, and its steps become one. What it left running never goes on.

import type { Data } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { StepPath } from "./activation.ts";
import { builderExchangeOf } from "./builder-exchange.ts";
import type { DraftTransaction, FlowContext, Ledger, Session, SignedTransaction, Vault } from "./context.ts";
import type { FlowDefinition, StateDefinition } from "./definition.ts";
import { externalMessagingOf } from "./external.ts";
import { failureOf, type Outcome } from "./failure.ts";
import { type Fiber, never } from "./fiber.ts";
import { filtersOf } from "./filtered.ts";
import { keysOf } from "./keys.ts";
import { membersOf, notariesOf, parametersOf } from "./lookups.ts";
import { persistenceOf } from "./persistence.ts";
import { fitting, plain } from "./plain.ts";
import { allOf, type FlowProperties, propertyOf, userOf, withUser } from "./properties.ts";
import { exchanges, initiate } from "./sessions.ts";
import { queryAll, queryPage } from "./state-query.flow.ts";
import { inVersionOf } from "./state-versions.ts";
import type { PlatformFlowName, Protocol, Syscall } from "./syscalls.ts";
import { tokensOf } from "./token-claims.flow.ts";
import type { StateAndRef, TransactionView } from "./transaction.ts";

export interface Scope {
  readonly fiber: Fiber;
  readonly context: FlowContext;
  ask(call: Syscall): Promise<Data>;
}

export interface ScopeOptions {
  readonly fiber: Fiber;
  /** Ends in a dot unless it is empty. */
  readonly prefix: string;
  /** What the flow initiates where nothing else is said. */
  readonly protocol: Protocol | undefined;
  /** What the flow above has set; what the fiber began with where there is none. */
  readonly properties?: FlowProperties;
  /** Whether the sub-flow whose scope this is has ended, or one that called it. */
  readonly isOver?: () => boolean;
}

export function contextOf({ fiber, prefix, protocol, isOver = () => false, ...inherited }: ScopeOptions): Scope {
  let steps = 0;
  let properties = inherited.properties ?? fiber.start.identity.properties;
  const next = (): StepPath => `${prefix}${++steps}`;
  const askAt = (path: StepPath, call: Syscall): Promise<Data> => (isOver() ? never() : fiber.ask(path, call));
  const ask = (call: Syscall): Promise<Data> => askAt(next(), call);
  const { identity } = fiber.start;
  const members = membersOf(ask, identity.me, identity.groupId);
  const context: FlowContext = {
    flowId: identity.flowId,
    me: identity.me,
    groupId: identity.groupId,
    properties: {
      get: (key) => propertyOf(properties, key),
      set(key, value) {
        properties = withUser(properties, Object.fromEntries([[key, value]]));
      },
      all: () => ({ ...allOf(properties) }),
    },
    initiate: (name, options = {}) => initiate({ ask, protocol, properties: () => properties }, name, options),
    ...exchanges(ask),
    async subFlow<I extends TSchema, O extends TSchema>(flow: FlowDefinition<I, O>, given: Static<I>) {
      const path = next();
      const input = plain(given, "the input");
      const call = { kind: "subFlow", flow: flow.name, input, ...(flow.initiates && { initiating: true as const }) } as const;
      if (fiber.isOver(path)) return (await askAt(path, call)) as Static<O>;
      let ended = false;
      const below = { fiber, prefix: `${path}.`, protocol: flow.initiates ?? protocol, properties, isOver: () => ended || isOver() };
      const outcome = await outcomeOf(callFlow(flow, contextOf(below), input));
      ended = true;
      return (await askAt(path, { ...call, outcome })) as Static<O>;
    },
    now: async () => (await ask({ kind: "clock.now" })) as number,
    async sleep(durationMs) {
      await ask({ kind: "clock.sleep", durationMs: plain(durationMs, "the duration") as number });
    },
    async checkpoint(reached) {
      await ask({ kind: "checkpoint", ...(reached === undefined ? {} : { reached: plain(reached, "what was reached") }) });
    },
    patched: async (name) => (await fiber.decide(plain(name, "the name") as string)) as boolean,
    uuid: async () => uuidOf((await ask({ kind: "random", length: 16 })) as Uint8Array),
    random: async (length) => (await ask({ kind: "random", length: plain(length, "the length") as number })) as Uint8Array,
    log: logOf(fiber),
    members,
    notaries: notariesOf(ask, members),
    groupParameters: parametersOf(ask),
    keys: keysOf(ask),
    externalMessaging: externalMessagingOf(fiber.channels, ask),
    ledger: ledgerOf(ask, (flow, input) => ask({ kind: "platform", flow, input, ...userOf(properties) })),
    vault: vaultOf(ask),
    tokens: tokensOf(ask),
    persistence: persistenceOf(ask),
    syscall: (call) => ask(plain(call, "the syscall") as unknown as Syscall),
  };
  return { fiber, context, ask };
}

/** The flow's own function, between its two schemas. */
export async function callFlow<I extends TSchema, O extends TSchema>(
  flow: FlowDefinition<I, O>,
  scope: Scope,
  input: unknown,
): Promise<Data> {
  const accepted = fitting(flow.input, input, "flow.invalidInput", "input");
  const returned: unknown = await flow.call(scope.context, accepted);
  const output = returned === undefined ? null : plain(returned, "the result");
  if (flow.output !== undefined) fitting(flow.output, output, "flow.invalidOutput", "result");
  return output;
}

const outcomeOf = (work: Promise<Data>): Promise<Outcome> =>
  work.then(
    (ok): Outcome => ({ ok }),
    (thrown: unknown): Outcome => ({ error: failureOf(thrown) }),
  );

function ledgerOf(ask: Scope["ask"], platform: (flow: PlatformFlowName, input: Data) => Promise<Data>): Ledger {
  const signed = (transaction: Data) => transaction as unknown as SignedTransaction;
  /** Its content is what it was: the platform answers what has come to it. */
  const seen = ({ transaction }: SignedTransaction, answer: Data) => ({ ...signed(answer), transaction });
  const party = ({ id, counterparty }: Session) => ({ id, counterparty });
  const findTransaction = async (id: string) =>
    ((await ask({ kind: "vault.transaction", id })) ?? undefined) as TransactionView | undefined;
  const deliver = async (what: Data, sessions: readonly Session[], wholePast = false): Promise<void> => {
    await platform("ledger.send", { what: plain(what, "the transaction"), sessions: sessions.map(party), wholePast });
  };
  return {
    ...filtersOf(platform, findTransaction),
    ...builderExchangeOf(platform),
    findTransaction,
    sign: async (proposal) => signed(await platform("ledger.sign", { proposal: plain(proposal, "the proposal") })),
    async signatures(transaction) {
      const asked = typeof transaction === "string" ? { id: transaction } : { record: plain(transaction.record, "the record") };
      return ((await platform("ledger.signatures", asked)) ?? undefined) as readonly Uint8Array[] | undefined;
    },
    signAll: async (proposals) =>
      (await platform("ledger.signAll", { proposals: plain(proposals, "the proposals") })) as unknown as readonly SignedTransaction[],
    finalize: async (transaction, sessions) => {
      const record = plain(transaction.record, "the record");
      return seen(transaction, await platform("ledger.finalize", { record, sessions: sessions.map(party) }));
    },
    async receiveFinality(session, validate) {
      const proposed = signed(await platform("ledger.receiveProposal", { session: party(session) }));
      const answer = (refusal: Data) => platform("ledger.answerProposal", { session: party(session), record: proposed.record, refusal });
      try {
        await validate(proposed.transaction);
      } catch (thrown) {
        const { type, message } = failureOf(thrown);
        await answer({ type, message });
        throw thrown;
      }
      return seen(proposed, await answer(null));
    },
    sendTransaction: ({ id }, sessions) => deliver({ kind: "final", id }, sessions),
    sendTransactionWithBackchain: ({ id }, sessions) => deliver({ kind: "final", id }, sessions, true),
    receiveTransaction: async (session) => signed(await platform("ledger.receive", { session: party(session), expected: "final" })),
    sendLedgerTransaction: ({ record }, sessions) => deliver({ kind: "unsigned", record: plain(record, "the record") }, sessions),
    receiveLedgerTransaction: async (session) =>
      (await platform("ledger.receive", { session: party(session), expected: "unsigned" })) as unknown as TransactionView,
    keepDraft: async (proposal) =>
      (await platform("ledger.keepDraft", { proposal: plain(proposal, "the proposal") })) as unknown as DraftTransaction,
    findDraft: async (id) =>
      ((await platform("ledger.findDraft", { id: plain(id, "the id") })) ?? undefined) as unknown as DraftTransaction | undefined,
    takeUpDraft: async (id) => signed(await platform("ledger.takeUpDraft", { id: plain(id, "the id") })),
  };
}

function vaultOf(ask: Scope["ask"]): Vault {
  return {
    async find<S extends TSchema>(state: StateDefinition<S>, query: Parameters<Vault["find"]>[1] = {}) {
      const asked = plain({ ...query, state: state.name }, "the query");
      const page = (await ask({ kind: "vault.find", query: asked as never })) as unknown as {
        readonly states: readonly StateAndRef[];
        readonly next: string | null;
      };
      const states = page.states.map((found) => inVersionOf(state, found) as StateAndRef<Static<S> & Data>);
      return { states, next: page.next ?? undefined };
    },
    query: (query, parameters, page = {}) => queryPage(ask, query, parameters, page),
    collect: (query, parameters, page = {}) => queryAll(ask, query, parameters, page),
    resolve: async (refs) => (await ask({ kind: "vault.resolve", refs: [...refs] })) as unknown as readonly StateAndRef[],
  };
}

function logOf(fiber: Fiber): FlowContext["log"] {
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (message: string, facts: Record<string, Data> = {}) =>
      fiber.log(level, message, facts);
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** RFC 9562, version 4. */
function uuidOf(random: Uint8Array): string {
  const bytes = random.slice();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  let text = "";
  for (const [index, byte] of bytes.entries()) {
    if (index === 4 || index === 6 || index === 8 || index === 10) text += "-";
    text += byte.toString(16).padStart(2, "0");
  }
  return text;
}
