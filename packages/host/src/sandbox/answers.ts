// What comes out of an isolate, read and checked: nothing of it is believed.
//
// It is text: JSON, where bytes are {"#":"b<base64>"}, or {"#":"a<number>"} where they came apart from it, integers beyond 2^53
// {"#":"n<decimal>"}, and a key that begins with # is written with one # more. Of what a bundle says of its fibers: one that asks what author code may not ask, or says what
// is no plain data, has failed; the others go on.

import { BowlineError, type Data, type Decoder, decoder, parseName } from "@bowline/base";
import type { AuthorSyscall, FiberReport, Outcome, PlatformFlowName, Syscall } from "@bowline/sdk";
import Type, { type TSchema } from "typebox";
import {
  ACTIVATION_BYTES_MAX,
  ANSWER_CHARS_MAX,
  LOGS_PER_REPORT_MAX,
  PAYLOADS_BYTES_MAX,
  STACK_CHARS_MAX,
  STEP_BYTES_MAX,
  SYSCALLS_PER_REPORT_MAX,
} from "./limits.ts";

// --- Text ---

/** Levels that an answer may have: those of `Data`, and those around it. */
export const WIRE_DEPTH_MAX = 40;

/** Plain JSON, or what the isolate says it threw. Throws `sandbox.answerInvalid`. */
export function parseAnswer(text: unknown, charsMax: number): { readonly ok: unknown } | { readonly thrown: string } {
  if (typeof text !== "string") throw answerInvalid("is no text");
  if (text.length > charsMax) throw answerInvalid(`takes ${text.length} characters, more than ${charsMax}`);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw answerInvalid("is no JSON");
  }
  if (isObject(answer) && "ok" in answer) return { ok: answer["ok"] };
  if (isObject(answer) && typeof answer["thrown"] === "string") return { thrown: answer["thrown"] };
  throw answerInvalid("is neither an answer nor a failure");
}

/** Bytes that came apart from the text, by the number that stands for them there. Whoever reads the text takes them out. */
export type Apart = Map<number, Uint8Array>;

const decodeCollected = decoder(
  Type.Object({
    reports: Type.Unknown(),
    apart: Type.Array(Type.Tuple([Type.Integer({ minimum: 1 }), Type.Integer({ minimum: 1, maximum: ACTIVATION_BYTES_MAX })])),
  }),
  "collected reports",
);

/** Reports, and how many bytes are to be taken apart from them. Throws `sandbox.answerInvalid`. */
export function parseCollected(answer: unknown): { readonly reports: unknown; readonly sizes: readonly (readonly [number, number])[] } {
  try {
    const { reports, apart } = decodeCollected(answer);
    const bytes = apart.reduce((sum, [, size]) => sum + size, 0);
    if (bytes <= ACTIVATION_BYTES_MAX) return { reports, sizes: apart };
    throw answerInvalid(`hands over ${bytes} bytes at once, more than ${ACTIVATION_BYTES_MAX}`);
  } catch (cause) {
    if (cause instanceof BowlineError && cause.code !== "sandbox.answerInvalid") throw answerInvalid("is no list of reports");
    throw cause;
  }
}

/**
 * Of parsed JSON, the plain data that it stands for. `numbers` says whether fractions may be among it. Throws
 * `sandbox.answerInvalid`.
 */
export function fromWire(value: unknown, numbers: "integers" | "any", apart: Apart = NOTHING_APART, depth = 0): Data {
  if (depth > WIRE_DEPTH_MAX) throw answerInvalid(`nests deeper than ${WIRE_DEPTH_MAX} levels`);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") {
    if (value.isWellFormed()) return value;
    throw answerInvalid("holds text with a lone surrogate");
  }
  if (typeof value === "number") {
    if (numbers === "any" || Number.isSafeInteger(value)) return value;
    throw answerInvalid(`holds ${value}, which is no integer below 2^53`);
  }
  if (Array.isArray(value)) return value.map((item) => fromWire(item, numbers, apart, depth + 1));
  if (!isObject(value)) throw answerInvalid(`holds a ${typeof value}`);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === "#") return scalar(entries[0][1], apart);
  const map: { [key: string]: Data } = {};
  for (const [escaped, member] of entries) {
    if (escaped === "#") throw answerInvalid("holds a # beside other members");
    const key = escaped.startsWith("##") ? escaped.slice(1) : escaped;
    if (!key.isWellFormed()) throw answerInvalid("holds a key with a lone surrogate");
    // `__proto__` as an own property, never as the prototype.
    const said = fromWire(member, numbers, apart, depth + 1);
    Object.defineProperty(map, key, { value: said, enumerable: true, configurable: true, writable: true });
  }
  return map;
}

const NOTHING_APART: Apart = new Map();

function scalar(written: unknown, apart: Apart): Data {
  if (typeof written === "string" && /^b(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(written))
    return new Uint8Array(Buffer.from(written.slice(1), "base64"));
  if (typeof written === "string" && /^n-?\d{1,40}$/.test(written)) return BigInt(written.slice(1));
  if (typeof written === "string" && /^a\d{1,15}$/.test(written)) {
    const id = Number(written.slice(1));
    const bytes = apart.get(id);
    apart.delete(id); // They stand in one place.
    if (bytes !== undefined) return bytes;
  }
  throw answerInvalid("holds a # that is neither bytes nor an integer");
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const answerInvalid = (what: string): BowlineError =>
  new BowlineError("internal", "sandbox.answerInvalid", `What a package answered ${what}.`, { reason: what });

// --- Reports of fibers ---

/** The fibers that live in the isolate, each with the prefix of its steps' paths. */
export type LiveFibers = ReadonlyMap<string, string>;

/** In the order of `collected`, and whose reports were refused; what is said of fibers that do not live there is dropped. */
export function checkReports(
  collected: unknown,
  live: LiveFibers,
  apart: Apart = new Map(),
): { readonly reports: readonly FiberReport[]; readonly refused: readonly string[] } {
  if (!Array.isArray(collected)) throw answerInvalid("is no list of reports");
  const reports = new Map<string, FiberReport>();
  const refused: string[] = [];
  for (const item of collected as readonly unknown[]) {
    if (!isObject(item) || typeof item["fiber"] !== "string") throw answerInvalid("is a report of no fiber");
    const fiber = item["fiber"];
    const prefix = live.get(fiber);
    if (prefix === undefined || reports.has(fiber)) continue;
    try {
      reports.set(fiber, checkReport({ fiber, prefix, apart }, item["report"]));
    } catch (cause) {
      if (!(cause instanceof BowlineError)) throw cause;
      refused.push(fiber);
      reports.set(fiber, { fiber, syscalls: [], logs: [], finished: { error: { type: cause.code, message: cause.message } } });
    }
  }
  return { reports: [...reports.values()], refused };
}

interface Reporting {
  readonly fiber: string;
  readonly prefix: string;
  readonly apart: Apart;
}

function checkReport(reporting: Reporting, answer: unknown): FiberReport {
  const { fiber } = reporting;
  if (!isObject(answer)) throw answerInvalid("is no report");
  if (typeof answer["thrown"] === "string") throw answerInvalid(`cannot leave the sandbox: ${answer["thrown"]}`);
  const report = answer["ok"];
  if (!isObject(report)) throw answerInvalid("is no report");
  const syscalls = listOf(report["syscalls"], "syscalls", SYSCALLS_PER_REPORT_MAX).map((asked) => checkSyscall(reporting, asked));
  const logs = listOf(report["logs"], "logs").slice(0, LOGS_PER_REPORT_MAX).map(checkLog);
  const finished = report["finished"];
  if (finished === undefined) return { fiber, syscalls, logs };
  return { fiber, syscalls: [], logs, finished: checkOutcome(finished), ...checkStack(report["stack"]) };
}

/** Text of lines, whatever it says. */
const checkStack = (stack: unknown): { readonly stack?: string } =>
  typeof stack === "string"
    ? {
        stack: stack
          .slice(0, STACK_CHARS_MAX)
          .toWellFormed()
          .replaceAll(/[^\P{Cc}\n]/gu, "?"),
      }
    : {};

function listOf(value: unknown, what: string, lengthMax = Number.MAX_SAFE_INTEGER): readonly unknown[] {
  if (!Array.isArray(value)) throw answerInvalid(`has no list of ${what}`);
  if (value.length > lengthMax) throw answerInvalid(`has ${value.length} ${what} at once, more than ${lengthMax}`);
  return value;
}

function checkSyscall({ prefix, apart }: Reporting, asked: unknown): FiberReport["syscalls"][number] {
  const { path, call, kind, excess } = isObject(asked) ? asked : {};
  const own = typeof path === "string" && (prefix === "" ? path : path.startsWith(`${prefix}.`) ? path.slice(prefix.length + 1) : "");
  if (typeof path !== "string" || typeof own !== "string" || path.length > PATH_CHARS_MAX || !/^[1-9]\d*(\.[1-9]\d*)*$/.test(own))
    throw answerInvalid("asks for a step that is not its own");
  if (typeof excess === "string") {
    if (typeof kind !== "string" || !Object.hasOwn(CALLS, kind)) throw mayNotAsk(kind);
    return tooLarge(path, kind, excess);
  }
  const bytesBefore = sizeOf(apart);
  const checked = checkCall(fromWire(call, "integers", apart));
  const bytes = bytesBefore - sizeOf(apart);
  return bytes <= bytesMaxOf(checked.kind) ? { path, call: checked } : tooLarge(path, checked.kind, `${bytes} bytes`);
}

function sizeOf(apart: Apart): number {
  let size = 0;
  for (const { length } of apart.values()) size += length;
  return size;
}

/** Of steps that carry what flows say to each other and hand to each other. */
const bytesMaxOf = (kind: string): number => (kind === "session.exchange" || kind === "subFlow" ? PAYLOADS_BYTES_MAX : STEP_BYTES_MAX);

/** What is too large never leaves: something stands for it that names it, the same whenever the flow is replayed. */
function tooLarge(path: string, kind: string, excess: string): FiberReport["syscalls"][number] {
  const most = `${bytesMaxOf(kind)} bytes and ${ANSWER_CHARS_MAX} characters of other data`;
  const message = `Such a step hands over at most ${most}, and this one ${excess.slice(0, 100)}: do it in several.`;
  return { path, call: { kind: "service", service: kind, request: message }, refused: { type: "sandbox.stepTooLarge", message } };
}

const PATH_CHARS_MAX = 1_000;

function checkCall(call: Data): Syscall {
  const kind = isObject(call) ? call["kind"] : undefined;
  const check = typeof kind === "string" && Object.hasOwn(CALLS, kind) ? CALLS[kind as AuthorSyscall["kind"]] : undefined;
  if (check === undefined) throw mayNotAsk(kind);
  return canonicalNames(check(call) as AuthorSyscall);
}

const mayNotAsk = (kind: unknown): BowlineError => answerInvalid(`asks for ${String(kind)}, which packages may not ask for`);

/** Throws `name.invalid`. */
function canonicalNames(call: AuthorSyscall): AuthorSyscall {
  if (call.kind === "session.open") return { ...call, counterparty: parseName(call.counterparty) };
  if ((call.kind === "members.find" || call.kind === "notaries.find") && call.name !== undefined)
    return { ...call, name: parseName(call.name) };
  return call;
}

const exactly = <P extends Record<string, TSchema>>(properties: P) => Type.Object(properties, { additionalProperties: false });
/** As authors write it; `canonicalNames` makes it canonical, or refuses it. */
const Name = Type.String({ maxLength: 1_000 });
/** A composite key takes the most. */
const Key = Type.String({ maxLength: 65_536 });
const TOKEN_FILTER = {
  tokenType: Type.String(),
  issuer: Type.String(),
  symbol: Type.String(),
  notary: Name,
  owner: Type.Optional(Type.String()),
  tagPattern: Type.Optional(Type.String()),
};
const Bytes = Type.Unsafe<Uint8Array>(
  Type.Refine(
    Type.Unknown(),
    (value) => value instanceof Uint8Array,
    () => "must be bytes",
  ),
);
const Protocol = exactly({
  name: Type.String({ minLength: 1, maxLength: 256 }),
  versions: Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: 100 }),
});
const Failure = exactly({
  type: Type.String(),
  message: Type.String(),
  details: Type.Optional(Type.Record(Type.String(), Type.String())),
});
/** The engine says how many there may be, and how long. */
const Properties = Type.Optional(Type.Record(Type.String(), Type.String()));
const Plain = Type.Unknown(); // Plain data already: `fromWire` made it.

/** A record, so that none which the sdk calls is forgotten. */
const FLOWS_FOR_AUTHORS: Readonly<Record<Exclude<PlatformFlowName, "ledger.resolve">, true>> = {
  "ledger.sign": true,
  "ledger.signAll": true,
  "ledger.signatures": true,
  "ledger.finalize": true,
  "ledger.receiveProposal": true,
  "ledger.answerProposal": true,
  "ledger.filter": true,
  "ledger.verifyFiltered": true,
  "ledger.mergeFiltered": true,
  "ledger.send": true,
  "ledger.receive": true,
  "ledger.keepDraft": true,
  "ledger.findDraft": true,
  "ledger.takeUpDraft": true,
  "ledger.exchangeBuilder": true,
  "ledger.receiveBuilder": true,
  "ledger.updateBuilder": true,
};

const SCHEMAS: Readonly<Record<AuthorSyscall["kind"], TSchema>> = {
  "session.open": exactly({
    kind: Type.Literal("session.open"),
    counterparty: Name,
    protocol: Protocol,
    timeoutMs: Type.Optional(Type.Integer({ minimum: 1 })),
    properties: Properties,
  }),
  "session.info": exactly({ kind: Type.Literal("session.info"), session: Type.String() }),
  "session.exchange": exactly({
    kind: Type.Literal("session.exchange"),
    sends: Type.Array(exactly({ session: Type.String(), payload: Plain })),
    receives: Type.Array(Type.String()),
  }),
  "session.close": exactly({
    kind: Type.Literal("session.close"),
    sessions: Type.Array(Type.String()),
    awaited: Type.Optional(Type.Literal(true)),
    failure: Type.Optional(exactly({ type: Type.String(), message: Type.String() })),
  }),
  "clock.now": exactly({ kind: Type.Literal("clock.now") }),
  "clock.sleep": exactly({ kind: Type.Literal("clock.sleep"), durationMs: Type.Integer({ minimum: 0 }) }),
  subFlow: exactly({
    kind: Type.Literal("subFlow"),
    flow: Type.String({ minLength: 1, maxLength: 1_024 }),
    input: Plain,
    initiating: Type.Optional(Type.Literal(true)),
    outcome: Type.Optional(Type.Union([exactly({ ok: Plain }), exactly({ error: Failure })])),
  }),
  patched: exactly({ kind: Type.Literal("patched"), name: Type.String({ minLength: 1, maxLength: 256 }) }),
  checkpoint: exactly({ kind: Type.Literal("checkpoint"), reached: Type.Optional(Plain) }),
  random: exactly({ kind: Type.Literal("random"), length: Type.Integer({ minimum: 0, maximum: 65_536 }) }),
  "members.find": exactly({ kind: Type.Literal("members.find"), name: Type.Optional(Name), key: Type.Optional(Key) }),
  "notaries.find": exactly({ kind: Type.Literal("notaries.find"), name: Type.Optional(Name) }),
  "group.parameters": exactly({ kind: Type.Literal("group.parameters") }),
  "keys.sign": exactly({ kind: Type.Literal("keys.sign"), key: Key, spec: Type.Optional(Type.String({ maxLength: 64 })), bytes: Bytes }),
  "keys.mine": exactly({ kind: Type.Literal("keys.mine"), keys: Type.Array(Key, { maxItems: 10_000 }) }),
  "keys.compose": exactly({
    kind: Type.Literal("keys.compose"),
    threshold: Type.Integer(),
    children: Type.Array(exactly({ key: Key, weight: Type.Integer() }), { maxItems: 100 }),
  }),
  "external.send": exactly({
    kind: Type.Literal("external.send"),
    channel: Type.String({ pattern: "^[A-Za-z0-9._-]{1,100}$" }),
    id: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    message: Type.String({ maxLength: 972_800 }),
  }),
  "vault.find": exactly({
    kind: Type.Literal("vault.find"),
    query: exactly({
      state: Type.String(),
      consumed: Type.Optional(Type.Boolean()),
      where: Type.Optional(Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]))),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      after: Type.Optional(Type.String()),
    }),
  }),
  "vault.query": exactly({
    kind: Type.Literal("vault.query"),
    query: Type.String(),
    parameters: Plain,
    refs: Type.Optional(Type.Array(Type.String(), { maxItems: 10_000 })),
    createdUntil: Type.Optional(Type.Integer()),
    limit: Type.Optional(Type.Integer()),
    after: Type.Optional(Type.String()),
  }),
  "vault.resolve": exactly({ kind: Type.Literal("vault.resolve"), refs: Type.Array(Type.String(), { maxItems: 10_000 }) }),
  "vault.transaction": exactly({ kind: Type.Literal("vault.transaction"), id: Type.String() }),
  "tokens.claim": exactly({
    kind: Type.Literal("tokens.claim"),
    criteria: exactly({
      ...TOKEN_FILTER,
      amount: Type.String(),
      strategy: Type.Optional(Type.Enum(["random", "priority"])),
      holdMs: Type.Optional(Type.Integer()),
    }),
  }),
  "tokens.balance": exactly({ kind: Type.Literal("tokens.balance"), filter: exactly(TOKEN_FILTER) }),
  "tokens.release": exactly({
    kind: Type.Literal("tokens.release"),
    claim: Type.String(),
    used: Type.Array(Type.String(), { maxItems: 10_000 }),
  }),
  "entity.write": exactly({
    kind: Type.Literal("entity.write"),
    entity: Type.String(),
    action: Type.Enum(["persist", "merge", "remove"]),
    rows: Type.Array(Plain),
  }),
  "entity.find": exactly({ kind: Type.Literal("entity.find"), entity: Type.String(), keys: Type.Array(Plain) }),
  "entity.query": exactly({
    kind: Type.Literal("entity.query"),
    entity: Type.String(),
    query: Type.Union([Type.String(), Type.Null()]),
    parameters: Plain,
    limit: Type.Optional(Type.Integer()),
    after: Type.Optional(Type.String()),
  }),
  platform: exactly({
    kind: Type.Literal("platform"),
    flow: Type.Enum(Object.keys(FLOWS_FOR_AUTHORS) as (keyof typeof FLOWS_FOR_AUTHORS)[]),
    input: Plain,
    properties: Properties,
  }),
};

const CALLS = Object.fromEntries(Object.entries(SCHEMAS).map(([kind, schema]) => [kind, decoder(schema, `syscall ${kind}`)])) as Readonly<
  Record<AuthorSyscall["kind"], Decoder<unknown>>
>;

const checkLogLine = decoder(
  exactly({
    level: Type.Union([Type.Literal("debug"), Type.Literal("info"), Type.Literal("warn"), Type.Literal("error")]),
    message: Type.String(),
    facts: Type.Unsafe<Data>(Plain),
  }),
  "log line",
);

const checkLog = (line: unknown): FiberReport["logs"][number] => checkLogLine(fromWire(line, "any"));

const checkFailure = decoder(Failure, "failure");

function checkOutcome(outcome: unknown): Outcome {
  const plain = fromWire(outcome, "integers");
  if (!isObject(plain)) throw answerInvalid("ends with neither a result nor a failure");
  if ("ok" in plain) return { ok: plain["ok"] as Data };
  return { error: checkFailure(plain["error"]) as Extract<Outcome, { error: unknown }>["error"] };
}
