// `bowline flow`: start flows, see what became of them, import whole files of them.

import { randomUUID } from "node:crypto";
import { CLIENT_REQUEST_ID, FLOW_STATUSES, operations, type RestFlowStatus } from "@bowline/api";
import { Option } from "commander";
import { type Connection, type FlowStatusReply, flowEnd, online } from "./connection.ts";
import { readText } from "./file.ts";
import { registerImport } from "./flow-import.ts";
import { type NamedNode, resolveIdentity } from "./identity.ts";
import { inputOf, parseSet } from "./mapping.ts";
import { asOption, collect } from "./options.ts";
import type { Register } from "./program.ts";
import { renderTable } from "./table.ts";
import { EXIT, print, type Terminal, usage } from "./terminal.ts";
import { pollUntil } from "./wait.ts";

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program.command("flow").summary("start flows, see them, import files of them").description("Flows of a virtual node.");

  group
    .command("start")
    .argument("<flow>", "the flow's name: see bowline flow classes")
    .addOption(asOption())
    .option("--input <json>", "the flow's input as JSON, or @FILE to read it from there")
    .option("--set <field=value>", "one field of the input; a path such as amount.currency nests", collect, [])
    .option("--request-id <id>", "your id for this start: the same id never starts two flows (default: a random one)")
    .option("--no-wait", "return as soon as the start is accepted")
    .description("Starts a flow and waits for its result. Ends with 1 when the flow fails.")
    .addHelpText(
      "after",
      `
Examples:
  bowline flow start com.example.obligation.ListPositions --as Alice
  bowline flow start com.example.obligation.SettleObligation --as Alice --set id=INV-1 --set 'amount="20.00"'
  bowline flow start com.example.obligation.IssueObligation --as Alice --input @obligation.json --request-id inv-1`,
    )
    .action(
      online(shell, async (connection, flow: string, options: StartOptions) => {
        const node = resolveIdentity(options.as, await connection.virtualNodes());
        const request = { clientRequestId: requestId(options.requestId), flow, input: startInput(terminal, options) };
        return start(connection, terminal, node, request, options.wait);
      }),
    );

  group
    .command("status")
    .argument("<request-id>", "the id that the flow was started with")
    .addOption(asOption())
    .description("Says how a flow stands, and what it returned.")
    .action(
      online(shell, async (connection, clientrequestid: string, options: { as: string }) => {
        const node = resolveIdentity(options.as, await connection.virtualNodes());
        const params = { holdingidentityshorthash: node.shortHash, clientrequestid };
        const { body } = await connection.client.call(operations.getFlow, { params });
        print(terminal, body, describe);
        return undefined;
      }),
    );

  group
    .command("list")
    .addOption(asOption())
    .addOption(new Option("--status <status>", "only flows that stand so").choices(FLOW_STATUSES))
    .description("Lists the flows of a virtual node.")
    .action(
      online(shell, async (connection, options: { as: string; status?: RestFlowStatus }) => {
        const node = resolveIdentity(options.as, await connection.virtualNodes());
        const params = { holdingidentityshorthash: node.shortHash };
        const query = options.status === undefined ? {} : { status: options.status };
        const { body } = await connection.client.call(operations.listFlows, { params, query });
        print(terminal, body, ({ flowStatusResponses }) => renderTable(COLUMNS, flowStatusResponses, terminal.columns));
        return undefined;
      }),
    );

  group
    .command("classes")
    .addOption(asOption())
    .description("Lists the flows that clients may start on a virtual node.")
    .action(
      online(shell, async (connection, options: { as: string }) => {
        const node = resolveIdentity(options.as, await connection.virtualNodes());
        const { body } = await connection.client.call(operations.listFlowClasses, { params: { holdingidentityshorthash: node.shortHash } });
        print(terminal, body, ({ flowClassNames }) => flowClassNames.join("\n"));
        return undefined;
      }),
    );

  registerImport(group, shell);
};

interface StartOptions {
  readonly as: string;
  readonly input?: string;
  readonly set: readonly string[];
  readonly requestId?: string;
  readonly wait: boolean;
}

const COLUMNS = [
  { title: "request id", cell: (flow: FlowStatusReply) => flow.clientRequestId ?? "" },
  { title: "status", cell: (flow: FlowStatusReply) => flow.flowStatus },
  { title: "since", cell: (flow: FlowStatusReply) => flow.timestamp },
  { title: "result or error", cell: (flow: FlowStatusReply) => flow.flowError?.message ?? flow.flowResult ?? "" },
];

async function start(
  { client, flows }: Connection,
  terminal: Terminal,
  node: NamedNode,
  request: { readonly clientRequestId: string; readonly flow: string; readonly input: unknown },
  wait: boolean,
) {
  await flows.start(node.shortHash, request);
  const params = { holdingidentityshorthash: node.shortHash, clientrequestid: request.clientRequestId };
  if (!wait) {
    const { body } = await client.call(operations.getFlow, { params });
    print(
      terminal,
      body,
      () => `Started as ${request.clientRequestId}: bowline flow status ${request.clientRequestId} --as ${node.shortHash}`,
    );
    return undefined;
  }
  const { body, end } = await pollUntil(`flow ${request.clientRequestId}`, async () => {
    const answer = await client.call(operations.getFlowResult, { params });
    const found = flowEnd(answer.body);
    return found === undefined ? undefined : { body: answer.body, end: found };
  });
  print(terminal, body, () => (end.kind === "completed" ? JSON.stringify(end.result, null, 2) : ""));
  if (end.kind === "completed") return undefined;
  terminal.err(`bowline: The flow failed: ${end.message} (${end.type})\n`);
  return EXIT.refused;
}

function requestId(given: string | undefined): string {
  if (given === undefined) return `cli.${randomUUID()}`;
  if (!CLIENT_REQUEST_ID.test(given))
    throw usage("requestId", `"${given}" is no request id: up to 242 letters, digits, dots, dashes and underscores.`);
  return given;
}

function startInput(terminal: Terminal, { input, set }: StartOptions): unknown {
  if (input !== undefined && set.length > 0) throw usage("input", "Give either --input or --set.");
  if (input === undefined) {
    const made = inputOf({}, set.map(parseSet));
    return "input" in made ? made.input : {};
  }
  const text = input.startsWith("@") ? readText(terminal, input.slice(1)) : input;
  try {
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    throw usage("input", `The input is not JSON: ${(thrown as Error).message}.`);
  }
}

function describe({ flowStatus, flowResult, flowError, flowId }: FlowStatusReply): string {
  if (flowError != null) return `${flowStatus}: ${flowError.message} (${flowError.type})`;
  return flowResult == null ? `${flowStatus} ${flowId ?? ""}`.trimEnd() : `${flowStatus}\n${flowResult}`;
}
