// The edge: everything from outside passes a decoder once, and is a domain type from there on.
//
// JSON is read more strictly than `JSON.parse` does: a key that stands twice is refused instead of silently losing a value,
// and so is a number that would not survive (fractions and integers beyond 2^53 are written as text). What comes out is
// `Data`, so it can be journaled, sent and hashed as it is.

import type { Static, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { type Data, DEPTH_MAX } from "./codec.ts";
import { badRequest } from "./errors.ts";

// --- Decoders ---

/** Parses or throws `input.invalid`, naming the field and the reason. */
export type Decoder<T> = (value: unknown) => T;

/**
 * A decoder from a schema. `what` names the input in messages ("request body").
 *
 * @example const decodeStart = decoder(Type.Object({ clientRequestId: Type.String() }), "request body");
 */
export function decoder<S extends TSchema>(schema: S, what: string): Decoder<Static<S>> {
  let compiled: ReturnType<typeof Compile<S>> | undefined;
  return (value) => {
    compiled ??= Compile(schema);
    if (compiled.Check(value)) return value as Static<S>;
    throw schemaRefusal(compiled.Errors(value), what);
  };
}

/** A schema checker's complaint, as far as we read it. */
export interface SchemaComplaint {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
}

/** How many fields one refusal names. */
const FIELDS_TOLD_MAX = 8;

/**
 * `input.invalid` with each field and its reason, in words for whoever wrote the input. The first is `field` and `reason`
 * among the details; where there are more, all are, as `Error #1` and so on.
 */
export function schemaRefusal(complaints: Iterable<SchemaComplaint>, what: string) {
  const reasons = new Map<string, string>();
  const constants = new Map<string, unknown[]>();
  for (const complaint of complaints) {
    const { keyword, instancePath, params } = complaint;
    // Each alternative of a union that is not met complains: together they say what may stand there.
    if (keyword === "const") {
      const allowed = [...(constants.get(instancePath) ?? []), (params as { readonly allowedValue?: unknown }).allowedValue];
      constants.set(instancePath, allowed);
      reasons.set(instancePath, `must be ${allowed.length === 1 ? "" : "one of "}${allowed.join(", ")}`);
    } else for (const { field, reason } of inWords(complaint)) if (!reasons.has(field)) reasons.set(field, reason);
  }
  const told = [...reasons].slice(0, FIELDS_TOLD_MAX).map(([field, reason]) => ({ field: `${what}${field}`, reason }));
  const { field, reason } = told[0] ?? { field: what, reason: "does not fit its schema" };
  const sentences = told.map((each) => `${each.field} ${each.reason}`);
  const all = sentences.length < 2 ? {} : Object.fromEntries(sentences.map((sentence, at) => [`Error #${at + 1}`, sentence]));
  return badRequest("input.invalid", `${sentences.join("; ") || `${field} ${reason}`}.`, { field, reason, ...all });
}

type Reason = { readonly field: string; readonly reason: string };

function inWords({ keyword, instancePath, params, message }: SchemaComplaint): readonly Reason[] {
  const { requiredProperties = [], allowedValues } = params as {
    requiredProperties?: readonly string[];
    allowedValues?: readonly unknown[];
  };
  if (keyword === "required") return requiredProperties.map((name) => ({ field: `${instancePath}/${name}`, reason: "is missing" }));
  if (keyword === "boolean") return [{ field: instancePath, reason: "is not known here" }];
  if (keyword === "additionalProperties") return []; // Each of them has complained by itself.
  if (keyword === "enum" && allowedValues !== undefined)
    return [{ field: instancePath, reason: `must be one of ${allowedValues.join(", ")}` }];
  return [{ field: instancePath, reason: message }];
}

// --- JSON ---

/** Throws `json.invalid`, naming `what` ("request body"), the place and the reason. */
export const readJson = (text: string, what: string): Data => new JsonReader(text, what, undefined).document();

/** As `readJson`, but what a number becomes is for `numberOf` to say of its literal: it sees the digits that `readJson` refuses. */
export const readJsonExactly = (text: string, what: string, numberOf: (literal: string) => Data): Data =>
  new JsonReader(text, what, numberOf).document();

/** `Data` as JSON text: bytes as base64, integers beyond 2^53 as text. */
export function writeJson(value: Data): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === "bigint" ? member.toString() : member instanceof Uint8Array ? base64(member) : member,
  );
}

const WHITE = /[\t\n\r ]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const TEXT = /"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const WORDS: readonly (readonly [string, Data])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

class JsonReader {
  readonly #text: string;
  readonly #what: string;
  readonly #numberOf: ((literal: string) => Data) | undefined;
  #at = 0;

  constructor(text: string, what: string, numberOf: ((literal: string) => Data) | undefined) {
    this.#text = text;
    this.#what = what;
    this.#numberOf = numberOf;
  }

  document(): Data {
    const value = this.#value("", 0);
    this.#skip();
    if (this.#at < this.#text.length) throw this.#refuse("", "something follows the value");
    return value;
  }

  #value(path: string, depth: number): Data {
    if (depth > DEPTH_MAX) throw this.#refuse(path, `it nests deeper than ${DEPTH_MAX} levels`);
    this.#skip();
    const character = this.#text[this.#at];
    if (character === "{") return this.#object(path, depth);
    if (character === "[") return this.#array(path, depth);
    if (character === '"') return this.#string(path);
    for (const [word, value] of WORDS) {
      if (!this.#text.startsWith(word, this.#at)) continue;
      this.#at += word.length;
      return value;
    }
    return this.#number(path);
  }

  #object(path: string, depth: number): Data {
    const entries = new Map<string, Data>();
    this.#at++;
    if (this.#takes("}")) return {};
    do {
      this.#skip();
      if (this.#text[this.#at] !== '"') throw this.#refuse(path, "a property name in double quotes is missing");
      const key = this.#string(path);
      const where = `${path}/${key}`;
      if (entries.has(key)) throw this.#refuse(where, "the property stands twice");
      if (!this.#takes(":")) throw this.#refuse(where, "a colon is missing");
      entries.set(key, this.#value(where, depth + 1));
    } while (this.#takes(","));
    if (!this.#takes("}")) throw this.#refuse(path, "a comma or a closing brace is missing");
    return Object.fromEntries(entries); // `__proto__` becomes an own property here, never the prototype.
  }

  #array(path: string, depth: number): Data {
    const items: Data[] = [];
    this.#at++;
    if (this.#takes("]")) return items;
    do items.push(this.#value(`${path}/${items.length}`, depth + 1));
    while (this.#takes(","));
    if (!this.#takes("]")) throw this.#refuse(path, "a comma or a closing bracket is missing");
    return items;
  }

  #string(path: string): string {
    const quoted = this.#match(TEXT, this.#at);
    if (quoted === undefined) throw this.#refuse(path, "a text is not closed");
    const text = unescaped(quoted[0]);
    if (text === undefined) throw this.#refuse(path, "a text holds a bad escape or a control character");
    if (!text.isWellFormed()) throw this.#refuse(path, "a text holds half of a surrogate pair");
    this.#at += quoted[0].length;
    return text;
  }

  #number(path: string): Data {
    const found = this.#match(NUMBER, this.#at);
    if (found === undefined) throw this.#refuse(path, this.#at >= this.#text.length ? "it ends too early" : "a value is missing");
    if (this.#numberOf !== undefined) {
      this.#at += found[0].length;
      return this.#numberOf(found[0]);
    }
    const value = Number(found[0]);
    if (found[1] !== undefined || found[2] !== undefined)
      throw this.#refuse(path, `${found[0]} is not a plain integer: write fractions and exponents as text`);
    if (!Number.isSafeInteger(value)) throw this.#refuse(path, `${found[0]} is beyond 2^53: write it as text`);
    this.#at += found[0].length;
    return value === 0 ? 0 : value;
  }

  #takes(character: string): boolean {
    this.#skip();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skip(): void {
    this.#at += this.#match(WHITE, this.#at)?.[0].length ?? 0;
  }

  #match(pattern: RegExp, at: number): RegExpExecArray | undefined {
    pattern.lastIndex = at;
    return pattern.exec(this.#text) ?? undefined;
  }

  #refuse(path: string, reason: string) {
    const field = `${this.#what}${path}`;
    return badRequest("json.invalid", `${field} is not JSON as it is needed: ${reason} (character ${this.#at}).`, { field, reason });
  }
}

function unescaped(quoted: string): string | undefined {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return undefined;
  }
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}
