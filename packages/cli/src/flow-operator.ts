// `bowline flow status, list, inspect, journal, kill, retry`. A flow is named by its client request id or its flow id.

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { FLOW_FILTERS } from "@bowline/api";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Connection, FlowStatusReply } from "./connection.ts";
import { describeStatus, renderFlows, renderInspection, renderJournal, waitForEnd } from "./flow-views.ts";
import { online } from "./online.ts";
import { asOption, whole } from "./options.ts";
import type { Shell } from "./program.ts";
import { print, type Terminal, usage } from "./terminal.ts";

interface As {
  readonly as: string;
}

export function registerOperator(group: Command, shell: Shell): void {
  const { terminal } = shell;
  oneFlow(group, "status", "Says how a flow stands, and what it returned.")
    .option("--follow", "go on saying so until it has ended")
    .action(
      online(shell, async (connection, id: string, options: As & { follow?: true }) => {
        const params = await paramsOf(connection, id, options);
        if (options.follow === undefined) {
          print(terminal, await connection.call("getFlow", { params }), describeStatus);
          return undefined;
        }
        const { end, code } = await waitForEnd(connection, terminal, { vnode: params.holdingidentityshorthash, id, aloud: true });
        print(terminal, end, () => (end.kind === "completed" ? JSON.stringify(end.result, null, 2) : ""));
        return code;
      }),
    );
  registerList(group, shell);
  oneFlow(group, "inspect", "Says all that is known of a flow but its payloads: what it waits for, its sessions, why it is parked.").action(
    online(shell, async (connection, id: string, options: As) => {
      const body = await connection.call("inspectFlow", { params: await paramsOf(connection, id, options) });
      print(terminal, body, (inspection) => renderInspection(inspection, terminal.columns.out));
      return undefined;
    }),
  );
  registerJournal(group, shell);
  oneFlow(group, "kill", "Ends a flow. Its counterparties hear of it; what it has committed stays.").action(
    online(shell, async (connection, id: string, options: As) => {
      const body = await connection.call("killFlow", { params: await paramsOf(connection, id, options) });
      print(terminal, body, ({ flowStatus }) => (flowStatus === "KILLED" ? "It is killed." : "It is being killed."));
      return undefined;
    }),
  );
  oneFlow(group, "retry", "Lets a parked flow go on from its last commit.")
    .addOption(
      new Option(
        "--code <code>",
        "own: the code in which it began; current: that of the virtual node's present CPI, for a running flow too, if its journal replays there",
      )
        .choices(["own", "current"])
        .default("own"),
    )
    .action(
      online(shell, async (connection, id: string, { code, ...as }: As & { readonly code: "own" | "current" }) => {
        const body = await connection.call("retryFlow", { params: await paramsOf(connection, id, as), query: { code } });
        print(terminal, body, () => "It goes on.");
        return undefined;
      }),
    );
}

const oneFlow = (group: Command, name: string, description: string): Command =>
  group.command(name).argument("<id>", "its client request id, or its flow id").addOption(asOption()).description(description);

async function paramsOf(connection: Connection, clientrequestid: string, { as }: As) {
  const { shortHash } = await connection.virtualNode(as);
  return { holdingidentityshorthash: shortHash, clientrequestid };
}

type Filter = (typeof FLOW_FILTERS)[number];
/** By hand, so that help need not load the package. */
const FILTERS = ["START_REQUESTED", "RUNNING", "PARKED", "COMPLETED", "FAILED", "KILLED"] as const satisfies readonly Filter[];
const LISTED_MAX = 1_000;
const LISTED = 100;

interface ListOptions extends As {
  readonly status?: Filter;
  readonly flow?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: number;
  readonly after?: string;
  readonly all?: true;
}

function registerList(group: Command, shell: Shell): void {
  const { terminal } = shell;
  group
    .command("list")
    .addOption(asOption())
    .addOption(new Option("--status <status>", "only flows that stand so").choices(FILTERS))
    .option("--flow <name>", "only flows of this name")
    .option("--since <moment>", "only flows started then or later: 2026-01-31, or 2026-01-31T12:00:00Z", moment)
    .option("--until <moment>", "only flows started then or before", moment)
    .addOption(new Option("--limit <n>", "at most so many").default(LISTED).argParser(whole(1, LISTED_MAX)))
    .option("--after <cursor>", "go on where the page before ended")
    .addOption(new Option("--all", "all of them, page by page").conflicts("after"))
    .description("Lists the flows of a virtual node, oldest first.")
    .action(
      online(shell, async (connection, options: ListOptions) => {
        const { shortHash } = await connection.virtualNode(options.as);
        const { status, flow, since, until, limit, after, all } = options;
        const query = {
          limit,
          ...(status === undefined ? {} : { status }),
          ...(flow === undefined ? {} : { flowClassName: flow }),
          ...(since === undefined ? {} : { startedAfter: since }),
          ...(until === undefined ? {} : { startedBefore: until }),
          ...(after === undefined ? {} : { after }),
        };
        if (all === true) {
          const flows: FlowStatusReply[] = [];
          for await (const page of connection.flowPages(shortHash, query)) flows.push(...page);
          print(terminal, { flowStatusResponses: flows, next: null }, () => renderFlows(flows, terminal.columns.out));
          return undefined;
        }
        const body = await connection.call("listFlows", { params: { holdingidentityshorthash: shortHash }, query });
        print(terminal, body, ({ flowStatusResponses }) => renderFlows(flowStatusResponses, terminal.columns.out));
        if (body.next !== null) terminal.err(`There are more: --after ${body.next}, or --all.\n`);
        return undefined;
      }),
    );
}

function moment(text: string): string {
  const at = Date.parse(text);
  if (/^\d{4}-\d\d-\d\d/.test(text) && Number.isFinite(at)) return new Date(at).toISOString();
  throw new InvalidArgumentError("It takes a moment such as 2026-01-31 or 2026-01-31T12:00:00Z.");
}

const STEPS_MAX = 1_000;
const STEPS = 100;
const PAYLOAD_MAX = 65_536;
/** For eyes, and for programs. */
const PAYLOAD_SHOWN = 160;
const PAYLOAD_TOLD = 2_048;

interface JournalOptions extends As {
  readonly limit: number;
  readonly after: number;
  readonly payload?: number;
  readonly export?: string;
}

function registerJournal(group: Command, shell: Shell): void {
  const { terminal } = shell;
  oneFlow(group, "journal", "Shows every step of a flow, past or running: what it asked, what it got, when, how long, and with whom.")
    .addOption(new Option("--limit <n>", "at most so many steps").default(STEPS).argParser(whole(1, STEPS_MAX)))
    .addOption(
      new Option("--after <n>", "go on where the page before ended: its next").default(0).argParser(whole(0, Number.MAX_SAFE_INTEGER)),
    )
    .addOption(
      new Option("--payload <n>", `characters of each payload (default: ${PAYLOAD_SHOWN}; ${PAYLOAD_TOLD} with --json)`).argParser(
        whole(0, PAYLOAD_MAX),
      ),
    )
    .option("--export <file>", "write the flow and its whole journal there, for bowline flow replay; it holds all payloads")
    .action(
      online(shell, async (connection, id: string, { limit, after, payload, export: file, ...as }: JournalOptions) => {
        const params = await paramsOf(connection, id, as);
        if (file !== undefined) {
          const path = writeRecording(terminal, file, await connection.call("recordFlow", { params }));
          print(terminal, { file: path }, () => path);
          return undefined;
        }
        const payloadLimit = payload ?? (terminal.json ? PAYLOAD_TOLD : PAYLOAD_SHOWN);
        const body = await connection.call("readJournal", { params, query: { limit, after, payloadLimit } });
        print(terminal, body, (journal) => renderJournal(journal, terminal.columns.out));
        return undefined;
      }),
    );
}

/** Only its owner may read it. */
function writeRecording({ cwd }: Terminal, file: string, recording: unknown): string {
  const path = resolve(cwd, file);
  try {
    writeFileSync(path, `${JSON.stringify(recording, null, 2)}\n`, { mode: 0o600 });
    return path;
  } catch (thrown) {
    throw usage("file", `${path} cannot be written: ${(thrown as Error).message}.`);
  }
}
