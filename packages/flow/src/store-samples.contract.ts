// Flows, commits and messages for the contract of stores.

import assert from "node:assert/strict";
import { parseName } from "@bowline/base";
import type { FlowSnapshot, FlowStart, FlowStore, JournalRow, SessionMessage, SessionRow, StepCommit } from "./ports.ts";
import { clientStart, responderStart } from "./rows.ts";

export const NOW = 1_700_000_000_000;
export const ALICE = parseName("O=Alice, L=London, C=GB");
export const BOB = parseName("O=Bob, L=Paris, C=FR");
export const GROUP = "6f1d7bc5-2b8e-4d9a-9d06-1d5c5a2f1b11";
export const SESSION = "initiating-flow:1";

export const CLIENT = {
  id: "1",
  seed: Uint8Array.from({ length: 32 }, (_, index) => index),
  bundle: "platform",
  flowName: "Flow",
  identity: { me: ALICE, groupId: GROUP },
  clientRequestId: "r1",
  startedBy: "admin",
  properties: { platform: { "corda.account": "admin" }, user: { purpose: "test" } },
  input: { a: [1, "x", null], b: 2n ** 60n },
  now: NOW,
} as const;

export const client = (id: string): FlowStart => clientStart({ ...CLIENT, id, clientRequestId: `r${id}` });

export function responder(flowId: string): FlowStart & { readonly session: SessionRow } {
  const protocol = { name: "p", versions: [1] };
  const opening: SessionMessage = {
    ...message(1, "initiator"),
    init: { protocol, initiatingFlow: "F", timeoutMs: 60_000, expiresAt: NOW + 60_000 },
  };
  const { row, session } = responderStart({
    opening,
    responder: { protocol, flowName: "R", bundle: "platform" },
    version: 1,
    flowId,
    seed: CLIENT.seed,
    now: NOW,
  });
  const { id, bundle, flowName, identity, origin, seed, wakeAt, createdAt } = row;
  return { row: { id, bundle, flowName, identity, origin, seed, wakeAt, createdAt }, session };
}

/** Of a commit that changes nothing, all but which it is. */
export const EMPTY_COMMIT: Omit<StepCommit, "flowId" | "at" | "expectedVersion" | "commitId"> = {
  journal: [],
  collapsed: [],
  sessions: [],
  inboxAdded: [],
  inboxConsumed: [],
  outboxAdded: [],
  outboxAcknowledged: [],
  status: "RUNNING",
  outcome: null,
  wakeAt: null,
  waiting: [],
  vaultWrites: [],
};

export const step = (flowId: string, changes: Partial<StepCommit>): StepCommit => ({
  ...EMPTY_COMMIT,
  flowId,
  at: NOW + 1,
  expectedVersion: 0,
  commitId: `commit of ${flowId}`,
  wakeAt: NOW + 50,
  ...changes,
});

export const full = (flowId: string): StepCommit => {
  const of = flowId === "1" ? SESSION : `${flowId}:1`;
  return step(flowId, {
    journal: [journalRow("1", 0), journalRow("2", 1)],
    sessions: [{ ...session(flowId), id: of }],
    inboxAdded: [1, 2].map((sequence) => ({ ...message(sequence, "responder"), session: of })),
    outboxAdded: [1, 2, 3].map((sequence) => ({ ...message(sequence, "initiator"), session: of })),
    waiting: [{ path: "3", kind: "clock.sleep", until: NOW + 50 }],
  });
};

export const journalRow = (path: string, ordinal: number): JournalRow => ({
  path,
  kind: "service",
  requestHash: Uint8Array.from([1, 2, ordinal]),
  request: ordinal % 2 === 0 ? Uint8Array.from([3, ordinal]) : null,
  outcome:
    ordinal % 2 === 0 ? { ok: { at: path, bytes: Uint8Array.from([255]) } } : { error: { type: "t", message: path, details: { a: "b" } } },
  activation: 1,
  ordinal,
  askedAt: NOW - 1,
  at: NOW,
});

export const session = (flowId: string): SessionRow => ({
  id: SESSION,
  flowId,
  side: "initiator",
  counterparty: BOB,
  protocol: { name: "p", versions: [1, 2] },
  version: null,
  properties: { purpose: "test" },
  status: "open",
  failure: null,
  sent: 3,
  consumed: 0,
  openedAt: NOW,
  timeoutMs: 60_000,
  expiresAt: NOW + 60_000,
});

export const message = (sequence: number, from: SessionMessage["from"]): SessionMessage => ({
  session: SESSION,
  from,
  sequence,
  source: from === "initiator" ? ALICE : BOB,
  destination: from === "initiator" ? BOB : ALICE,
  groupId: GROUP,
  acknowledged: 0,
  body: { kind: "data", payload: { sequence, text: "ünï", bytes: Uint8Array.from([0, 1]) } },
  expiresAt: NOW + 1e7,
});

export async function only(store: FlowStore, flowId: string): Promise<FlowSnapshot> {
  const [snapshot, ...others] = await store.load([flowId]);
  assert.ok(snapshot !== undefined && others.length === 0);
  return snapshot;
}

/** What two flows answer, and their messages carry. */
export const LARGE = { ok: Uint8Array.from({ length: 300_000 }, (_, index) => (index * 7) & 255) };

/** A commit of a flow's steps, some of them with large answers. */
export const largeStep = (
  flowId: string,
  version: number,
  changes: Partial<StepCommit> & { readonly paths: readonly string[] },
): StepCommit => {
  const { paths, ...others } = changes;
  const journal = paths.map((path, ordinal) => ({ ...journalRow(path, ordinal), outcome: LARGE }));
  return step(flowId, {
    expectedVersion: version,
    commitId: `${flowId} over ${version}`,
    journal: [...journal, journalRow("9", 9)],
    ...others,
  });
};

export const startOf = (flowId: string): FlowStart => client(flowId);
