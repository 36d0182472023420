// What flow code is handed, on top of one fiber. A scope numbers the steps of one flow function: a sub-flow has a scope
// of its own below the step at which it was called, so that steps keep their paths whatever runs beside them.

import type { Data } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { StepPath } from "./activation.ts";
import type { FlowContext, Ledger, Session, SignedTransaction, Vault } from "./context.ts";
import type { FlowDefinition, StateDefinition } from "./definition.ts";
import { externalMessagingOf } from "./external.ts";
import { failureOf } from "./failure.ts";
import type { Fiber } from "./fiber.ts";
import { keysOf } from "./keys.ts";
import { membersOf, notariesOf, parametersOf } from "./lookups.ts";
import { persistenceOf } from "./persistence.ts";
import { fitting, plain } from "./plain.ts";
import { allOf, type FlowProperties, propertyOf, userOf, withUser } from "./properties.ts";
import { exchanges, initiate } from "./sessions.ts";
import { inVersionOf } from "./state-versions.ts";
import type { PlatformFlowName, Protocol, SessionId, Syscall } from "./syscalls.ts";
import type { StateAndRef, TransactionView } from "./transaction.ts";

export interface Scope {
  readonly fiber: Fiber;
  readonly context: FlowContext;
  /** Opened by this scope's own function and by what it calls inline. */
  readonly opened: SessionId[];
  /** The path of the next step. */
  next(): StepPath;
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
  /** Whose sessions these are, where not this scope's own. */
  readonly opened?: SessionId[];
}

export function contextOf({ fiber, prefix, protocol, opened = [], ...inherited }: ScopeOptions): Scope {
  let steps = 0;
  let properties = inherited.properties ?? fiber.start.identity.properties;
  const next = (): StepPath => `${prefix}${++steps}`;
  const ask = (call: Syscall): Promise<Data> => fiber.ask(next(), call);
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
    initiate: (name, options = {}) =>
      initiate({ ask, protocol, properties: () => properties, opened: (id) => void opened.push(id) }, name, options),
    ...exchanges(ask),
    subFlow(flow, input) {
      const prefix = `${next()}.`;
      if (flow.initiates !== undefined) return runSubFlow(contextOf({ fiber, prefix, protocol: flow.initiates, properties }), flow, input);
      // What it opens is this flow's.
      return callInline(contextOf({ fiber, prefix, protocol, properties, opened }), flow, input);
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
    persistence: persistenceOf(ask),
    syscall: (call) => ask(plain(call, "the syscall") as unknown as Syscall),
  };
  const scope: Scope = { fiber, context, opened, next, ask };
  return scope;
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

async function callInline<I extends TSchema, O extends TSchema>(
  scope: Scope,
  flow: FlowDefinition<I, O>,
  input: unknown,
): Promise<Static<O>> {
  return (await callFlow(flow, scope, plain(input, "the input"))) as Static<O>;
}

/** Sessions that an initiating sub-flow opened end with it. */
async function runSubFlow<I extends TSchema, O extends TSchema>(
  scope: Scope,
  flow: FlowDefinition<I, O>,
  input: unknown,
): Promise<Static<O>> {
  const close = async (failure?: { type: string; message: string }): Promise<void> => {
    if (scope.opened.length === 0) return;
    await scope.ask({ kind: "session.close", sessions: [...scope.opened], ...(failure === undefined ? {} : { failure }) });
  };
  let output: Static<O>;
  try {
    output = await callInline(scope, flow, input);
  } catch (thrown) {
    const { type, message } = failureOf(thrown);
    await close({ type, message });
    throw thrown;
  }
  await close();
  return output;
}

function ledgerOf(ask: Scope["ask"], platform: (flow: PlatformFlowName, input: Data) => Promise<Data>): Ledger {
  const signed = (transaction: Data) => transaction as unknown as SignedTransaction;
  const party = ({ id, counterparty }: Session) => ({ id, counterparty });
  return {
    sign: async (proposal) => signed(await platform("ledger.sign", { proposal: plain(proposal, "the proposal") })),
    finalize: async ({ record }, sessions) =>
      signed(await platform("ledger.finalize", { record: plain(record, "the record"), sessions: sessions.map(party) })),
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
      return signed(await answer(null));
    },
    findTransaction: async (id) => ((await ask({ kind: "vault.transaction", id })) ?? undefined) as TransactionView | undefined,
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
