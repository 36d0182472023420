// A journal as it is shown: what each step asked and got, when, how long, over which session and with whom. Payloads are
// shown up to a length, for one of them may be a hundred megabytes. Pure.

import { type Data, decode, encode, type Instant, writeJson } from "@bowline/base";
import type { FlowInspection, FlowRow } from "@bowline/flow";
import type { JournalPage } from "../services.ts";

type Step = FlowInspection["journal"][number];
type SessionRow = FlowInspection["sessions"][number];

/** A value nests no deeper where sessions are looked for. */
const DEPTH_MAX = 8;

export const momentText = (at: Instant): string => new Date(at).toISOString();

/** More than the steps of one activation. */
const ORDINALS = 2 ** 20;

/** What `next` of the page before means; one step more than is shown tells whether there are more. */
export const journalFrom = (after: number, limit: number): JournalPage => ({
  from: { activation: Math.floor(after / ORDINALS), ordinal: after % ORDINALS },
  limit: limit + 1,
});

/** Of steps that were read by `journalFrom`. */
export function journalPage(
  { row, journal, sessions }: FlowInspection,
  { limit, payloadLimit }: { readonly limit: number; readonly payloadLimit: number },
) {
  const page = journal.slice(0, limit);
  const last = page.at(-1);
  const isLast = journal.length <= limit || last === undefined;
  const { origin } = row;
  return {
    input: origin.kind === "client" ? payloadBody(origin.input, payloadLimit) : null,
    startedBy: origin.kind === "client" ? origin.startedBy : null,
    counterparty: origin.kind === "session" ? origin.counterparty : null,
    steps: page.map((step) => stepBody(step, sessions, payloadLimit)),
    waiting: isLast ? waitingBody(row.waiting) : [],
    next: isLast ? null : last.activation * ORDINALS + last.ordinal + 1,
  };
}

function stepBody(step: Step, sessions: readonly SessionRow[], payloadLimit: number) {
  const { path, kind, request, outcome, askedAt, at } = step;
  const asked = request === null ? undefined : askedOf(request);
  const touched = new Set<string>();
  for (const value of [asked, "ok" in outcome && kind === "session.open" ? outcome.ok : null]) collectTexts(value, touched, DEPTH_MAX);
  return {
    path,
    kind,
    asked: asked === undefined ? null : payloadBody(asked, payloadLimit),
    answer: "ok" in outcome ? payloadBody(outcome.ok, payloadLimit) : null,
    error: "error" in outcome ? { type: outcome.error.type, message: outcome.error.message } : null,
    askedAt: momentText(askedAt),
    answeredAt: momentText(at),
    durationMs: Math.max(0, at - askedAt),
    sessions: sessions
      .filter(({ id }) => touched.has(id))
      .map(({ id, counterparty, protocol }) => ({ id, counterparty, protocol: protocol.name })),
  };
}

/** A syscall without its kind, which stands beside it. */
function askedOf(request: Uint8Array): Data {
  const { kind: _, ...asked } = decode(request) as { readonly [name: string]: Data };
  return asked;
}

function payloadBody(value: Data, limit: number) {
  const bytes = encode(value).length;
  const text = writeJson(value);
  if (text.length <= limit) return { bytes, json: JSON.parse(text) as unknown };
  return { bytes, beginning: text.slice(0, limit).toWellFormed() };
}

/** A session that a step names anywhere in what it asks is one that it is about. */
function collectTexts(value: Data | undefined, found: Set<string>, depth: number): void {
  if (typeof value === "string") found.add(value);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array || depth === 0) return;
  for (const member of Object.values(value)) collectTexts(member as Data, found, depth - 1);
}

export const waitingBody = (waiting: FlowRow["waiting"]) =>
  waiting.map(({ path, kind, until }) => ({ path, kind, until: until === null ? null : momentText(until) }));

export function sessionBody({ protocol, status, expiresAt, failure, ...row }: SessionRow) {
  const { id, side, counterparty, version, sent, consumed } = row;
  return {
    ...{ id, side, counterparty, version, sent, consumed },
    protocol: protocol.name,
    status: status as string,
    expiresAt: momentText(expiresAt),
    failure: failure === null ? null : { type: failure.type, message: failure.message },
  };
}
