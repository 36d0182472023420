// Hashes as text. Computing them belongs to `crypto`; this package only knows how they are written.

import { fromHex, hex } from "./bytes.ts";

declare const brand: unique symbol;

/** `SHA-256:` and 64 upper-case hexadecimal digits. */
export type SecureHash = string & { readonly [brand]: "SecureHash" };

export const SHA_256 = "SHA-256";
const PATTERN = /^SHA-256:[0-9A-F]{64}$/;

export const secureHash = (digest: Uint8Array): SecureHash => `${SHA_256}:${hex(digest)}` as SecureHash;

/** Undefined when `text` is not a hash as `SecureHash` writes it. */
export const parseSecureHash = (text: string): SecureHash | undefined => (PATTERN.test(text) ? (text as SecureHash) : undefined);

/** The 32 bytes of the digest. */
export function digestOf(hash: SecureHash): Uint8Array {
  return fromHex(hash.slice(SHA_256.length + 1)) as Uint8Array;
}

/** The first twelve hexadecimal digits, upper case: how REST names packages and holding identities. */
export type ShortHash = string & { readonly [brand]: "ShortHash" };

export const shortHash = (hash: SecureHash): ShortHash => hash.slice(SHA_256.length + 1, SHA_256.length + 13) as ShortHash;

/** Either case is accepted; undefined when `text` is not exactly twelve hexadecimal digits. */
export const parseShortHash = (text: string): ShortHash | undefined =>
  /^[0-9a-fA-F]{12}$/.test(text) ? (text.toUpperCase() as ShortHash) : undefined;
