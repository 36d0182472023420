// Composite keys: a key that stands for several, of which enough must sign. A child may be composite itself.
//
// Its text is that of any key, base64 of a SubjectPublicKeyInfo, under an algorithm of its own (the one that Corda uses): so it
// stands wherever a key does. Guarantees: one tree has one text; every threshold can be reached, and not without signing.
// What a simple key is, is for whoever uses this to say: the platform and the sandbox each have their own reader of keys.

import { fromBase64, toBase64 } from "./base64.ts";
import { compareBytes, concat, equalBytes } from "./bytes.ts";
import { badRequest } from "./errors.ts";

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
const TAG = { integer: 0x02, bitString: 0x03, sequence: 0x30 } as const;
/** The AlgorithmIdentifier of 2.25.30086077608615255153862931087626791002. */
const ALGORITHM = Uint8Array.of(
  0x30,
  0x15,
  0x06,
  0x13,
  0x69,
  0xad,
  0xa2,
  0xaf,
  0x89,
  0xd5,
  0xb8,
  0xe2,
  0xaf,
  0xf3,
  0x8d,
  0x93,
  0xac,
  0x9d,
  0xe6,
  0x96,
  0x9b,
  0xd0,
  0x5a,
);

export interface CompositeKeys {
  /** The text of a composite key. Throws `crypto.compositeInvalid` with the reason. */
  compose(composite: CompositeKey): string;
  /** The tree behind a composite key's text; undefined for a simple key. Throws `crypto.compositeInvalid`, as `compose`. */
  decompose(text: string): CompositeKey | undefined;
  /** The simple keys of a key: of a simple one only itself. */
  leaves(text: string): readonly string[];
  /** Whether those who signed are enough for a key, simple or composite. */
  isFulfilledBy(text: string, signers: ReadonlySet<string>): boolean;
}

/** What is known of a composite key's text, which is a function of the text. */
export interface ParsedCompositeKey {
  readonly composite: CompositeKey;
  /** Levels of composite keys, and simple keys in all. */
  readonly height: number;
  readonly leaves: number;
}

/** A memory of texts that were read before. */
export interface ParsedCompositeKeys {
  get(text: string): ParsedCompositeKey | undefined;
  set(text: string, parsed: ParsedCompositeKey): void;
}

/** `requireSimple` throws on text that is no simple key. */
export function compositeKeysOver(requireSimple: (text: string) => void, known?: ParsedCompositeKeys): CompositeKeys {
  const parse = (text: string, depth: number): ParsedCompositeKey | undefined => {
    const found = known?.get(text);
    if (found !== undefined) return found;
    const composite = readComposite(text);
    if (composite === undefined) return undefined;
    const parsed = { composite, ...measure(composite, depth) };
    known?.set(text, parsed);
    return parsed;
  };
  /** Checks a tree, and answers its size. `depth`: how many composite keys it stands in, with itself. */
  const measure = (composite: CompositeKey, depth: number): Omit<ParsedCompositeKey, "composite"> => {
    if (depth > DEPTH_MAX) throw tooDeep();
    requireSound(composite);
    let height = 1;
    let leaves = 0;
    for (const { key } of composite.children) {
      const child = parse(key, depth + 1);
      if (child === undefined) requireSimple(key);
      height = Math.max(height, 1 + (child?.height ?? 0));
      leaves += child?.leaves ?? 1;
    }
    if (depth + height - 1 > DEPTH_MAX) throw tooDeep();
    if (leaves > LEAVES_MAX) throw invalid(`it has more than ${LEAVES_MAX} keys`);
    return { height, leaves };
  };
  const decompose = (text: string): CompositeKey | undefined => parse(text, 1)?.composite;
  const leaves = (text: string): readonly string[] => decompose(text)?.children.flatMap(({ key }) => leaves(key)) ?? [text];
  const isFulfilledBy = (text: string, signers: ReadonlySet<string>): boolean => {
    const composite = decompose(text);
    if (composite === undefined) return signers.has(text);
    const signed = composite.children.filter(({ key }) => isFulfilledBy(key, signers));
    return signed.reduce((sum, { weight }) => sum + weight, 0) >= composite.threshold;
  };
  return {
    compose(composite) {
      measure(composite, 1);
      return toBase64(encode(composite));
    },
    decompose,
    leaves,
    isFulfilledBy,
  };
}

/** Undefined for what is not under the algorithm of composite keys. */
function readComposite(text: string): CompositeKey | undefined {
  if (text.length > TEXT_LENGTH_MAX) throw invalid(`it has more than ${TEXT_LENGTH_MAX} characters`);
  const bytes = fromBase64(text);
  const content = bytes === undefined ? undefined : read(bytes, TAG.sequence)?.[0];
  if (content === undefined || !equalBytes(content.subarray(0, ALGORITHM.length), ALGORITHM)) return undefined;
  const composite = parseTree(content.subarray(ALGORITHM.length));
  // What is not written as it is written here says the same in another way, or more.
  if (composite === undefined || toBase64(encode(composite)) !== text) throw invalid("it is not in its canonical encoding");
  return composite;
}

function requireSound({ threshold, children }: CompositeKey): void {
  if (children.length < CHILDREN.min || children.length > CHILDREN.max)
    throw invalid(`it has ${children.length} children, where ${CHILDREN.min} to ${CHILDREN.max} are allowed`);
  if (new Set(children.map(({ key }) => key)).size < children.length) throw invalid("a child stands in it twice");
  const sum = children.reduce((total, { weight }) => total + weight, 0);
  if (!children.every(({ weight }) => isPositive(weight)) || sum > WEIGHT_MAX) throw invalid("its weights are not positive, or too large");
  if (!isPositive(threshold) || threshold > sum)
    throw invalid(`its threshold ${threshold} is not from 1 to the sum of its weights, ${sum}`);
}

const tooDeep = () => invalid(`it nests deeper than ${DEPTH_MAX} levels`);
const isPositive = (value: number): boolean => Number.isSafeInteger(value) && value >= 1 && value <= WEIGHT_MAX;

/** The heaviest child first, then in order of their encodings. */
function encode({ threshold, children }: CompositeKey): Uint8Array {
  const ordered = children
    .map(({ key, weight }) => ({ key: keyBytes(key), weight }))
    .sort((a, b) => b.weight - a.weight || compareBytes(a.key, b.key))
    .map(({ key, weight }) => write(TAG.sequence, write(TAG.bitString, Uint8Array.of(0), key), writeInteger(weight)));
  const tree = write(TAG.sequence, writeInteger(threshold), write(TAG.sequence, ...ordered));
  return write(TAG.sequence, ALGORITHM, write(TAG.bitString, Uint8Array.of(0), tree));
}

function keyBytes(key: string): Uint8Array {
  const bytes = fromBase64(key);
  if (bytes === undefined) throw invalid("a child is not the base64 of a key");
  return bytes;
}

/** Undefined where the bytes are of another shape; whether they are canonical is seen when they are written again. */
function parseTree(bytes: Uint8Array): CompositeKey | undefined {
  const tree = read(readBits(bytes), TAG.sequence)?.[0];
  const [threshold, rest] = read(tree, TAG.integer) ?? [];
  let list = read(rest, TAG.sequence)?.[0];
  const children: WeightedKey[] = [];
  while (list !== undefined && list.length > 0 && children.length <= CHILDREN.max) {
    const [child, others]: readonly [Uint8Array, Uint8Array] | readonly [] = read(list, TAG.sequence) ?? [];
    const [key, weight] = read(child, TAG.bitString) ?? [];
    const value = read(weight, TAG.integer)?.[0];
    if (key === undefined || value === undefined) return undefined;
    children.push({ key: toBase64(key.subarray(1)), weight: integer(value) });
    list = others;
  }
  return threshold && { threshold: integer(threshold), children };
}

const readBits = (bytes: Uint8Array): Uint8Array | undefined => read(bytes, TAG.bitString)?.[0].subarray(1);

/** Nothing that a weight could be where there are no bytes, or too many. */
const integer = (bytes: Uint8Array): number => (bytes.length <= 5 ? bytes.reduce((value, byte) => value * 256 + byte, 0) : 0);

function writeInteger(value: number): Uint8Array {
  const bytes = bigEndian(value);
  return write(TAG.integer, (bytes[0] as number) >= 0x80 ? concat(Uint8Array.of(0), bytes) : bytes);
}

function write(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  if (content.length < 0x80) return concat(Uint8Array.of(tag, content.length), content);
  const length = bigEndian(content.length);
  return concat(Uint8Array.of(tag, 0x80 | length.length), length, content);
}

/** As few bytes as the value takes, and one at least. */
function bigEndian(value: number): Uint8Array {
  const bytes: number[] = [];
  for (let rest = value; rest > 0 || bytes.length === 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
}

/** The content of the first element and what follows it; undefined where it is not there whole, or has another tag. */
function read(bytes: Uint8Array | undefined, tag: number): readonly [content: Uint8Array, rest: Uint8Array] | undefined {
  const first = bytes?.[1];
  if (bytes === undefined || first === undefined || bytes[0] !== tag) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (size > 4 || bytes.length < 2 + size) return undefined;
  const length = size === 0 ? first : integer(bytes.subarray(2, 2 + size));
  const start = 2 + size;
  return first === 0x80 || bytes.length < start + length
    ? undefined
    : [bytes.subarray(start, start + length), bytes.subarray(start + length)];
}

const invalid = (reason: string) => badRequest("crypto.compositeInvalid", `Not a composite key: ${reason}.`, { reason });
