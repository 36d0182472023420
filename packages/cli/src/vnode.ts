// `bowline vnode`: virtual nodes, each a member of one application network.

import type { Connection } from "./connection.ts";
import { findCpi } from "./cpi.ts";
import { online } from "./online.ts";
import type { Register } from "./program.ts";
import { renderTable } from "./table.ts";
import { print, usage } from "./terminal.ts";
import { pollUntil } from "./wait.ts";

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program
    .command("vnode")
    .summary("create and list virtual nodes")
    .description("Virtual nodes: each is one member of one network.");

  group
    .command("create")
    .argument("<cpi>", "the CPI: its name, or its checksum's first 12 digits")
    .argument("<name>", 'the member\'s X.500 name, such as "O=Alice, L=London, C=GB"')
    .option("--no-wait", "return the request's id at once")
    .description("Creates a virtual node and waits until it is ready.")
    .addHelpText("after", '\nExample:\n  bowline vnode create obligation "O=Dora, L=Berlin, C=DE"')
    .action(
      online(shell, async (connection, cpi: string, x500Name: string, options: { wait: boolean }) => {
        const { cpiFileChecksum } = await findCpi(connection, cpi);
        const requestId = await requestVirtualNode(connection, cpiFileChecksum, x500Name);
        if (options.wait) await virtualNodeReady(connection, requestId);
        print(terminal, { requestId, x500Name, status: options.wait ? "SUCCEEDED" : "ACCEPTED" }, (made) =>
          options.wait
            ? `${made.x500Name} is virtual node ${made.requestId}`
            : `Requested as ${made.requestId}: bowline vnode status ${made.requestId}`,
        );
        return undefined;
      }),
    );

  group
    .command("status")
    .argument("<request>", "the request's id")
    .description("Says how far the creation of a virtual node is.")
    .action(
      online(shell, async (connection, requestid: string, _options: unknown) => {
        const body = await connection.call("virtualNodeStatus", { params: { requestid } });
        print(
          terminal,
          body,
          ({ status, operation, errorReason }) => `${operation}: ${status}${errorReason == null ? "" : ` (${errorReason})`}`,
        );
        return undefined;
      }),
    );

  group
    .command("list")
    .description("Lists the virtual nodes.")
    .action(
      online(shell, async (connection) => {
        const body = await connection.call("listVirtualNodes", {});
        print(terminal, body, ({ virtualNodes }) => renderTable(COLUMNS, virtualNodes));
        return undefined;
      }),
    );
};

type Listed = Awaited<ReturnType<Connection["virtualNodes"]>>[number];

const COLUMNS = [
  { title: "short hash", cell: ({ holdingIdentity }: Pick<Listed, "holdingIdentity">) => holdingIdentity.shortHash },
  { title: "name", cell: ({ holdingIdentity }: Pick<Listed, "holdingIdentity">) => holdingIdentity.x500Name },
  { title: "CPI", cell: ({ cpiIdentifier }: Pick<Listed, "cpiIdentifier">) => `${cpiIdentifier.cpiName} ${cpiIdentifier.cpiVersion}` },
  { title: "flows", cell: ({ flowOperationalStatus }: Pick<Listed, "flowOperationalStatus">) => flowOperationalStatus.toLowerCase() },
  { title: "group", cell: ({ holdingIdentity }: Pick<Listed, "holdingIdentity">) => holdingIdentity.groupId },
];

/** The request's id, which is the short hash of the virtual node that will be. */
export async function requestVirtualNode(connection: Connection, cpiFileChecksum: string, x500Name: string): Promise<string> {
  const body = await connection.call("createVirtualNode", { body: { cpiFileChecksum, x500Name } });
  return body.requestId;
}

/** Resolves when the virtual node is there; throws the reason when it could not be made. */
export async function virtualNodeReady(connection: Connection, requestid: string): Promise<void> {
  await pollUntil(`virtual node ${requestid}`, async () => {
    const body = await connection.call("virtualNodeStatus", { params: { requestid } });
    if (body.status === "FAILED" || body.status === "ABORTED")
      throw usage("vnodeFailed", `The virtual node could not be created: ${body.errorReason ?? body.status}.`);
    return body.status === "SUCCEEDED" ? body : undefined;
  });
}
