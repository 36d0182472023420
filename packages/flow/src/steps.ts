// The steps that the engine settles by itself: sessions, time, randomness, vault writes, platform children. Pure.

import { BowlineError, type Data, decoder, type Env, type Instant, invariant } from "@bowline/base";
import type { FiberStart, Outcome, Syscall } from "@bowline/sdk";
import * as Type from "typebox";
import type { Asked, Effect, FiberState, FlowState, Rules } from "./flow-state.ts";
import {
  PROPERTIES_MAX,
  PROPERTY_KEY_CHARS_MAX,
  PROPERTY_VALUE_CHARS_MAX,
  RANDOM_BYTES_MAX,
  SESSION_TIMEOUT_MAX_MS,
  SESSION_TIMEOUT_MIN_MS,
  SESSIONS_MAX,
  SLEEP_MS_MAX,
} from "./limits.ts";
import { endSubFlow, replayed } from "./nested.ts";
import { canonical, deriveRandom } from "./rows.ts";
import { askInfo, closeSessions, exchange, openSession, reservedKey, settleSessionStep, silenceOf } from "./session-steps.ts";

/**
 * Takes up a step that was asked: settles it, starts it, or leaves it new where a commit must come first.
 * The result says whether it waits for that commit.
 */
export function takeUp(rules: Rules, state: FlowState, asked: Asked, env: Env, out: Effect[]): boolean {
  const { call } = asked;
  const malformed = shapeOf(call);
  if (malformed !== undefined) return settle(asked, malformed);
  switch (call.kind) {
    case "clock.now":
      return settle(asked, { ok: env.now });
    case "clock.sleep":
      return takeUpSleep(state, asked, call.durationMs, env.now);
    case "checkpoint":
      return true;
    case "subFlow":
      endSubFlow(state, asked, call, env.now, out);
      return false;
    case "patched":
      return settle(asked, { ok: true });
    case "random":
      return settle(asked, { ok: deriveRandom(state.row.seed, asked.path, call.length, rules.digest) });
    case "session.open":
      return settle(asked, openSession(state, asked, call, env.now));
    case "session.close":
      return settleOrWait(asked, closeSessions(state, call, env.now));
    case "session.info":
      return settleOrWait(asked, askInfo(state, asked, call, env.now));
    case "session.exchange":
      return settleOrWait(asked, exchange(rules, state, asked, call, env.now));
    default:
      return takeUpCall(rules, state, asked, out);
  }
}

/** Settles steps of sessions that have what they wait for, or will not get it, and sleeps that are over. */
export function settleWaiting(rules: Rules, state: FlowState, now: Instant): void {
  for (const asked of state.asked.values()) {
    if (asked.phase !== "waiting" || asked.outcome !== undefined) continue;
    const { call } = asked;
    if (isOfSessions(call)) asked.outcome = settleSessionStep(rules, state, asked, call, now);
    else if (asked.until !== undefined && now >= asked.until) asked.outcome = { ok: null };
  }
}

/** When a step that waits must be looked at though nothing arrives. */
export function untilOf(state: FlowState, asked: Asked): Instant | undefined {
  return isOfSessions(asked.call) ? silenceOf(state, asked, asked.call) : asked.until;
}

const isOfSessions = (call: Syscall): call is Extract<Syscall, { kind: "session.exchange" | "session.info" | "session.close" }> =>
  call.kind === "session.exchange" || call.kind === "session.info" || call.kind === "session.close";

function takeUpSleep(state: FlowState, asked: Asked, durationMs: number, now: Instant): false {
  // A sleep that was committed goes on where it was, whoever takes the flow over.
  const until = state.row.waiting.find(({ path }) => path === asked.path)?.until;
  asked.until = until ?? now + durationMs;
  asked.phase = "waiting";
  return false;
}

function takeUpCall(rules: Rules, state: FlowState, asked: Asked, out: Effect[]): boolean {
  const { call, fiber } = asked;
  const refusal = state.refusals.get(asked.path);
  if (refusal !== undefined) return settle(asked, { error: refusal });
  switch (rules.classify(call, fiber.trusted)) {
    case "forbidden":
      return settle(asked, refused("syscall.forbidden", `This flow may not ask ${nameOf(call)}.`));
    case "child":
      return startChild(state, asked);
    case "write":
      if (state.careful && state.draft.writes.length > 0) return true;
      state.draft.writes.push({ path: asked.path, writes: writesOf(state, asked) });
      return settle(asked, { ok: null });
    case "read":
      if (state.draft.writes.length > 0) return true;
      break;
    case "mark":
      if (state.start !== undefined || state.draft.rows.length > 0 || state.draft.writes.length > 0) return true;
      break;
    case "pure":
      break;
  }
  asked.phase = "calling";
  out.push(performing(state, asked));
  return false;
}

/** An author's rows and messages are written under the name of the package that runs: what a flow says of itself is not asked. */
function writesOf({ row }: FlowState, { path, call, fiber: { bundle } }: Asked): readonly Data[] {
  if (call.kind === "vault.write") return call.writes;
  if (call.kind === "external.send") return [{ id: `${row.id}/${path}`, ...call, bundle }];
  if (call.kind === "tokens.release") return [{ ...call }];
  invariant(call.kind === "entity.write", `${call.kind} writes nothing`);
  const { entity, action, rows } = call;
  return [{ kind: "entities", bundle, entity, action, rows }];
}

export const performing = (state: FlowState, { path, call, fiber }: Asked): Effect => ({
  kind: "perform",
  path,
  call,
  context: { identity: state.row.identity, path, bundle: fiber.bundle, trusted: fiber.trusted },
});

function startChild(state: FlowState, asked: Asked): false {
  const { call, path } = asked;
  if (call.kind !== "platform") return settle(asked, refused("syscall.forbidden", `${nameOf(call)} runs no child.`));
  const { identity } = state.row;
  const { platform } = identity.properties;
  const user = call.properties ?? {};
  const reserved = reservedKey(platform, user);
  if (reserved !== undefined) return settle(asked, refused("properties.reserved", `The property ${reserved} is the platform's to set.`));
  const fiber: FiberState = { id: `${state.row.id}/${path}`, bundle: "platform", trusted: true, path, finished: undefined };
  const start: FiberStart = {
    kind: "called",
    fiber: fiber.id,
    path,
    flow: call.flow,
    identity: { ...identity, properties: { platform, user } },
    input: canonicalInput(call.input),
    ...replayed(state, fiber),
  };
  state.fibers.set(fiber.id, fiber);
  state.starting.push(start);
  asked.phase = "child";
  return false;
}

/** The child takes canonical bytes, as its replay will. */
function canonicalInput(input: Extract<Syscall, { kind: "platform" }>["input"]): typeof input {
  const { ok } = canonical({ ok: input }) as { readonly ok: typeof input };
  return ok;
}

function settle(asked: Asked, outcome: Outcome): false {
  asked.outcome = outcome;
  return false;
}

function settleOrWait(asked: Asked, outcome: Outcome | undefined): false {
  asked.outcome = outcome;
  if (outcome === undefined) asked.phase = "waiting";
  return false;
}

const nameOf = (call: Syscall): string => (call.kind === "service" ? call.service : call.kind);
const refused = (type: string, message: string): Outcome => ({ error: { type, message } });

const Name = Type.String({ minLength: 1, maxLength: 1_024 });
const Protocol = Type.Object({ name: Name, versions: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: 64 }) });
const Properties = Type.Record(
  Type.String({ minLength: 1, maxLength: PROPERTY_KEY_CHARS_MAX }),
  Type.String({ maxLength: PROPERTY_VALUE_CHARS_MAX }),
  { maxProperties: PROPERTIES_MAX },
);
const Sessions = Type.Array(Type.String(), { maxItems: SESSIONS_MAX });
const SHAPES: Partial<Record<Syscall["kind"], (value: unknown) => unknown>> = {
  "session.open": decoder(
    Type.Object({
      kind: Type.String(),
      counterparty: Name,
      protocol: Protocol,
      timeoutMs: Type.Optional(Type.Integer({ minimum: SESSION_TIMEOUT_MIN_MS, maximum: SESSION_TIMEOUT_MAX_MS })),
      properties: Type.Optional(Properties),
    }),
    "session.open",
  ),
  subFlow: decoder(
    Type.Object({
      kind: Type.String(),
      flow: Name,
      input: Type.Unknown(),
      initiating: Type.Optional(Type.Literal(true)),
      outcome: Type.Union([
        Type.Object({ ok: Type.Unknown() }, { additionalProperties: false }),
        Type.Object({ error: Type.Object({ type: Type.String(), message: Type.String() }) }, { additionalProperties: false }),
      ]),
    }),
    "subFlow",
  ),
  "session.info": decoder(Type.Object({ kind: Type.String(), session: Type.String() }), "session.info"),
  "session.exchange": decoder(
    Type.Object({
      kind: Type.String(),
      sends: Type.Array(Type.Object({ session: Type.String(), payload: Type.Unknown() }), { maxItems: SESSIONS_MAX }),
      receives: Sessions,
    }),
    "session.exchange",
  ),
  "session.close": decoder(
    Type.Object({
      kind: Type.String(),
      sessions: Sessions,
      awaited: Type.Optional(Type.Literal(true)),
      failure: Type.Optional(Type.Object({ type: Type.String(), message: Type.String() })),
    }),
    "session.close",
  ),
  "clock.sleep": decoder(
    Type.Object({ kind: Type.String(), durationMs: Type.Integer({ minimum: 0, maximum: SLEEP_MS_MAX }) }),
    "clock.sleep",
  ),
  platform: decoder(
    Type.Object({ kind: Type.String(), flow: Type.String(), input: Type.Unknown(), properties: Type.Optional(Properties) }),
    "platform",
  ),
  random: decoder(Type.Object({ kind: Type.String(), length: Type.Integer({ minimum: 1, maximum: RANDOM_BYTES_MAX }) }), "random"),
};

/** What is wrong with a call that comes from code which may say anything. */
function shapeOf(call: Syscall): Outcome | undefined {
  try {
    SHAPES[call.kind]?.(call);
    return undefined;
  } catch (cause) {
    if (cause instanceof BowlineError) return refused("syscall.invalid", cause.message);
    throw cause;
  }
}
