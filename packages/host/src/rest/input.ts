// What arrives in a request, decoded by its route: path, query, JSON and multipart; and the virtual node that a path names.

import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Route, RouteBody } from "@bowline/api";
import { BowlineError, badRequest, type Decoder, decoder, parseShortHash, type ShortHash } from "@bowline/base";
import type { FastifyRequest } from "fastify";
import type { VirtualNodeInfo } from "../services.ts";
import type { RestShell, UploadedFile } from "./answers.ts";

/** Of a whole multipart body, and of its text parts. */
export const UPLOAD_BYTES_MAX = 200_000_000;
const TEXT_PART_BYTES_MAX = 4_096;
const PARTS_MAX = 16;
const FILE_NAME_LENGTH_MAX = 255;

export interface RouteInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly texts: Readonly<Record<string, string>>;
  readonly files: Readonly<Record<string, readonly UploadedFile[]>>;
  /** Removes what nobody has kept. */
  discard(): Promise<void>;
}

export function inputReader(route: Route, uploads: string): (request: FastifyRequest) => Promise<RouteInput> {
  const params = decoder(route.params, "path");
  const query = decoder(route.query, "query");
  const json = route.body?.kind === "json" ? bodyDecoder(route.body) : undefined;
  return async (request) => {
    const path = params(withoutNull(request.params, "path"));
    const asked = query(withoutNull(coerceQuery(route.query, request.query), "query"));
    const none = { texts: {}, files: {}, discard: async () => undefined };
    if (route.body?.kind === "multipart") {
      const multipart = await readMultipart(request, route.body, uploads);
      return { params: path, query: asked, body: undefined, ...multipart };
    }
    if (json === undefined) return { params: path, query: asked, body: undefined, ...none };
    if (request.body === undefined)
      throw badRequest("input.invalid", "request body is missing.", { field: "request body", reason: "is missing" });
    return { params: path, query: asked, body: json(request.body), ...none };
  };
}

/** No path, query or form means a null character, and PostgreSQL's texts cannot hold one. */
function withoutNull<T>(given: T, what: string): T {
  for (const [name, value] of Object.entries(given ?? {}))
    if ([value].flat().some((text) => typeof text === "string" && text.includes("\0")))
      throw badRequest("input.invalid", `${what}/${name} holds a null character.`, {
        field: `${what}/${name}`,
        reason: "holds a null character",
      });
  return given;
}

/** Both `{ wrapper: {…} }` and the bare object. */
function bodyDecoder(body: Extract<RouteBody, { readonly kind: "json" }>): Decoder<unknown> {
  const decode = decoder(body.schema, "request body");
  return (value) => decode(unwrapped(value, body.wrapper));
}

function unwrapped(value: unknown, wrapper: string | undefined): unknown {
  if (wrapper === undefined || typeof value !== "object" || value === null) return value;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === wrapper ? (value as Record<string, unknown>)[wrapper] : value;
}

/** Query names are matched in either case; a value is text until its schema says otherwise. */
function coerceQuery(schema: Route["query"], raw: unknown): Record<string, unknown> {
  const given = new Map(Object.entries((raw ?? {}) as Record<string, unknown>).map(([name, value]) => [name.toLowerCase(), value]));
  const query: Record<string, unknown> = {};
  for (const [name, property] of Object.entries(schema.properties)) {
    const value = given.get(name.toLowerCase());
    if (value !== undefined) query[name] = coerce(value, (property as { readonly type?: unknown }).type);
  }
  return query;
}

function coerce(value: unknown, type: unknown): unknown {
  if (type === "array") return Array.isArray(value) ? value : [value];
  const text = Array.isArray(value) ? value.at(-1) : value;
  if (typeof text !== "string") return text;
  if (type === "boolean") return text.toLowerCase() === "true";
  if (type === "integer") return /^-?[0-9]{1,15}$/.test(text) ? Number(text) : text;
  return text;
}

/** Throws `input.shortHash` on anything but twelve hexadecimal digits. */
function shortHashOf(text: string): ShortHash {
  const hash = parseShortHash(text);
  if (hash !== undefined) return hash;
  throw badRequest("input.shortHash", `"${text}" is no short hash: it has twelve hexadecimal digits.`, { holdingIdentityShortHash: text });
}

/** Throws `input.shortHash` or `vnode.unknown`. */
export async function requireVirtualNode({ directory }: RestShell, text: string): Promise<VirtualNodeInfo> {
  const id = shortHashOf(text);
  const node = await directory.virtualNode(id);
  if (node !== undefined) return node;
  throw new BowlineError("notFound", "vnode.unknown", `There is no virtual node ${id}.`, { id });
}

/** Files go to disk as they arrive, so that memory does not grow with them. */
async function readMultipart(request: FastifyRequest, body: Extract<RouteBody, { readonly kind: "multipart" }>, uploads: string) {
  const texts: Record<string, string> = {};
  const files: Record<string, UploadedFile[]> = {};
  const paths = new Set<string>();
  const discard = async (): Promise<void> => {
    await Promise.all([...paths].map((path) => unlink(path).catch(() => undefined)));
  };
  const limits = { fileSize: UPLOAD_BYTES_MAX, fieldSize: TEXT_PART_BYTES_MAX, parts: PARTS_MAX };
  try {
    for await (const part of request.parts({ limits })) {
      if (part.type === "field") {
        if (body.texts.includes(part.fieldname)) texts[part.fieldname] = String(part.value);
        continue;
      }
      const { fieldname: field, file, filename } = part;
      const expected = body.files[field];
      if (expected === undefined) throw badRequest("rest.partUnknown", `The file part ${field} is not known here.`, { field });
      if (!expected.many && files[field] !== undefined)
        throw badRequest("rest.partTwice", `The file part ${field} stands twice.`, { field });
      const path = join(uploads, `${randomUUID()}.upload`);
      paths.add(path);
      await pipeline(file, createWriteStream(path, { mode: 0o600 }));
      if (file.truncated) throw tooLarge();
      files[field] = [...(files[field] ?? []), { fileName: fileNameOf(filename), path, keep: () => void paths.delete(path) }];
    }
    withoutNull(texts, "part");
    for (const name of body.texts)
      if (texts[name] === undefined) throw badRequest("rest.partMissing", `The part ${name} is missing.`, { field: name });
  } catch (error) {
    await discard();
    throw multipartFailure(error);
  }
  return { texts, files, discard };
}

function fileNameOf(given: string): string {
  const name = basename(given || "unnamed");
  if (name.length <= FILE_NAME_LENGTH_MAX && !name.includes("\0")) return name;
  throw badRequest("rest.fileName", `A file's name has up to ${FILE_NAME_LENGTH_MAX} characters, none of them null.`, {
    allowed: String(FILE_NAME_LENGTH_MAX),
  });
}

/** The parser of forms throws bare errors at a form that it cannot read, and nothing else here does. */
function multipartFailure(thrown: unknown): unknown {
  if (!(thrown instanceof Error)) return thrown;
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new BowlineError("unavailable", "rest.diskFull", "The server's disk is full: nothing can be uploaded now.");
  if (thrown.constructor === Error && code === undefined)
    return badRequest("rest.malformed", `The form cannot be read: ${thrown.message}.`, { reason: thrown.message });
  return thrown;
}

/** As the original answers it, with 400. */
export const tooLarge = (length?: number): BowlineError =>
  badRequest("rest.bodyTooLarge", `The body is larger than ${UPLOAD_BYTES_MAX} bytes.`, {
    allowed: String(UPLOAD_BYTES_MAX),
    ...(length === undefined ? {} : { actual: String(length) }),
  });
