// Sessions as flow code sees them, on top of the steps that the engine knows.

import type { Data, X500Name } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { FlowContext, Session, SessionOptions } from "./context.ts";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import { allOf, type FlowProperties, userOf, withUser } from "./properties.ts";
import type { CounterpartyInfo, Protocol, SessionId, Syscall } from "./syscalls.ts";

type Ask = (call: Syscall) => Promise<Data>;

/** What is known of a session when it begins. */
interface Opened {
  readonly id: SessionId;
  readonly counterparty: X500Name;
  readonly properties: FlowProperties;
  /** Of the flow that answers: the version that was chosen. */
  readonly version?: number;
  /** Whether closing waits for the counterparty. */
  readonly awaited: boolean;
}

export interface Initiating {
  readonly ask: Ask;
  readonly protocol: Protocol | undefined;
  properties(): FlowProperties;
}

export async function initiate(flow: Initiating, name: string, options: SessionOptions): Promise<Session> {
  const counterparty = name as X500Name; // The host decodes it: a name that is none is refused there.
  const speaking = options.protocol ?? flow.protocol;
  if (speaking === undefined) {
    throw new FlowError(
      "session.noProtocol",
      "This flow says no protocol that it initiates: give one to `initiate`, or `initiates` to the flow.",
    );
  }
  const { timeoutMs } = options;
  const properties = withUser(flow.properties(), options.properties ?? {});
  const id = await flow.ask({
    kind: "session.open",
    counterparty,
    protocol: { name: speaking.name, versions: [...speaking.versions] },
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...userOf(properties),
  });
  return sessionOf(flow.ask, { id: id as SessionId, counterparty, properties, awaited: options.requireClose ?? true });
}

export function sessionOf(ask: Ask, { id, counterparty, properties, version, awaited }: Opened): Session {
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
    properties: Object.freeze({ ...allOf(properties) }),
    counterpartyInfo: async () => (await ask({ kind: "session.info", session: id })) as unknown as CounterpartyInfo,
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
      await ask({ kind: "session.close", sessions: [id], ...(awaited ? { awaited } : {}) });
    },
  };
}

/** Of many sessions at once: one step, whatever their number. */
export function exchanges(ask: Ask): Pick<FlowContext, "sendAll" | "receiveAll"> {
  async function receiveAll(of: readonly Session[] | ReadonlyMap<Session, TSchema>, schema?: TSchema): Promise<unknown> {
    const expected = of instanceof Map ? [...of] : (of as readonly Session[]).map((session) => [session, schema as TSchema] as const);
    const payloads = (await ask({
      kind: "session.exchange",
      sends: [],
      receives: expected.map(([{ id }]) => id),
    })) as readonly Data[];
    const values = expected.map(([{ counterparty }, fits], index) => received(fits, payloads[index], counterparty));
    return of instanceof Map ? new Map(expected.map(([session], index) => [session, values[index]])) : values;
  }
  return {
    async sendAll(to: ReadonlyMap<Session, Data> | Sends | readonly Session[], ...same: readonly Data[]) {
      const sends = sendsOf(to, same);
      await ask({ kind: "session.exchange", sends: sends.map(({ session, payload }) => sending(session.id, payload)), receives: [] });
    },
    receiveAll: receiveAll as FlowContext["receiveAll"],
  };
}

type Sends = readonly { readonly session: Session; readonly payload: Data }[];

function sendsOf(to: ReadonlyMap<Session, Data> | Sends | readonly Session[], same: readonly Data[]): Sends {
  const [payload] = same;
  if (to instanceof Map) return [...(to as ReadonlyMap<Session, Data>)].map(([session, each]) => ({ session, payload: each }));
  if (payload === undefined) return to as Sends;
  return (to as readonly Session[]).map((session) => ({ session, payload }));
}

const sending = (session: SessionId, payload: Data) => ({ session, payload: plain(payload, "the payload") });

const received = <S extends TSchema>(schema: S, payload: Data | undefined, counterparty: X500Name): Static<S> =>
  fitting(schema, payload, "session.unexpectedPayload", `the message of ${counterparty}`);
