// Hash suite 1: SHA-256. Ledger, keys, packages and identities are all named by it.

import { hash } from "node:crypto";
import { concat, type HoldingIdentity, type SecureHash, secureHash, shortHash, utf8, type X500Name } from "@bowline/base";

/** The digest of the parts, one after the other. Whoever hashes parts of varying length frames them. */
export const sha256 = digestBy("sha256", 32);

/** A digest by the name that Node has for it, and its length in bytes. */
export function digestBy(name: string, length: number): (...parts: readonly Uint8Array[]) => Uint8Array {
  return (...parts) => {
    // As text, of one character for each byte: a `Buffer` has memory outside of the heap, which costs more than the digest itself.
    const text = hash(name, parts.length === 1 ? (parts[0] as Uint8Array) : together(parts), "binary");
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  };
}

/** Most of what is hashed is short, and in parts: these are laid together in one place, since making one each costs as much as hashing it. */
function together(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  if (length > bench.length) return concat(...parts);
  let at = 0;
  for (const part of parts) {
    bench.set(part, at);
    at += part.length;
  }
  return bench.subarray(0, length);
}
const bench = new Uint8Array(4_096);

export const secureHashOf = (...parts: readonly Uint8Array[]): SecureHash => secureHash(sha256(...parts));

const BLOCK_LENGTH = 64;

/**
 * HMAC-SHA-256 (RFC 2104) of the parts, one after the other. Two digests at once: an HMAC object of Node costs six times as
 * much, and a transaction takes one for each of its leaves.
 */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const inner = new Uint8Array(BLOCK_LENGTH).fill(0x36);
  const outer = new Uint8Array(BLOCK_LENGTH).fill(0x5c);
  const short = key.length > BLOCK_LENGTH ? sha256(key) : key;
  for (let i = 0; i < short.length; i++) {
    inner[i] = (short[i] as number) ^ 0x36;
    outer[i] = (short[i] as number) ^ 0x5c;
  }
  return sha256(outer, sha256(inner, ...parts));
}

/** The full hash is SHA-256 over the canonical name followed by the group id, as UTF-8, with nothing between them. */
export function holdingIdentity(x500Name: X500Name, groupId: string): HoldingIdentity {
  const fullHash = secureHashOf(utf8(x500Name + groupId));
  return { x500Name, groupId, fullHash, shortHash: shortHash(fullHash) };
}

/** Node answers with `Buffer`s over shared memory; ours are `Uint8Array`s over memory of their own, to compare, clone and freeze. */
export const plain = (bytes: Uint8Array): Uint8Array =>
  bytes.byteLength === bytes.buffer.byteLength ? new Uint8Array(bytes.buffer) : Uint8Array.from(bytes);
