// Which port REST listens on: the one asked for; else the one used last time; else 8888; else any that is free.

import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { BowlineError } from "@bowline/base";

export const PREFERRED_PORT = 8888;

/** Throws `port.taken` only where `asked` is given: a port that was asked for is never replaced by another. */
export async function chooseListenPort(host: string, asked: number | undefined, rememberedIn: string): Promise<number> {
  if (asked !== undefined) {
    if (await isFree(asked, host)) return asked;
    throw new BowlineError("conflict", "port.taken", `Port ${asked} is taken. Stop what listens there, or choose another with --port.`);
  }
  const remembered = readPort(rememberedIn);
  for (const port of [remembered ?? PREFERRED_PORT, PREFERRED_PORT]) if (await isFree(port, host)) return remember(port, rememberedIn);
  return remember(await anyFree(host), rememberedIn);
}

function readPort(file: string): number | undefined {
  try {
    const port = Number(readFileSync(file, "utf8"));
    return Number.isInteger(port) && port > 0 && port < 65536 ? port : undefined;
  } catch {
    return undefined; // The first start.
  }
}

function remember(port: number, file: string): number {
  writeFileSync(file, String(port), { mode: 0o600 });
  return port;
}

const isFree = (port: number, host: string): Promise<boolean> => listenOnce(port, host).then((found) => found !== undefined);

async function anyFree(host: string): Promise<number> {
  const port = await listenOnce(0, host);
  if (port === undefined) throw new BowlineError("unavailable", "port.none", "No free port can be had on this machine.");
  return port;
}

function listenOnce(port: number, host: string): Promise<number | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(undefined));
    server.listen(port, host, () => {
      const address = server.address();
      server.close(() => done(typeof address === "object" && address !== null ? address.port : undefined));
    });
  });
}
