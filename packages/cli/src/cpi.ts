// `bowline cpi`: the packages that a network may run.

import { basename } from "node:path";
import type { Connection, CpiReply } from "./connection.ts";
import { readBytes, readText } from "./file.ts";
import { online } from "./online.ts";
import type { Register } from "./program.ts";
import { renderTable } from "./table.ts";
import { print, usage } from "./terminal.ts";
import { pollUntil } from "./wait.ts";

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const group = program.command("cpi").summary("upload and list CPIs").description("CPIs: packages that are signed for one network.");

  group
    .command("upload")
    .argument("<file>", "the .cpi file")
    .option("--no-wait", "return the upload's id at once")
    .description("Uploads a CPI and waits until it is checked and stored.")
    .addHelpText("after", "\nExample:\n  bowline cpi upload obligation.cpi")
    .action(
      online(shell, async (connection, file: string, options: { wait: boolean }) => {
        const id = await uploadCpi(connection, basename(file), readBytes(terminal, file));
        if (!options.wait) {
          print(terminal, { id }, () => `Uploading as ${id}: bowline cpi status ${id}`);
          return undefined;
        }
        const cpiFileChecksum = await cpiStored(connection, id);
        print(terminal, { id, cpiFileChecksum }, () => `Stored with checksum ${cpiFileChecksum}`);
        return undefined;
      }),
    );

  group
    .command("status")
    .argument("<id>", "the upload's id")
    .description("Says how far an upload is.")
    .action(
      online(shell, async (connection, id: string, _options: unknown) => {
        const body = await connection.call("cpiStatus", { params: { id } });
        print(terminal, body, ({ status, cpiFileChecksum }) => `${status} ${cpiFileChecksum}`.trimEnd());
        return undefined;
      }),
    );

  group
    .command("trust")
    .argument("<certificate>", "the signer's certificate, or its chain, as a PEM file")
    .requiredOption("--alias <name>", "what the certificate is called here")
    .description("Lets the network take packages that the holder of this certificate has signed.")
    .addHelpText(
      "after",
      "\nExample:\n  bowline package certificate --key signer.pem > signer.crt && bowline cpi trust signer.crt --alias signer",
    )
    .action(
      online(shell, async (connection, file: string, { alias }: { alias: string }) => {
        await trustCertificate(connection, alias, readText(terminal, file));
        print(terminal, { alias, usage: "code-signer" }, () => `Trusted as ${alias}`);
        return undefined;
      }),
    );

  group
    .command("list")
    .description("Lists the CPIs.")
    .action(
      online(shell, async (connection) => {
        const body = await connection.call("listCpis", {});
        print(terminal, body, ({ cpis }) => renderTable(COLUMNS, cpis));
        return undefined;
      }),
    );
};

const COLUMNS = [
  { title: "checksum", cell: (cpi: CpiReply) => cpi.cpiFileChecksum },
  { title: "name", cell: (cpi: CpiReply) => cpi.id.cpiName },
  { title: "version", cell: (cpi: CpiReply) => cpi.id.cpiVersion },
  { title: "CPKs", cell: (cpi: CpiReply) => cpi.cpks.map(({ id }) => `${id.name} ${id.version}`).join(", ") },
];

export async function uploadCpi(connection: Connection, fileName: string, bytes: Uint8Array): Promise<string> {
  const form = new FormData();
  form.append("upload", new File([new Uint8Array(bytes)], fileName, { type: "application/octet-stream" }));
  return (await connection.call("uploadCpi", { body: form })).id;
}

/** Makes the signatures of whoever holds this certificate count. */
export async function trustCertificate(connection: Connection, alias: string, pem: string): Promise<void> {
  const form = new FormData();
  form.append("alias", alias);
  form.append("certificate", new File([pem], `${alias}.pem`));
  await connection.call("importClusterCertificate", { params: { usage: "code-signer" }, body: form });
}

/** The CPI's checksum, once it is stored; throws why it was refused. */
export function cpiStored(connection: Connection, id: string): Promise<string> {
  return pollUntil(`upload ${id}`, async () => {
    const body = await connection.call("cpiStatus", { params: { id } });
    return body.status === "OK" ? body.cpiFileChecksum : undefined;
  });
}

/** By checksum, or by name: of several versions, the one uploaded last. */
export async function findCpi(connection: Connection, nameOrChecksum: string): Promise<CpiReply> {
  const { cpis } = await connection.call("listCpis", {});
  const found = cpis
    .filter((cpi) => cpi.cpiFileChecksum === nameOrChecksum.toUpperCase() || cpi.id.cpiName === nameOrChecksum)
    .sort((a, b) => a.timestamp.localeCompare(b.timestamp))
    .at(-1);
  if (found !== undefined) return found;
  const known =
    cpis.length === 0 ? "None is uploaded yet: bowline cpi upload FILE." : `There are ${cpis.map(({ id }) => id.cpiName).join(", ")}.`;
  throw usage("cpiUnknown", `No CPI is called "${nameOrChecksum}". ${known}`);
}
