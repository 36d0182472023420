// `bowline flow`: start flows, see what became of them, import whole files of them.

import { randomUUID } from "node:crypto";
import type { Connection } from "./connection.ts";
import { readText } from "./file.ts";
import { registerImport } from "./flow-import.ts";
import { registerOperator } from "./flow-operator.ts";
import { registerReplay } from "./flow-replay.ts";
import { waitForEnd } from "./flow-views.ts";
import type { NamedNode } from "./identity.ts";
import { inputOf, parseSet } from "./mapping.ts";
import { online } from "./online.ts";
import { asOption, severalOption } from "./options.ts";
import type { Register } from "./program.ts";
import { print, type Terminal, usage } from "./terminal.ts";

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program.command("flow").summary("start flows, see them, import files of them").description("Flows of a virtual node.");

  group
    .command("start")
    .argument("<flow>", "the flow's name: see bowline flow classes")
    .addOption(asOption())
    .option("--input <json>", "the flow's input as JSON, or @FILE to read it from there")
    .addOption(
      severalOption(
        "--set <field=value>",
        "one field of the input, as text; field:number=, :boolean= or :json= makes another type, and a path such as a.b nests",
      ),
    )
    .option("--request-id <id>", "your id for this start: the same id never starts two flows (default: a random one)")
    .option("--wait", "wait for the result", true)
    .option("--no-wait", "return as soon as the start is accepted")
    .option("--follow", "wait, and say on the way how the flow stands")
    .description("Starts a flow and waits for its result. Ends with 1 when the flow fails.")
    .addHelpText(
      "after",
      `
Examples:
  bowline flow start com.example.obligation.ListPositions --as Alice
  bowline flow start com.example.obligation.SettleObligation --as Alice --set id=INV-1 --set amount=20.00
  bowline flow start com.example.obligation.IssueObligation --as Alice --input @obligation.json --request-id inv-1`,
    )
    .action(
      online(shell, async (connection, flow: string, options: StartOptions) => {
        const node = await connection.virtualNode(options.as);
        const request = { clientRequestId: options.requestId ?? `cli.${randomUUID()}`, flow, input: startInput(terminal, options) };
        return start(connection, terminal, node, request, options);
      }),
    );

  group
    .command("classes")
    .addOption(asOption())
    .description("Lists the flows that clients may start on a virtual node.")
    .action(
      online(shell, async (connection, options: { as: string }) => {
        const node = await connection.virtualNode(options.as);
        const body = await connection.call("listFlowClasses", { params: { holdingidentityshorthash: node.shortHash } });
        print(terminal, body, ({ flowClassNames }) => flowClassNames.join("\n"));
        return undefined;
      }),
    );

  registerOperator(group, shell);
  registerImport(group, shell);
  registerReplay(group, shell);
};

interface StartOptions {
  readonly as: string;
  readonly input?: string;
  readonly set: readonly string[];
  readonly requestId?: string;
  readonly wait: boolean;
  readonly follow?: true;
}

async function start(
  connection: Connection,
  terminal: Terminal,
  node: NamedNode,
  request: { readonly clientRequestId: string; readonly flow: string; readonly input: unknown },
  { wait, follow }: Pick<StartOptions, "wait" | "follow">,
) {
  await connection.flows.start(node.shortHash, request);
  if (!wait && follow === undefined) {
    const params = { holdingidentityshorthash: node.shortHash, clientrequestid: request.clientRequestId };
    const body = await connection.call("getFlow", { params });
    print(
      terminal,
      body,
      () => `Started as ${request.clientRequestId}: bowline flow status ${request.clientRequestId} --as ${node.shortHash}`,
    );
    return undefined;
  }
  const { end, code } = await waitForEnd(connection, terminal, {
    vnode: node.shortHash,
    id: request.clientRequestId,
    aloud: follow === true,
  });
  print(terminal, { clientRequestId: request.clientRequestId, ...end }, () =>
    end.kind === "completed" ? JSON.stringify(end.result, null, 2) : "",
  );
  return code;
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
