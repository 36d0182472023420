// Digests by name. Weak ones are not offered. Another algorithm is just a function that a CorDapp brings along.

import { fromHex, hex, utf8 } from "@bowline/base";
import { sha256, sha384, sha512 } from "@noble/hashes/sha2.js";
import { sha3_256 } from "@noble/hashes/sha3.js";
import { FlowError } from "./failure.ts";

export type DigestAlgorithm = "SHA-256" | "SHA-256D" | "SHA-384" | "SHA-512" | "SHA3-256";

const ALGORITHMS: Readonly<Record<DigestAlgorithm, { readonly length: number; readonly of: (bytes: Uint8Array) => Uint8Array }>> = {
  "SHA-256": { length: 32, of: sha256 },
  /** Twice. */
  "SHA-256D": { length: 32, of: (bytes) => sha256(sha256(bytes)) },
  "SHA-384": { length: 48, of: sha384 },
  "SHA-512": { length: 64, of: sha512 },
  "SHA3-256": { length: 32, of: sha3_256 },
};

/**
 * A hash as text is `<algorithm>:<upper-case hexadecimal>`, as ids of transactions and of packages are.
 *
 * @example digest.hash("hello") // "SHA-256:2CF24DBA…"
 */
export const digest = /* @__PURE__ */ Object.freeze({
  default: "SHA-256" as DigestAlgorithm,
  supported: ["SHA-256", "SHA-256D", "SHA-384", "SHA-512", "SHA3-256"] as readonly DigestAlgorithm[],

  /** Of bytes, or of the UTF-8 of a text. Throws `digest.unknown`. */
  hash: (data: Uint8Array | string, algorithm: string = "SHA-256"): string => `${algorithm}:${hex(digest.bytes(data, algorithm))}`,
  bytes: (data: Uint8Array | string, algorithm: string = "SHA-256"): Uint8Array =>
    algorithmOf(algorithm).of(typeof data === "string" ? utf8(data) : data),
  /** In bytes. Throws `digest.unknown`. */
  length: (algorithm: string): number => algorithmOf(algorithm).length,

  /** Throws `digest.malformed` on what is not a hash of a known algorithm in its full length. */
  parse(text: string): { readonly algorithm: DigestAlgorithm; readonly bytes: Uint8Array } {
    const [, name = "", digits = ""] = /^([^:]+):([0-9A-F]*)$/.exec(text) ?? [];
    const bytes = fromHex(digits);
    if (!isAlgorithm(name) || bytes?.length !== ALGORITHMS[name].length)
      throw new FlowError(
        "digest.malformed",
        `"${text.slice(0, 160)}" is no hash: write the algorithm, a colon and upper-case hexadecimal digits.`,
      );
    return { algorithm: name, bytes };
  },
} as const);

const isAlgorithm = (name: string): name is DigestAlgorithm => Object.hasOwn(ALGORITHMS, name);

function algorithmOf(name: string): (typeof ALGORITHMS)[DigestAlgorithm] {
  if (isAlgorithm(name)) return ALGORITHMS[name];
  throw new FlowError("digest.unknown", `There is no digest algorithm ${name}. Known are ${digest.supported.join(", ")}.`);
}
