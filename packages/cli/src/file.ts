// Files that a user names, read whole; every failure says which file and why.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Terminal, usage } from "./terminal.ts";

export function readBytes({ cwd }: Pick<Terminal, "cwd">, file: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(readFileSync(resolve(cwd, file)));
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException;
    throw usage("file", code === "ENOENT" ? `There is no file ${file}.` : `${file} cannot be read: ${message}.`);
  }
}

export function readText(terminal: Pick<Terminal, "cwd">, file: string): string {
  const bytes = readBytes(terminal, file);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw usage("file", `${file} is not UTF-8 text.`);
  }
}
