// `bowline audit history` in a process of its own: an exported history of a notary, read line by line and proven.
// Standard output carries one JSON line, `audited` or `failed`.
//
// The file is text: a line of JSON that says whose history it is, then one for each entry of the log, with bytes as base64.

import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { BowlineError, badRequest, type Data, decoder, readJson, type SecureHash, writeJson } from "@bowline/base";
import { keyIdOf } from "@bowline/crypto";
import { type Audit, createAudit } from "@bowline/ledger/audit";
import Type from "typebox";

const FORMAT = "bowline-notary-history/1";
const STRICT = { additionalProperties: false } as const;
const readHeader = decoder(
  Type.Object(
    {
      format: Type.Literal(FORMAT),
      groupId: Type.String(),
      service: Type.String(),
      keys: Type.Array(Type.String()),
      states: Type.Optional(Type.Boolean()),
    },
    STRICT,
  ),
  "first line of a history",
);
const Base64 = Type.String({ pattern: "^[A-Za-z0-9+/]*={0,2}$" });
const readEntry = decoder(
  Type.Object({ seq: Type.Integer(), head: Base64, decisions: Base64, seal: Base64 }, STRICT),
  "entry of a history",
);

const readState = decoder(
  Type.Object({ ref: Type.String(), by: Type.Union([Type.Null(), Type.String()]) }, STRICT),
  "state of a notary's table",
);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      file: { type: "string", default: "" },
      key: { type: "string", multiple: true, default: [] },
      continues: { type: "string" },
    },
  });
  let header: { readonly groupId: string; readonly service: string } | undefined;
  let audit: Audit | undefined;
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(values.file), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    const value = parsed(text, line);
    if (audit === undefined) {
      const { keys, states: withStates = false, ...named } = readHeader(value);
      const believed = values.key.length === 0 ? keys : keys.filter((key) => values.key.includes(keyIdOf(key)));
      [header, audit] = [named, createAudit({ keys: believed, withStates, ...continuesOf(values.continues) })];
      continue;
    }
    if (typeof value === "object" && value !== null && "ref" in value) {
      const { ref, by } = readState(value);
      audit.state({ ref, by: by as SecureHash | null });
      continue;
    }
    const { seq, ...bytes } = readEntry(value);
    audit.add({ seq, head: bytesOf(bytes.head), decisions: bytesOf(bytes.decisions), seal: bytesOf(bytes.seal) });
  }
  if (header === undefined || audit === undefined) throw badRequest("ledger.historyInvalid", "The file is empty.");
  say({ event: "audited", groupId: header.groupId, service: header.service, ...audit.conclude() });
}

function parsed(text: string, line: number): Data {
  try {
    return readJson(text, "history");
  } catch (thrown) {
    if (!(thrown instanceof BowlineError)) throw thrown;
    throw badRequest("ledger.historyInvalid", `Line ${line} of the file is not what an export writes: ${thrown.message}`);
  }
}

function continuesOf(text: string | undefined) {
  if (text === undefined) return {};
  const [, seq, head] = /^(\d{1,15}):([0-9A-Fa-f]{64})$/.exec(text) ?? [];
  if (seq === undefined || head === undefined)
    throw badRequest(
      "ledger.historyInvalid",
      `"${text}" is not what an earlier audit ended with: its number of entries, a colon, its head.`,
    );
  return { continues: { seq: Number(seq), head: head.toUpperCase() } };
}

const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));
const say = (line: Readonly<Record<string, unknown>>): void => {
  process.stdout.write(`${writeJson(line as Data)}\n`);
};

try {
  await main();
} catch (thrown) {
  if (thrown instanceof BowlineError) say({ event: "failed", code: thrown.code, message: thrown.message, details: thrown.details });
  else say({ event: "failed", code: "cli.unexpected", message: (thrown as Error).message, details: {} });
  process.exitCode = 1;
}
