// Composite keys: a key that stands for several, of which enough must sign. A child may be composite itself.
//
// Its text is that of any key, base64 of a SubjectPublicKeyInfo, under an algorithm of its own (the one that Corda uses): so it
// stands wherever a key does. Guarantees: one tree has one text; every threshold can be reached, and not without signing.

import { badRequest, compareBytes, concat } from "@bowline/base";
import { Lru } from "./lru.ts";
import { schemeOf } from "./schemes.ts";

export interface CompositeKey {
  /** The weights of the children that have signed must add up to this. */
  readonly threshold: number;
  readonly children: readonly WeightedKey[];
}

export interface WeightedKey {
  readonly key: string;
  readonly weight: number;
}

const CHILDREN = { min: 2, max: 20 };
const DEPTH_MAX = 8;
const LEAVES_MAX = 100;
/** Weights and thresholds are what 31 bits hold, and so are their sums. */
const WEIGHT_MAX = 2 ** 31 - 1;
const TEXT_LENGTH_MAX = 64 * 1024;
const PARSED_MAX = 1_000;
const TAG = { integer: 0x02, bitString: 0x03, sequence: 0x30 } as const;
/** The AlgorithmIdentifier of 2.25.30086077608615255153862931087626791002. */
const ALGORITHM = Buffer.from("3015061369ada2af89d5b8e2aff38d93ac9de6969bd05a", "hex");

/** The text of a composite key. Throws `crypto.compositeInvalid` with the reason. */
export function composeKeys(composite: CompositeKey): string {
  measure(composite, 1);
  return encode(composite).toString("base64");
}

/** The tree behind a composite key's text; undefined for a simple key. Throws `crypto.compositeInvalid`, as `composeKeys`. */
export function decomposeKey(text: string): CompositeKey | undefined {
  return parse(text, 1)?.composite;
}

/** The simple keys of a key: of a simple one only itself. */
export function leafKeys(text: string): readonly string[] {
  const composite = decomposeKey(text);
  return composite === undefined ? [text] : composite.children.flatMap(({ key }) => leafKeys(key));
}

/** Whether those who signed are enough for a key, simple or composite. */
export function isFulfilledBy(text: string, signers: ReadonlySet<string>): boolean {
  const composite = decomposeKey(text);
  if (composite === undefined) return signers.has(text);
  const signed = composite.children.filter(({ key }) => isFulfilledBy(key, signers));
  return signed.reduce((sum, { weight }) => sum + weight, 0) >= composite.threshold;
}

interface Parsed {
  readonly composite: CompositeKey;
  /** Levels of composite keys, and simple keys in all. */
  readonly height: number;
  readonly leaves: number;
}

// A parsed composite key is a pure function of its text.
const parsed = new Lru<string, Parsed>(PARSED_MAX);

/** `depth`: how many composite keys it stands in, with itself. */
function parse(text: string, depth: number): Parsed | undefined {
  const known = parsed.get(text);
  if (known !== undefined) return known;
  if (text.length > TEXT_LENGTH_MAX) throw invalid(`it has more than ${TEXT_LENGTH_MAX} characters`);
  const content = read(Buffer.from(text, "base64"), TAG.sequence)?.[0];
  if (content === undefined || !content.subarray(0, ALGORITHM.length).equals(ALGORITHM)) return undefined;
  const composite = parseTree(content.subarray(ALGORITHM.length));
  // What is not written as it is written here says the same in another way, or more.
  if (composite === undefined || encode(composite).toString("base64") !== text) throw invalid("it is not in its canonical encoding");
  const measured = { composite, ...measure(composite, depth) };
  parsed.set(text, measured);
  return measured;
}

/** Checks a tree, and answers its size. */
function measure({ threshold, children }: CompositeKey, depth: number): Omit<Parsed, "composite"> {
  if (depth > DEPTH_MAX) throw tooDeep();
  if (children.length < CHILDREN.min || children.length > CHILDREN.max)
    throw invalid(`it has ${children.length} children, where ${CHILDREN.min} to ${CHILDREN.max} are allowed`);
  if (new Set(children.map(({ key }) => key)).size < children.length) throw invalid("a child stands in it twice");
  const sum = children.reduce((total, { weight }) => total + weight, 0);
  if (!children.every(({ weight }) => isPositive(weight)) || sum > WEIGHT_MAX) throw invalid("its weights are not positive, or too large");
  if (!isPositive(threshold) || threshold > sum)
    throw invalid(`its threshold ${threshold} is not from 1 to the sum of its weights, ${sum}`);
  let height = 1;
  let leaves = 0;
  for (const { key } of children) {
    const child = parse(key, depth + 1);
    if (child === undefined) schemeOf(key);
    height = Math.max(height, 1 + (child?.height ?? 0));
    leaves += child?.leaves ?? 1;
  }
  if (depth + height - 1 > DEPTH_MAX) throw tooDeep();
  if (leaves > LEAVES_MAX) throw invalid(`it has more than ${LEAVES_MAX} keys`);
  return { height, leaves };
}

const tooDeep = () => invalid(`it nests deeper than ${DEPTH_MAX} levels`);
const isPositive = (value: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= WEIGHT_MAX;

/** The heaviest child first, then in order of their encodings. */
function encode({ threshold, children }: CompositeKey): Buffer {
  const ordered = children
    .map(({ key, weight }) => ({ key: Buffer.from(key, "base64"), weight }))
    .sort((a, b) => b.weight - a.weight || compareBytes(a.key, b.key))
    .map(({ key, weight }) => write(TAG.sequence, write(TAG.bitString, Uint8Array.of(0), key), writeInteger(weight)));
  const tree = write(TAG.sequence, writeInteger(threshold), write(TAG.sequence, ...ordered));
  return Buffer.from(write(TAG.sequence, ALGORITHM, write(TAG.bitString, Uint8Array.of(0), tree)));
}

/** Undefined where the bytes are of another shape; whether they are canonical is seen when they are written again. */
function parseTree(bytes: Buffer): CompositeKey | undefined {
  const tree = read(readBits(bytes), TAG.sequence)?.[0];
  const [threshold, rest] = read(tree, TAG.integer) ?? [];
  let list = read(rest, TAG.sequence)?.[0];
  const children: WeightedKey[] = [];
  while (list !== undefined && list.length > 0 && children.length <= CHILDREN.max) {
    const [child, others]: readonly [Buffer, Buffer] | readonly [] = read(list, TAG.sequence) ?? [];
    const [key, weight] = read(child, TAG.bitString) ?? [];
    const value = read(weight, TAG.integer)?.[0];
    if (key === undefined || value === undefined) return undefined;
    children.push({ key: key.subarray(1).toString("base64"), weight: integer(value) });
    list = others;
  }
  return threshold && { threshold: integer(threshold), children };
}

const readBits = (bytes: Buffer): Buffer | undefined => read(bytes, TAG.bitString)?.[0].subarray(1);

const integer = (bytes: Buffer): number => (bytes.length > 0 && bytes.length <= 5 ? bytes.readUIntBE(0, bytes.length) : 0);

function writeInteger(value: number): Uint8Array {
  const digits = value.toString(16);
  const bytes = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  return write(TAG.integer, (bytes[0] as number) >= 0x80 ? concat(Uint8Array.of(0), bytes) : bytes);
}

function write(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  if (content.length < 0x80) return concat(Uint8Array.of(tag, content.length), content);
  const digits = content.length.toString(16);
  const length = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  return concat(Uint8Array.of(tag, 0x80 | length.length), length, content);
}

/** The content of the first element and what follows it; undefined where it is not there whole, or has another tag. */
function read(bytes: Buffer | undefined, tag: number): readonly [content: Buffer, rest: Buffer] | undefined {
  const first = bytes?.[1];
  if (bytes === undefined || first === undefined || bytes[0] !== tag) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (size > 4 || bytes.length < 2 + size) return undefined;
  const length = size === 0 ? first : bytes.readUIntBE(2, size);
  const start = 2 + size;
  return first === 0x80 || bytes.length < start + length
    ? undefined
    : [bytes.subarray(start, start + length), bytes.subarray(start + length)];
}

const invalid = (reason: string) => badRequest("crypto.compositeInvalid", `Not a composite key: ${reason}.`, { reason });
