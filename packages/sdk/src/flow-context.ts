// What flow code is handed, on top of one fiber. A scope numbers the steps of one flow function: a sub-flow has a scope
// of its own below the step at which it was called, so that steps keep their paths whatever runs beside them.

import type { Data, X500Name } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { StepPath } from "./activation.ts";
import type { FlowContext, Ledger, Session, SignedTransaction, Vault } from "./context.ts";
import type { FlowDefinition } from "./definition.ts";
import { FlowError, failureOf } from "./failure.ts";
import type { Fiber } from "./fiber.ts";
import { keysOf } from "./keys.ts";
import { membersOf, notariesOf, parametersOf } from "./lookups.ts";
import { fitting, plain } from "./plain.ts";
import type { PlatformFlowName, Protocol, SessionId, Syscall } from "./syscalls.ts";
import type { StateAndRef, TransactionView } from "./transaction.ts";

export interface Scope {
  readonly fiber: Fiber;
  readonly context: FlowContext;
  /** Opened by this scope's own function. */
  readonly opened: SessionId[];
  /** The path of the next step. */
  next(): StepPath;
  ask(call: Syscall): Promise<Data>;
}

/** `prefix` ends in a dot unless it is empty; `protocol` is what the flow initiates where nothing else is said. */
export function contextOf(fiber: Fiber, prefix: string, protocol: Protocol | undefined): Scope {
  let steps = 0;
  const next = (): StepPath => `${prefix}${++steps}`;
  const ask = (call: Syscall): Promise<Data> => fiber.ask(next(), call);
  const opened: SessionId[] = [];
  const { identity } = fiber.start;
  const members = membersOf(ask, identity.me, identity.groupId);
  const context: FlowContext = {
    flowId: identity.flowId,
    me: identity.me,
    groupId: identity.groupId,
    async initiate(name, options = {}) {
      const counterparty = name as X500Name; // The host decodes it: a name that is none is refused there.
      const speaking = options.protocol ?? protocol;
      if (speaking === undefined) {
        throw new FlowError(
          "session.noProtocol",
          "This flow says no protocol that it initiates: give one to `initiate`, or `initiates` to the flow.",
        );
      }
      const { timeoutMs } = options;
      const id = await ask({
        kind: "session.open",
        counterparty,
        protocol: { name: speaking.name, versions: [...speaking.versions] },
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
      });
      opened.push(id as SessionId);
      return sessionOf(scope, id as SessionId, counterparty);
    },
    async sendAll(sends) {
      await ask({ kind: "session.exchange", sends: sends.map(({ session, payload }) => sending(session.id, payload)), receives: [] });
    },
    async receiveAll(sessions, schema) {
      const payloads = (await ask({ kind: "session.exchange", sends: [], receives: sessions.map(({ id }) => id) })) as readonly Data[];
      return payloads.map((payload, index) => received(schema, payload, sessions[index]?.counterparty));
    },
    subFlow: (flow, input) => runSubFlow(contextOf(fiber, `${next()}.`, flow.initiates ?? protocol), flow, input),
    now: async () => (await ask({ kind: "clock.now" })) as number,
    async sleep(durationMs) {
      await ask({ kind: "clock.sleep", durationMs: plain(durationMs, "the duration") as number });
    },
    async checkpoint() {
      await ask({ kind: "checkpoint" });
    },
    uuid: async () => uuidOf((await ask({ kind: "random", length: 16 })) as Uint8Array),
    random: async (length) => (await ask({ kind: "random", length: plain(length, "the length") as number })) as Uint8Array,
    log: logOf(fiber),
    members,
    notaries: notariesOf(ask, members),
    groupParameters: parametersOf(ask),
    keys: keysOf(ask),
    ledger: ledgerOf(ask),
    vault: vaultOf(ask),
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

/** Sessions that an initiating sub-flow opened end with it. */
async function runSubFlow<I extends TSchema, O extends TSchema>(
  scope: Scope,
  flow: FlowDefinition<I, O>,
  input: unknown,
): Promise<Static<O>> {
  const close = async (failure?: { type: string; message: string }): Promise<void> => {
    if (flow.initiates === undefined || scope.opened.length === 0) return;
    await scope.ask({ kind: "session.close", sessions: [...scope.opened], ...(failure === undefined ? {} : { failure }) });
  };
  let output: Data;
  try {
    output = await callFlow(flow, scope, plain(input, "the input"));
  } catch (thrown) {
    const { type, message } = failureOf(thrown);
    await close({ type, message });
    throw thrown;
  }
  await close();
  return output as Static<O>;
}

/** `version` is the responder's to know. */
export function sessionOf({ ask }: Pick<Scope, "ask">, id: SessionId, counterparty: X500Name, version?: number): Session {
  const exchange = async (sends: readonly Data[], receives: boolean): Promise<readonly Data[]> =>
    (await ask({
      kind: "session.exchange",
      sends: sends.map((payload) => sending(id, payload)),
      receives: receives ? [id] : [],
    })) as readonly Data[];
  return {
    id,
    counterparty,
    ...(version === undefined ? {} : { version }),
    async send(payload) {
      await exchange([payload], false);
    },
    async receive(schema) {
      const [payload] = await exchange([], true);
      return received(schema, payload, counterparty);
    },
    async sendAndReceive(payload, schema) {
      const [answer] = await exchange([payload], true);
      return received(schema, answer, counterparty);
    },
    async close() {
      await ask({ kind: "session.close", sessions: [id] });
    },
  };
}

const sending = (session: SessionId, payload: Data) => ({ session, payload: plain(payload, "the payload") });

const received = <S extends TSchema>(schema: S, payload: Data | undefined, counterparty: X500Name | undefined): Static<S> =>
  fitting(schema, payload, "session.unexpectedPayload", `the message of ${counterparty}`);

function ledgerOf(ask: Scope["ask"]): Ledger {
  const platform = (flow: PlatformFlowName, input: Data): Promise<Data> => ask({ kind: "platform", flow, input });
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
    async find<S extends TSchema>(state: { readonly name: string }, query: Parameters<Vault["find"]>[1] = {}) {
      const asked = plain({ ...query, state: state.name }, "the query");
      const page = (await ask({ kind: "vault.find", query: asked as never })) as unknown as {
        readonly states: readonly StateAndRef<Static<S> & Data>[];
        readonly next: string | null;
      };
      return { states: page.states, next: page.next ?? undefined };
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
