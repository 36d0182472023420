// Messages that arrive for a flow, and what both sides say they have. Pure; changes the state it is given.

import type { Env } from "@bowline/base";
import type { Effect, FlowState } from "./flow-state.ts";
import { opposite } from "./messages.ts";
import type { SessionMessage } from "./ports.ts";
import { arrive, received, type SessionState } from "./sessions.ts";
import { discard } from "./steps.ts";

/** What arrived goes to its session; what arrived before is acknowledged again. */
export function take(state: FlowState, messages: readonly SessionMessage[], env: Env, out: Effect[]): void {
  for (const message of messages) {
    const session = state.sessions.get(message.session);
    if (session === undefined || session.row.side === message.from) continue;
    const { news, repeated, discarded } = arrive(session, message, env.now);
    discard(state, session, discarded);
    if (news) state.volatile.push(message);
    if (!repeated) continue;
    const sequence = session.row.status === "open" ? Math.min(received(session), session.told) : message.sequence;
    if (sequence > 0) out.push({ kind: "owe", message: acknowledgement(state, session, sequence) });
  }
}

/** No commit is coming that would carry what counterparties said they have. */
export function heed(state: FlowState, out: Effect[]): void {
  const acknowledgements = [];
  for (const session of state.sessions.values()) {
    if (session.heard <= session.heeded) continue;
    session.heeded = session.heard;
    acknowledgements.push({ session: session.row.id, from: session.row.side, sequence: session.heard });
  }
  if (acknowledgements.length > 0) out.push({ kind: "acknowledged", acknowledgements });
}

/** From the inbox table: it is durable already. */
export function restore(state: FlowState, message: SessionMessage, env: Env): void {
  const session = state.sessions.get(message.session);
  if (session === undefined || message.from !== opposite(session.row.side)) return;
  if (arrive(session, message, env.now).news) session.stored.add(message.sequence);
}

/** All of the session up to `sequence` is committed here. */
export const acknowledgement = ({ row }: FlowState, session: SessionState, sequence: number): SessionMessage => ({
  session: session.row.id,
  from: session.row.side,
  sequence: 0,
  source: row.identity.me,
  destination: session.row.counterparty,
  groupId: row.identity.groupId,
  acknowledged: sequence,
  body: { kind: "acknowledge" },
  ...(session.row.side === "responder" && session.row.version !== null ? { version: session.row.version } : {}),
  expiresAt: session.row.expiresAt,
});
