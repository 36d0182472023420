// Secrets in configuration, such as the passwords of connections: a value of configuration that only the secrets root opens.

import { badRequest, type Data, fromUtf8, utf8 } from "@bowline/base";
import { type RootKey, unwrap, wrap } from "./wrapping.ts";

/** How configuration holds a secret. */
export interface EncryptedSecret {
  readonly configSecret: { readonly encryptedSecret: string };
}

/** `row` names where the secret stands (table and key, or path of configuration): it opens nowhere else. */
export function encryptSecret(root: RootKey, row: Data, secret: string, random: (length: number) => Uint8Array): EncryptedSecret {
  const wrapped = wrap(root.key, utf8(secret), rowName(row), random);
  return { configSecret: { encryptedSecret: Buffer.from(wrapped).toString("base64") } };
}

/** Throws `crypto.unwrapFailed` where the secret belongs to another row or another root. */
export function decryptSecret(root: RootKey, row: Data, value: EncryptedSecret): string {
  return fromUtf8(unwrap(root.key, Buffer.from(value.configSecret.encryptedSecret, "base64"), rowName(row)));
}

/** Throws `crypto.secretMalformed` on what is not `{ configSecret: { encryptedSecret } }` and nothing else. */
export function parseSecret(value: unknown): EncryptedSecret {
  const inner = only(value, "configSecret");
  const encryptedSecret = only(inner, "encryptedSecret");
  if (typeof encryptedSecret === "string") return { configSecret: { encryptedSecret } };
  throw badRequest("crypto.secretMalformed", 'A secret is written {"configSecret": {"encryptedSecret": "base64"}}.');
}

function only(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Object.entries(value);
  return entries.length === 1 && entries[0]?.[0] === key ? entries[0][1] : undefined;
}

const rowName = (row: Data): Data => ["secret", row];
