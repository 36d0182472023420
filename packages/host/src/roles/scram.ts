// SCRAM-SHA-256 verifiers (RFC 5802, as PostgreSQL stores them). We send the verifier instead of the password, so that the
// password of a database user is in no statement, and so in no log of the server.

import { createHmac, hash, pbkdf2 } from "node:crypto";

const ITERATIONS = 4_096;
const KEY_LENGTH = 32;
export const SCRAM_SALT_LENGTH = 16;

/** `password` is ASCII: nothing here would normalise it. */
export function scramVerifier(password: string, salt: Uint8Array): Promise<string> {
  return new Promise((resolve, reject) =>
    pbkdf2(password, salt, ITERATIONS, KEY_LENGTH, "sha256", (error, salted) => {
      if (error !== null) return reject(error);
      const keyed = (text: string) => createHmac("sha256", salted).update(text).digest();
      const storedKey = hash("sha256", keyed("Client Key"), "base64");
      const serverKey = keyed("Server Key").toString("base64");
      resolve(`SCRAM-SHA-256$${ITERATIONS}:${Buffer.from(salt).toString("base64")}$${storedKey}:${serverKey}`);
    }),
  );
}
