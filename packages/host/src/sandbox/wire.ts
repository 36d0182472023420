// What comes out of an isolate is text: JSON, where bytes are {"#":"b<base64>"}, integers beyond 2^53 {"#":"n<decimal>"},
// and a key that begins with # is written with one # more. It is hostile until it is parsed.

import { BowlineError, type Data } from "@bowline/base";

/** Levels that an answer may have: those of `Data`, and those around it. */
export const WIRE_DEPTH_MAX = 40;

/** Plain JSON, or what the isolate says it threw. Throws `sandbox.answerInvalid`. */
export function parseAnswer(text: unknown, charsMax: number): { readonly ok: unknown } | { readonly thrown: string } {
  if (typeof text !== "string") throw answerInvalid("is no text");
  if (text.length > charsMax) throw answerInvalid(`takes ${text.length} characters, more than ${charsMax}`);
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw answerInvalid("is no JSON");
  }
  if (isObject(answer) && "ok" in answer) return { ok: answer["ok"] };
  if (isObject(answer) && typeof answer["thrown"] === "string") return { thrown: answer["thrown"] };
  throw answerInvalid("is neither an answer nor a failure");
}

/** Of parsed JSON, the plain data that it stands for. `numbers` says whether fractions may be among it. Throws `sandbox.answerInvalid`. */
export function fromWire(value: unknown, numbers: "integers" | "any", depth = 0): Data {
  if (depth > WIRE_DEPTH_MAX) throw answerInvalid(`nests deeper than ${WIRE_DEPTH_MAX} levels`);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "string") {
    if (value.isWellFormed()) return value;
    throw answerInvalid("holds text with a lone surrogate");
  }
  if (typeof value === "number") {
    if (numbers === "any" || Number.isSafeInteger(value)) return value;
    throw answerInvalid(`holds ${value}, which is no integer below 2^53`);
  }
  if (Array.isArray(value)) return value.map((item) => fromWire(item, numbers, depth + 1));
  if (!isObject(value)) throw answerInvalid(`holds a ${typeof value}`);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]?.[0] === "#") return scalar(entries[0][1]);
  const map: { [key: string]: Data } = {};
  for (const [escaped, member] of entries) {
    if (escaped === "#") throw answerInvalid("holds a # beside other members");
    const key = escaped.startsWith("##") ? escaped.slice(1) : escaped;
    if (!key.isWellFormed()) throw answerInvalid("holds a key with a lone surrogate");
    // `__proto__` as an own property, never as the prototype.
    Object.defineProperty(map, key, { value: fromWire(member, numbers, depth + 1), enumerable: true, configurable: true, writable: true });
  }
  return map;
}

function scalar(written: unknown): Data {
  if (typeof written === "string" && /^b(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(written))
    return new Uint8Array(Buffer.from(written.slice(1), "base64"));
  if (typeof written === "string" && /^n-?\d{1,40}$/.test(written)) return BigInt(written.slice(1));
  throw answerInvalid("holds a # that is neither bytes nor an integer");
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const answerInvalid = (what: string): BowlineError =>
  new BowlineError("internal", "sandbox.answerInvalid", `What a package answered ${what}.`, { reason: what });
