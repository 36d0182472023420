// Passwords of REST users: Argon2id (RFC 9106), written as a PHC string so that the parameters can grow with the machines.

import { argon2, timingSafeEqual } from "node:crypto";

const MEMORY_KIB = 19_456;
const PASSES = 2;
const PARALLELISM = 1;
const HASH_LENGTH = 32;
export const SALT_LENGTH = 16;
/** The most that `corda.rbac` can allow. */
export const PASSWORD_LENGTH_MAX = 1_000;

const PHC = /^\$argon2id\$v=19\$m=([0-9]+),t=([0-9]+),p=([0-9]+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** `salt` is 16 random bytes. Runs on the thread pool: about 30 ms of a core, 19 MiB. */
export function hashPassword(password: string, salt: Uint8Array): Promise<string> {
  const parameters = { memory: MEMORY_KIB, passes: PASSES, parallelism: PARALLELISM };
  return derive(password, salt, parameters, HASH_LENGTH).then(
    (hash) => `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${PARALLELISM}$${unpadded(salt)}$${unpadded(hash)}`,
  );
}

/** False for a wrong password, and for a stored value that cannot be read. */
export function checkPassword(password: string, stored: string): Promise<boolean> {
  const [, memory, passes, parallelism, salt, hash] = PHC.exec(stored) ?? [];
  if (salt === undefined || hash === undefined || password.length > PASSWORD_LENGTH_MAX) return Promise.resolve(false);
  const expected = Buffer.from(hash, "base64");
  const parameters = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
  return derive(password, Buffer.from(salt, "base64"), parameters, expected.length).then((found) => timingSafeEqual(found, expected));
}

/** What a login without a user is checked against, so that it takes as long as one with. */
export const NOBODYS_PASSWORD = `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=${PARALLELISM}$${"A".repeat(22)}$${"A".repeat(43)}`;

interface Cost {
  readonly memory: number;
  readonly passes: number;
  readonly parallelism: number;
}

const derive = (password: string, nonce: Uint8Array, cost: Cost, tagLength: number): Promise<Buffer> =>
  new Promise((resolve, reject) =>
    argon2("argon2id", { message: password.normalize("NFC"), nonce, tagLength, ...cost }, (error, hash) =>
      error === null ? resolve(hash) : reject(error),
    ),
  );

const unpadded = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64").replace(/=+$/, "");
