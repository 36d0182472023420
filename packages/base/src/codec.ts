// Canonical bytes: deterministic CBOR in the core encoding of RFC 8949 §4.2.1, and nothing beside it.
//
// Guarantees: `encode` is a function of the value alone; `decode` accepts exactly the image of `encode`,
// so that for any accepted bytes b, encode(decode(b)) equals b. No floats, no tags, no `undefined`,
// no indefinite lengths; integers in [-2^64, 2^64); map keys are text, in bytewise order of their encoding.

import { compareBytes, fromUtf8, utf8 } from "./bytes.ts";
import { badRequest } from "./errors.ts";

/** What canonical bytes can say. Integers beyond 2^53 - 1 are `bigint`, and only they. */
export type Data = null | boolean | number | bigint | string | Uint8Array | readonly Data[] | { readonly [key: string]: Data };

/** Levels of arrays and maps that a value may have. */
export const DEPTH_MAX = 32;

const MAJOR = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, simple: 7 } as const;
const FALSE = 0xf4;
const TRUE = 0xf5;
const NULL = 0xf6;
const SAFE = BigInt(Number.MAX_SAFE_INTEGER);

/** Throws `codec.unsupported` on a value that `Data` does not include (fractions, `undefined`, class instances, lone surrogates). */
export function encode(value: Data): Uint8Array {
  const writer = new Writer();
  writer.value(value, 0, undefined);
  return writer.finish();
}

/** Throws `codec.malformed` on anything but canonical bytes of one value. */
export function decode(bytes: Uint8Array): Data {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw malformed(reader.at, `${bytes.length - reader.at} bytes follow the value`);
  return value;
}

/**
 * Most values are small and most text is short ASCII: these two facts are what the writer and the reader are fast for.
 * The buffer is shared by all writers, which run one after the other and copy out what they wrote.
 */
let shared = new Uint8Array(64 * 1024);
const SHARED_BYTES_MAX = 1024 * 1024;
const SHORT_TEXT = 96;

class Writer {
  #buffer = shared;
  #length = 0;

  finish(): Uint8Array {
    if (this.#buffer.length <= SHARED_BYTES_MAX) shared = this.#buffer;
    return this.#buffer.slice(0, this.#length);
  }

  value(value: Data, depth: number, where: Place | undefined): void {
    if (depth > DEPTH_MAX) throw unsupported(where, `nests deeper than ${DEPTH_MAX} levels`);
    if (value === null) this.#byte(NULL);
    else if (typeof value === "boolean") this.#byte(value ? TRUE : FALSE);
    else if (typeof value === "number") this.#number(value, where);
    else if (typeof value === "bigint") this.#bigint(value, where);
    else if (typeof value === "string") this.#text(value, where);
    else if (value instanceof Uint8Array) {
      this.#head(MAJOR.bytes, value.length);
      this.#raw(value);
    } else if (isArray(value)) {
      this.#head(MAJOR.array, value.length);
      for (let i = 0; i < value.length; i++) this.value(value[i] as Data, depth + 1, { in: where, at: i });
    } else if (typeof value === "object" && isPlain(value)) this.#map(value, depth, where);
    else throw unsupported(where, `is ${describe(value)}`);
  }

  #map(value: { readonly [key: string]: Data }, depth: number, where: Place | undefined): void {
    const keys = Object.keys(value);
    keys.sort(keys.every(isAscii) ? asciiOrder : encodedOrder(where));
    this.#head(MAJOR.map, keys.length);
    for (const key of keys) {
      const place: Place = { in: where, at: key };
      this.#text(key, place);
      this.value(value[key] as Data, depth + 1, place);
    }
  }

  #number(value: number, where: Place | undefined): void {
    if (!Number.isSafeInteger(value)) throw unsupported(where, `is ${value}: write fractions as text, and integers beyond 2^53 as bigint`);
    if (value >= 0) this.#head(MAJOR.unsigned, value);
    else this.#head(MAJOR.negative, -1 - value);
  }

  #bigint(value: bigint, where: Place | undefined): void {
    const negative = value < 0n;
    const argument = negative ? -1n - value : value;
    if (argument >> 64n !== 0n) throw unsupported(where, "is an integer of more than 64 bits: write it as text");
    if (value <= SAFE && value >= -SAFE) {
      this.#number(Number(value), where);
      return;
    }
    this.#byte(((negative ? MAJOR.negative : MAJOR.unsigned) << 5) | 27);
    this.#word(Number(argument >> 32n));
    this.#word(Number(argument & 0xffffffffn));
  }

  #text(value: string, where: Place | undefined): void {
    if (value.length <= SHORT_TEXT && isAscii(value)) {
      this.#head(MAJOR.text, value.length);
      this.#reserve(value.length);
      for (let i = 0; i < value.length; i++) this.#buffer[this.#length++] = value.charCodeAt(i);
      return;
    }
    const bytes = textBytes(value, where);
    this.#head(MAJOR.text, bytes.length);
    this.#raw(bytes);
  }

  /** The shortest form of the argument, as §4.2.1 wants it. */
  #head(major: number, argument: number): void {
    const high = major << 5;
    if (argument < 24) this.#byte(high | argument);
    else if (argument < 0x100) {
      this.#byte(high | 24);
      this.#byte(argument);
    } else if (argument < 0x10000) {
      this.#byte(high | 25);
      this.#byte(argument >>> 8);
      this.#byte(argument & 0xff);
    } else if (argument < 0x100000000) {
      this.#byte(high | 26);
      this.#word(argument);
    } else {
      this.#byte(high | 27);
      this.#word(Math.floor(argument / 0x100000000));
      this.#word(argument % 0x100000000);
    }
  }

  /** Four bytes, big-endian. */
  #word(value: number): void {
    this.#byte(value >>> 24);
    this.#byte((value >>> 16) & 0xff);
    this.#byte((value >>> 8) & 0xff);
    this.#byte(value & 0xff);
  }

  #byte(byte: number): void {
    if (this.#length === this.#buffer.length) this.#reserve(1);
    this.#buffer[this.#length++] = byte;
  }

  #raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(extra: number): void {
    if (this.#length + extra <= this.#buffer.length) return;
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#length + extra));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** Where in the value: made into text only for a message. */
interface Place {
  readonly in: Place | undefined;
  readonly at: string | number;
}

const placeText = (place: Place | undefined): string => {
  if (place === undefined) return "$";
  return placeText(place.in) + (typeof place.at === "number" ? `[${place.at}]` : `.${place.at}`);
};

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

// The head of a shorter key is smaller, so that the order of encodings is: length first, then bytes.
const asciiOrder = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : 1);

function encodedOrder(where: Place | undefined): (a: string, b: string) => number {
  return (a, b) => {
    const [one, other] = [textBytes(a, { in: where, at: a }), textBytes(b, { in: where, at: b })];
    return one.length - other.length || compareBytes(one, other);
  };
}

/** Where a key stands: its encoding, head and all. */
interface Span {
  readonly at: number;
  readonly end: number;
}

class Reader {
  readonly #bytes: Uint8Array;
  at = 0;

  /** No view of its memory is made, not even for a part: that of a small array would have to leave the heap for it. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  value(depth: number): Data {
    if (depth > DEPTH_MAX) throw malformed(this.at, `nests deeper than ${DEPTH_MAX} levels`);
    const start = this.at;
    const initial = this.#byte();
    const major = initial >> 5;
    if (major === MAJOR.simple) {
      if (initial === FALSE) return false;
      if (initial === TRUE) return true;
      if (initial === NULL) return null;
      throw malformed(start, "a simple value other than false, true and null, or a float");
    }
    const argument = this.#argument(initial & 31, start);
    switch (major) {
      case MAJOR.unsigned:
        return argument;
      case MAJOR.negative: {
        if (typeof argument === "number" && argument < Number.MAX_SAFE_INTEGER) return -1 - argument;
        return -1n - BigInt(argument);
      }
      case MAJOR.bytes:
        return this.#take(argument, start);
      case MAJOR.text:
        return this.#text(argument, start);
      case MAJOR.array:
        return this.#array(argument, depth, start);
      case MAJOR.map:
        return this.#map(argument, depth, start);
      default:
        throw malformed(start, "a tag");
    }
  }

  #array(argument: number | bigint, depth: number, start: number): Data[] {
    const length = this.#count(argument, 1, start);
    const items: Data[] = [];
    for (let i = 0; i < length; i++) items.push(this.value(depth + 1));
    return items;
  }

  #map(argument: number | bigint, depth: number, start: number): { [key: string]: Data } {
    const length = this.#count(argument, 2, start);
    const map: { [key: string]: Data } = {};
    let previous: Span | undefined;
    for (let i = 0; i < length; i++) {
      const at = this.at;
      const initial = this.#byte();
      if (initial >> 5 !== MAJOR.text) throw malformed(at, "a map key that is not text");
      const key = this.#text(this.#argument(initial & 31, at), at);
      const encoded: Span = { at, end: this.at };
      if (previous !== undefined && !this.#precedes(previous, encoded)) throw malformed(at, "map keys out of order or twice");
      previous = encoded;
      const value = this.value(depth + 1);
      // `__proto__` as an own property, never as the prototype.
      if (key === "__proto__") Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true });
      else map[key] = value;
    }
    return map;
  }

  #argument(info: number, start: number): number | bigint {
    if (info < 24) return info;
    if (info > 27) throw malformed(start, "an indefinite or reserved length");
    const size = 1 << (info - 24);
    if (this.at + size > this.#bytes.length) throw malformed(start, "cut short");
    let value = 0;
    for (let i = 0; i < Math.min(size, 4); i++) value = value * 0x100 + this.#byte();
    if (info === 24) return shortest(value, 24, start);
    if (info === 25) return shortest(value, 0x100, start);
    if (info === 26) return shortest(value, 0x10000, start);
    if (value === 0) throw malformed(start, "a length or integer not in its shortest form");
    let low = 0;
    for (let i = 0; i < 4; i++) low = low * 0x100 + this.#byte();
    // Up to 2^53 - 1 it is a number.
    return value < 0x200000 ? value * 0x100000000 + low : (BigInt(value) << 32n) | BigInt(low);
  }

  /** Each item takes at least one byte: a length that promises more than is there is refused before memory is. */
  #count(argument: number | bigint, bytesEach: number, start: number): number {
    if (typeof argument === "bigint" || argument * bytesEach > this.#bytes.length - this.at) throw malformed(start, "cut short");
    return argument;
  }

  #take(argument: number | bigint, start: number): Uint8Array {
    const length = this.#count(argument, 1, start);
    const part = this.#bytes.slice(this.at, this.at + length);
    this.at += length;
    return part;
  }

  #text(argument: number | bigint, start: number): string {
    const length = this.#count(argument, 1, start);
    if (length <= SHORT_TEXT) {
      const end = this.at + length;
      let text = "";
      let at = this.at;
      for (; at < end && (this.#bytes[at] as number) < 0x80; at++) text += String.fromCharCode(this.#bytes[at] as number);
      if (at === end) {
        this.at = end;
        return text;
      }
    }
    try {
      return fromUtf8(this.#take(length, start));
    } catch {
      throw malformed(start, "text that is not UTF-8");
    }
  }

  /** In bytewise order; two keys of which one begins the other would differ in their heads. */
  #precedes(one: Span, other: Span): boolean {
    for (let i = 0; one.at + i < one.end && other.at + i < other.end; i++) {
      const difference = (this.#bytes[one.at + i] as number) - (this.#bytes[other.at + i] as number);
      if (difference !== 0) return difference < 0;
    }
    return false;
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw malformed(this.at, "cut short");
    this.at++;
    return byte;
  }
}

function shortest(value: number, least: number, start: number): number {
  if (value < least) throw malformed(start, "a length or integer not in its shortest form");
  return value;
}

function textBytes(value: string, where: Place | undefined): Uint8Array {
  if (!value.isWellFormed()) throw unsupported(where, "holds a lone surrogate, which UTF-8 cannot say");
  return utf8(value);
}

const isArray = (value: object): value is readonly Data[] => Array.isArray(value);

function isPlain(value: object): value is { readonly [key: string]: Data } {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || prototype === Object.prototype) return true;
  // Plain objects of another realm (an isolate, a compartment) have a prototype of their own, with none above it.
  return Object.getPrototypeOf(prototype) === null;
}

function describe(value: unknown): string {
  if (value === undefined) return "undefined";
  return typeof value === "object" ? "an object with a class" : `a ${typeof value}`;
}

const malformed = (at: number, what: string) => badRequest("codec.malformed", `Not canonical bytes: ${what}, at byte ${at}.`);
const unsupported = (where: Place | undefined, what: string) =>
  badRequest("codec.unsupported", `Cannot be written as canonical bytes: ${placeText(where)} ${what}.`);
