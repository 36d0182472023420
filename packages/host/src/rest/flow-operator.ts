// What an operator does with one flow: look into it, kill it, let a parked one go on, read what it did step by step.
//
// Journals hold payloads. So whoever reads one needs, beside the permission for the path, ReadJournal:<flow class>.

import { JOURNAL_DEFAULTS, type operations, type ReplyOf, TERMINAL_STATUSES } from "@bowline/api";
import { BowlineError } from "@bowline/base";
import type { FlowInspection, FlowRow } from "@bowline/flow";
import { recordingOf } from "@bowline/flow/recording";
import type { CodeChange, JournalPage, VirtualNodeInfo } from "../services.ts";
import type { Answers, RestShell } from "./answers.ts";
import { cpiOf, isOver, requireFlow, statusBody } from "./flow-answers.ts";
import { journalFrom, journalPage, momentText, sessionBody, waitingBody } from "./flow-journal.ts";
import { requireVirtualNode } from "./input.ts";

type OperatorOperations = "inspectFlow" | "readJournal" | "recordFlow" | "killFlow" | "retryFlow";
interface OneFlow {
  readonly holdingidentityshorthash: string;
  readonly clientrequestid: string;
}

export function flowOperatorAnswers(shell: RestShell): Pick<Answers, OperatorOperations> {
  const { persistence } = shell.services;

  async function find({ holdingidentityshorthash, clientrequestid }: OneFlow) {
    const node = await requireVirtualNode(shell, holdingidentityshorthash);
    return { node, row: await requireFlow(shell, node, clientrequestid), vnode: node.holdingIdentity.shortHash };
  }

  async function inspect(params: OneFlow) {
    const { node, row, vnode } = await find(params);
    const inspection = await persistence.flowInspect({ vnode, flowId: row.id });
    if (inspection === null) throw gone(row);
    return { node, inspection };
  }

  async function read(params: OneFlow, login: string, page?: JournalPage) {
    const { node, row, vnode } = await find(params);
    const permission = `ReadJournal:${row.flowName}`;
    if (!(await shell.services.db.authorise({ login, permission })))
      throw new BowlineError("forbidden", "flow.journalForbidden", `User ${login} may not read journals: ${permission} is not allowed.`, {
        permission,
      });
    const inspection = await persistence.flowInspect({ vnode, flowId: row.id, ...(page === undefined ? {} : { page }) });
    if (inspection === null) throw gone(row);
    return { node, inspection };
  }

  return {
    async inspectFlow({ params }) {
      const { node, inspection } = await inspect(params);
      return { body: inspectionBody(inspection, node) };
    },
    async readJournal({ params, query, login }) {
      const { limit = JOURNAL_DEFAULTS.steps, after = 0, payloadLimit = JOURNAL_DEFAULTS.payload } = query;
      const { node, inspection } = await read(params, login, journalFrom(after, limit));
      return { body: { status: statusBody(inspection.row, node), ...journalPage(inspection, { limit, payloadLimit }) } };
    },
    async recordFlow({ params, login }) {
      const { inspection } = await read(params, login);
      return { body: recordingOf(inspection) as ReplyOf<typeof operations.recordFlow> };
    },
    async killFlow({ params }) {
      const { node, row, vnode } = await find(params);
      const { done, row: now } = await persistence.flowKill({ vnode, flowId: row.id });
      if (now === null) throw gone(row);
      if (done || now.status === "KILLED") return { status: done ? 202 : 200, body: statusBody(now, node) };
      throw new BowlineError("conflict", "flow.over", `The flow ${nameOf(row)} has ended (${now.status}): it cannot be killed any more.`, {
        flowStatus: now.status,
      });
    },
    async retryFlow({ params, query }) {
      const { node, row, vnode } = await find(params);
      const code = query.code === "current" ? await codeNow(shell, node, row) : undefined;
      const { done, row: now } = await persistence.flowRetry({ vnode, flowId: row.id, ...(code === undefined ? {} : { code }) });
      if (now === null) throw gone(row);
      if (done) return { status: 202, body: statusBody(now, node) };
      throw code === undefined || isOver(now) ? notParked(now) : wentOn(now);
    },
  };
}

/** The code of the virtual node's CPI, once the flow's journal has been run through it; undefined where the flow is in it. */
async function codeNow(shell: RestShell, node: VirtualNodeInfo, row: FlowRow): Promise<CodeChange | undefined> {
  if (isOver(row)) throw notParked(row);
  const { cpks, id: cpi } = await cpiOf(shell, node);
  const bundle = cpks.find(({ manifest }) => manifest.flows.some(({ name }) => name === row.flowName))?.fileChecksum;
  if (row.bundle === "platform" || bundle === row.bundle) return undefined;
  if (bundle === undefined)
    throw new BowlineError("conflict", "flow.notInCpi", `${cpi.cpiName} ${cpi.cpiVersion} has no flow ${row.flowName} any more.`, {
      flowClassName: row.flowName,
    });
  const trial = await shell.services.flow.tryCode({ vnode: node.holdingIdentity.shortHash, flowId: row.id, bundle });
  if (trial === null) throw gone(row);
  const { version, divergence } = trial;
  if (divergence === null) return { bundle, version };
  throw new BowlineError(
    "conflict",
    "flow.codeDiverges",
    `In ${cpi.cpiName} ${cpi.cpiVersion} the flow ${nameOf(row)} would not do what its journal says. ${divergence.message}`,
    { step: divergence.step, reason: divergence.message },
  );
}

const nameOf = ({ origin, id }: FlowRow): string => (origin.kind === "client" ? origin.clientRequestId : id);
const notParked = (row: FlowRow): BowlineError =>
  new BowlineError("conflict", "flow.notParked", `The flow ${nameOf(row)} is not parked (${row.status}): it needs no retry.`, {
    flowStatus: row.status,
  });
const wentOn = (row: FlowRow): BowlineError =>
  new BowlineError("conflict", "flow.wentOn", `The flow ${nameOf(row)} went on while its journal was run in the new code: ask again.`, {
    flowStatus: row.status,
  });
const gone = (row: FlowRow): BowlineError =>
  new BowlineError("notFound", "flow.unknown", `The flow ${nameOf(row)} has just been cleaned up.`, { flowId: row.id });

function inspectionBody({ row, journal, sessions, inbox, outbox, lastError, attempts }: FlowInspection, node: VirtualNodeInfo) {
  const { origin } = row;
  return {
    status: statusBody(row, node),
    parked: row.status === "PARKED",
    killRequested: row.kill && !TERMINAL_STATUSES.some((status) => status === row.status),
    bundle: row.bundle,
    x500Name: row.identity.me,
    startedBy: origin.kind === "client" ? origin.startedBy : null,
    counterparty: origin.kind === "session" ? origin.counterparty : null,
    version: row.version,
    wakeAt: row.wakeAt === null ? null : momentText(row.wakeAt),
    steps: journal.length,
    waiting: waitingBody(row.waiting),
    sessions: sessions.map(sessionBody),
    inbox,
    outbox,
    attempts,
    lastError:
      lastError === null
        ? null
        : {
            type: lastError.type,
            message: lastError.message,
            stack: lastError.stack ?? null,
            step: lastError.step,
            since: momentText(lastError.since),
          },
  };
}
