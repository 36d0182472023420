// Composes a step commit from what happened since the last one. Pure.

import { type Env, hex, type Instant } from "@bowline/base";
import type { Outcome, SessionId } from "@bowline/sdk";
import type { FlowState, Pending } from "./flow-state.ts";
import { LEASE_MS } from "./limits.ts";
import type { Acknowledgement, FlowRow, SessionMessage, SessionRow, Waiting } from "./ports.ts";
import { received } from "./sessions.ts";
import { untilOf } from "./steps.ts";

const COMMIT_ID_BYTES = 12;

/** All of `state.draft`, every session that changed, and every message that arrived and would else be in memory only. */
export function compose(state: FlowState, status: FlowRow["status"], outcome: Outcome | null, env: Env): Pending {
  const { draft, row } = state;
  const sessions: SessionRow[] = [];
  const inboxAdded: SessionMessage[] = [];
  const outboxAcknowledged: Acknowledgement[] = [];
  const durable = new Map<SessionId, number>();
  const parked = status === "PARKED";
  for (const session of state.sessions.values()) {
    if (session.heard > session.heeded) {
      session.heeded = session.heard;
      outboxAcknowledged.push({ session: session.row.id, from: session.row.side, sequence: session.heard });
    }
    if (parked) continue;
    if (session.dirty) sessions.push(session.row);
    session.dirty = false;
    for (const [sequence, message] of session.inbox) {
      if (session.stored.has(sequence)) continue;
      session.stored.add(sequence);
      inboxAdded.push(message);
    }
    durable.set(session.row.id, received(session));
  }
  return {
    draft,
    durable,
    commit: {
      flowId: row.id,
      at: env.now,
      ...(state.start === undefined ? {} : { start: state.start }),
      expectedVersion: row.version,
      commitId: hex(env.random(COMMIT_ID_BYTES)),
      journal: draft.rows,
      collapsed: draft.collapsed,
      sessions,
      inboxAdded,
      inboxConsumed: draft.consumed,
      outboxAdded: draft.outbox,
      outboxAcknowledged,
      status,
      outcome,
      wakeAt: status === "RUNNING" ? wakeAt(state, env.now) : null,
      waiting: parked ? row.waiting : waitingOf(state),
      vaultWrites: draft.writes.flatMap(({ writes }) => writes),
    },
  };
}

/** When the flow must be looked at again: what it waits for, or the lease of whoever runs it. */
function wakeAt(state: FlowState, now: Instant): Instant | null {
  let earliest = Number.POSITIVE_INFINITY;
  for (const asked of state.asked.values()) {
    const running = asked.phase !== "waiting" && asked.phase !== "child";
    earliest = Math.min(earliest, running ? now + LEASE_MS : (untilOf(state, asked) ?? Number.POSITIVE_INFINITY));
  }
  return Number.isFinite(earliest) ? earliest : null;
}

const waitingOf = (state: FlowState): readonly Waiting[] =>
  [...state.asked.values()].map(({ path, call, phase, until }) => ({
    path,
    kind: call.kind,
    until: phase === "waiting" ? (until ?? null) : null,
  }));
