// The hierarchy that protects keys at rest: a root, from a passphrase and a salt that never lie in a database; below it a
// wrapping key per tenant and generation; below that the private keys.
//
// Wrapped bytes are AES-256-GCM: version (1) | nonce (12) | ciphertext | tag (16). The associated data names the row that they
// belong to. Guarantees: bytes that were moved to another row, or changed, do not unwrap; and roots of different purposes
// differ even where somebody gave them the same passphrase and salt.

import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, scrypt } from "node:crypto";
import { BowlineError, concat, type Data, encode, utf8 } from "@bowline/base";

export interface RootKey {
  /** What rows that it wraps call it: several can be known at once, so that it can be replaced. */
  readonly alias: string;
  readonly key: KeyObject;
}

/** Costs about 150 ms of a core and 32 MiB, once per process. */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
export const WRAPPING_KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
const TAG_LENGTH = 16;
const VERSION = 1;

/** `purpose` keeps the root of keys and the root of secrets apart. */
export function deriveRoot(root: {
  readonly purpose: "keys" | "secrets";
  readonly alias: string;
  readonly passphrase: string;
  readonly salt: string;
}): Promise<RootKey> {
  const salt = encode(["bowline root", root.purpose, root.salt]);
  return new Promise((resolve, reject) =>
    scrypt(utf8(root.passphrase), salt, WRAPPING_KEY_LENGTH, SCRYPT, (error, key) =>
      error === null ? resolve({ alias: root.alias, key: createSecretKey(key) }) : reject(error),
    ),
  );
}

/** The name of a row that holds wrapped bytes, as plain data: the same when wrapping and unwrapping. */
export type RowName = Data;

export function wrap(key: KeyObject, plaintext: Uint8Array, row: RowName, random: (length: number) => Uint8Array): Uint8Array {
  const nonce = random(NONCE_LENGTH);
  return concat(Uint8Array.of(VERSION), nonce, seal({ key, nonce, associated: encode(row) }, plaintext));
}

/** Throws `crypto.unwrapFailed` where the bytes are not what `wrap` gave for this row under this key. */
export function unwrap(key: KeyObject, wrapped: Uint8Array, row: RowName): Uint8Array {
  const nonce = wrapped.subarray(1, 1 + NONCE_LENGTH);
  const plaintext = wrapped[0] === VERSION ? open({ key, nonce, associated: encode(row) }, wrapped.subarray(1 + NONCE_LENGTH)) : undefined;
  if (plaintext !== undefined) return plaintext;
  throw new BowlineError(
    "internal",
    "crypto.unwrapFailed",
    "A wrapped value cannot be opened: it was changed, belongs to another row, or its root was made from another passphrase or salt.",
  );
}

interface Gcm {
  readonly key: KeyObject | Uint8Array;
  readonly nonce: Uint8Array;
  readonly associated: Uint8Array;
}

/** AES-256-GCM: ciphertext and tag. A nonce never serves one key twice. */
export function seal({ key, nonce, associated }: Gcm, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  cipher.setAAD(associated);
  return concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
}

/** Undefined where key, nonce, associated data or bytes are not those of `seal`. */
export function open({ key, nonce, associated }: Gcm, sealed: Uint8Array): Uint8Array | undefined {
  if (nonce.length !== NONCE_LENGTH || sealed.length < TAG_LENGTH) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG_LENGTH });
  decipher.setAAD(associated);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_LENGTH));
  try {
    const plaintext = decipher.update(sealed.subarray(0, sealed.length - TAG_LENGTH));
    return concat(plaintext, decipher.final());
  } catch {
    return undefined;
  }
}
