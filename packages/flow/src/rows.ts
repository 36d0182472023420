// The engine's rows as PostgreSQL gives them, and what they mean.

import { type Data, decode, encode, type SecureHash, type X500Name } from "@bowline/base";
import type { Failure, Outcome, Protocol } from "@bowline/sdk";
import { decodeMessage } from "./messages.ts";
import type { FlowOrigin, FlowRow, FlowStatus, JournalRow, SessionMessage, SessionRow, SessionStatus, Waiting } from "./ports.ts";

export interface FlowColumns {
  readonly id: string;
  readonly bundle: string;
  readonly flow_name: string;
  readonly me: string;
  readonly group_id: string;
  readonly origin: Uint8Array;
  readonly seed: Uint8Array;
  readonly status: FlowStatus;
  readonly version: number;
  readonly commit_id: string;
  readonly kill: boolean;
  readonly wake_at: number | null;
  readonly waiting: readonly Waiting[];
  readonly outcome: Uint8Array | null;
  readonly created_at: number;
  readonly updated_at: number;
}

export const flowOf = (row: FlowColumns): FlowRow => ({
  id: row.id,
  bundle: row.bundle as SecureHash | "platform",
  flowName: row.flow_name,
  identity: { flowId: row.id, me: row.me as X500Name, groupId: row.group_id },
  origin: decode(row.origin) as unknown as FlowOrigin,
  seed: row.seed,
  status: row.status,
  version: row.version,
  commitId: row.commit_id,
  kill: row.kill,
  wakeAt: row.wake_at,
  waiting: row.waiting,
  outcome: row.outcome === null ? null : (decode(row.outcome) as unknown as Outcome),
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export const originBytes = ({ origin }: FlowRow): Uint8Array => encode(origin as unknown as Data);

export interface StepColumns {
  readonly flow_id: string;
  readonly path: string;
  readonly kind: JournalRow["kind"];
  readonly request_hash: Uint8Array;
  readonly outcome: Uint8Array;
  readonly activation: number;
  readonly ordinal: number;
  readonly at: number;
}

export const stepOf = ({ path, kind, request_hash, outcome, activation, ordinal, at }: StepColumns): JournalRow => ({
  path,
  kind,
  requestHash: request_hash,
  outcome: decode(outcome) as unknown as Outcome,
  activation,
  ordinal,
  at,
});

export interface SessionColumns {
  readonly id: string;
  readonly side: SessionRow["side"];
  readonly flow_id: string;
  readonly counterparty: string;
  readonly protocol: Protocol;
  readonly version: number | null;
  readonly status: SessionStatus;
  readonly failure: Failure | null;
  readonly sent: number;
  readonly consumed: number;
  readonly timeout_ms: number;
  readonly expires_at: number;
}

export const sessionOf = (row: SessionColumns): SessionRow => ({
  id: row.id,
  flowId: row.flow_id,
  side: row.side,
  counterparty: row.counterparty as X500Name,
  protocol: row.protocol,
  version: row.version,
  status: row.status,
  failure: row.failure,
  sent: row.sent,
  consumed: row.consumed,
  timeoutMs: row.timeout_ms,
  expiresAt: row.expires_at,
});

export interface InboxColumns {
  readonly message: Uint8Array;
}

export const messageOf = ({ message }: InboxColumns): SessionMessage => decodeMessage(message);
