// Bytes are `Uint8Array` everywhere. These are the few operations that the platform does not bring, and hashes as text:
// computing them belongs to `crypto`; this package only knows how they are written.

import { decodeByHand, encodeByHand } from "./utf8-by-hand.ts";

const isSandbox = typeof TextEncoder === "undefined";
const encoder = isSandbox ? undefined : new TextEncoder();
const decoder = isSandbox ? undefined : new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export const utf8 = (text: string): Uint8Array => (encoder === undefined ? encodeByHand(text) : encoder.encode(text));

/** Throws a `TypeError` on bytes that are not UTF-8. */
export const fromUtf8 = (bytes: Uint8Array): string => (decoder === undefined ? decodeByHand(bytes) : decoder.decode(bytes));

/** Upper-case hexadecimal, as Corda writes hashes. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += HEX[byte];
  return text;
}
const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0").toUpperCase());

/** Undefined when `text` is not an even number of hexadecimal digits. */
export function fromHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (nibble(text.charCodeAt(2 * i)) << 4) | nibble(text.charCodeAt(2 * i + 1));
  return bytes;
}

/** Of a hexadecimal digit's code: letters lie six places before their value, in either case. */
const nibble = (code: number): number => (code & 0x0f) + (code >> 6) * 9;

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Bytewise order, shorter first where one is a prefix of the other. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const common = Math.min(a.length, b.length);
  for (let i = 0; i < common; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && compareBytes(a, b) === 0;

/** Four bytes, big-endian. `value` is an integer from 0 to 2^32 - 1. */
export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
  return bytes;
}

// --- Hashes ---

declare const brand: unique symbol;

/** An algorithm, a colon and upper-case hexadecimal digits. Where nothing else is said: `SHA-256:` and 64 digits. */
export type SecureHash = string & { readonly [brand]: "SecureHash" };

export const SHA_256 = "SHA-256";
const PATTERN = /^SHA-256:[0-9A-F]{64}$/;

export const secureHash = (digest: Uint8Array, algorithm: string = SHA_256): SecureHash => `${algorithm}:${hex(digest)}` as SecureHash;

/** Undefined when `text` is not an SHA-256 hash as `SecureHash` writes it. */
export const parseSecureHash = (text: string): SecureHash | undefined => (PATTERN.test(text) ? (text as SecureHash) : undefined);

/** The bytes of the digest. */
export function digestOf(hash: SecureHash): Uint8Array {
  return fromHex(hash.slice(hash.indexOf(":") + 1)) as Uint8Array;
}

/** The first twelve hexadecimal digits, upper case: how REST names packages and holding identities. */
export type ShortHash = string & { readonly [brand]: "ShortHash" };

export const shortHash = (hash: SecureHash): ShortHash => hash.slice(SHA_256.length + 1, SHA_256.length + 13) as ShortHash;

/** Either case is accepted; undefined when `text` is not exactly twelve hexadecimal digits. */
export const parseShortHash = (text: string): ShortHash | undefined =>
  /^[0-9a-fA-F]{12}$/.test(text) ? (text.toUpperCase() as ShortHash) : undefined;
