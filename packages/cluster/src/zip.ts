// Zip archives as packages use them. Writing is a function of the entries alone; reading trusts nothing that it reads.
//
// Guarantees of `readZip`: names are relative, plain and distinct (also without regard to case); no more entries, bytes or
// expansion than the limits below; an entry has exactly the size that the archive says. Checksums of content are for the
// signatures to hold.

import { badRequest } from "@bowline/base";
import { type Entry, fromBufferPromise, type ZipFile } from "yauzl";
import { ZipFile as ZipWriter } from "yazl";

export interface ZipEntry {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export const ARCHIVE_LENGTH_MAX = 200 * 1024 * 1024;
export const ENTRIES_MAX = 10_000;
export const ENTRY_LENGTH_MAX = 64 * 1024 * 1024;
export const EXPANDED_LENGTH_MAX = 400 * 1024 * 1024;
/** Text shrinks to a tenth. What shrinks more than this was made to, unless it is small. */
export const EXPANSION_MAX = 200;
const EXPANSION_FREE_LENGTH = 1024 * 1024;
const NAME_LENGTH_MAX = 512;
/** DOS time has no zone, so that this is the same instant of the archive everywhere. */
const FIXED_TIME = new Date(1980, 0, 1);
const FILE_MODE = 0o100644;

export function writeZip(entries: readonly ZipEntry[]): Promise<Uint8Array> {
  const zip = new ZipWriter();
  for (const { name, bytes } of entries)
    zip.addBuffer(Buffer.from(bytes), name, { mtime: FIXED_TIME, mode: FILE_MODE, compress: true, forceDosTimestamp: true });
  zip.end();
  return collect(zip.outputStream);
}

/** In the order of the archive, without folders. Throws a `package.*` refusal that begins with `what`. */
export async function readZip(bytes: Uint8Array, what: string): Promise<readonly ZipEntry[]> {
  const refuse = (code: string, reason: string) =>
    badRequest(`package.${code}`, `${what} is refused: ${reason}.`, { package: what, reason });
  if (bytes.length > ARCHIVE_LENGTH_MAX)
    throw refuse("tooLarge", `it has ${bytes.length} bytes, and at most ${ARCHIVE_LENGTH_MAX} are allowed`);
  const notZip = (cause: unknown) =>
    refuse(codeOf(cause), `it cannot be read as a zip archive: ${cause instanceof Error ? cause.message : cause}`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const zip = await fromBufferPromise(buffer, { lazyEntries: true, strictFileNames: true }).catch((cause) => {
    throw notZip(cause);
  });
  if (zip.entryCount > ENTRIES_MAX)
    throw refuse("tooManyEntries", `it has ${zip.entryCount} entries, and at most ${ENTRIES_MAX} are allowed`);
  const listed: Entry[] = [];
  try {
    for await (const entry of zip.eachEntry()) listed.push(entry);
  } catch (cause) {
    throw notZip(cause);
  }
  checkNames(listed, refuse);
  checkSizes(listed, refuse);
  const entries: ZipEntry[] = [];
  for (const entry of listed) {
    if (isFolder(entry)) continue;
    entries.push({ name: entry.fileName, bytes: await readEntry(zip, entry, notZip) });
  }
  return entries;
}

type Refuse = (code: string, reason: string) => Error;

const isFolder = ({ fileName, uncompressedSize }: Entry): boolean => fileName.endsWith("/") && uncompressedSize === 0;

/** yauzl refuses names that leave the folder; those that differ only for some readers, or are there twice, are left to us. */
function checkNames(entries: readonly Entry[], refuse: Refuse): void {
  const names = new Set<string>();
  for (const { fileName } of entries) {
    const plain = fileName.replace(/\/$/, "");
    const parts = plain.split("/");
    if (/[\p{Cc}\\:]/u.test(plain) || parts.some((part) => part === "" || part === "." || part === "..") || plain.length > NAME_LENGTH_MAX)
      throw refuse("entryPath", `the name of entry ${JSON.stringify(fileName)} is not a plain relative path`);
    const key = plain.normalize("NFC").toLowerCase();
    if (names.has(key)) throw refuse("entryTwice", `the entry ${fileName} is there twice`);
    names.add(key);
  }
}

function checkSizes(entries: readonly Entry[], refuse: Refuse): void {
  let total = 0;
  for (const { fileName, compressedSize, uncompressedSize } of entries) {
    total += uncompressedSize;
    if (uncompressedSize > ENTRY_LENGTH_MAX) throw refuse("tooLarge", `the entry ${fileName} has more than ${ENTRY_LENGTH_MAX} bytes`);
    if (uncompressedSize > EXPANSION_FREE_LENGTH && uncompressedSize > compressedSize * EXPANSION_MAX)
      throw refuse("expansion", `the entry ${fileName} expands more than ${EXPANSION_MAX} times`);
  }
  if (total > EXPANDED_LENGTH_MAX) throw refuse("tooLarge", `it expands to ${total} bytes, and at most ${EXPANDED_LENGTH_MAX} are allowed`);
}

async function readEntry(zip: ZipFile, entry: Entry, notZip: (cause: unknown) => Error): Promise<Uint8Array> {
  try {
    return await collect(await zip.openReadStreamPromise(entry));
  } catch (cause) {
    throw notZip(cause);
  }
}

async function collect(stream: AsyncIterable<unknown> | NodeJS.ReadableStream): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return new Uint8Array(Buffer.concat(chunks));
}

/** What yauzl says of a name that leaves the folder. */
const codeOf = (cause: unknown): string =>
  cause instanceof Error && /absolute path|invalid relative path|invalid characters/.test(cause.message) ? "entryPath" : "notArchive";
