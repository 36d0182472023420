// Checking signatures, in flows and in contracts. What passes here passes in the platform's own check of the same key, signature and
// specification; the answer is a function of its arguments alone, so that every member who runs a contract gets the same.
//
// It costs about 2 ms a signature in the sandbox, and some 50 ms once per isolate and curve.

import { appPreimage } from "@bowline/base/preimage";
import { ed25519 } from "@noble/curves/ed25519.js";
import { p256 } from "@noble/curves/nist.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { digest } from "./digest.ts";
import { FlowError } from "./failure.ts";
import type { DigitalSignature } from "./keys.ts";
import { type ParsedKey, parseKey } from "./public-keys.ts";
import { isRsaSignature } from "./rsa.ts";
import { DIGEST_OF_SPEC, type SignatureSpec, SPECS_OF_SCHEME } from "./signature-specs.ts";
import type { PublicKeyText } from "./transaction.ts";

/** A signature that was made elsewhere, over `bytes` as they are. */
export interface ForeignSignature {
  readonly bytes: Uint8Array;
  readonly key: PublicKeyText;
  readonly signature: Uint8Array;
  /** The default of the key's scheme where nothing is said. */
  readonly spec?: SignatureSpec;
}

export const signatures = /* @__PURE__ */ Object.freeze({
  /** Of what `context.keys.sign` signed, by the key that the signature names. Throws as `verifyForeign`. */
  verify(bytes: Uint8Array, { by, vnode, spec, signature }: DigitalSignature): void {
    // Of another length it could take bytes over from what is signed, or leave some to it.
    if (!/^[0-9A-F]{12}$/.test(vnode))
      throw new FlowError("signature.invalid", `"${vnode}" is no virtual node, and nothing is signed on it.`);
    check({ bytes: appPreimage(vnode, bytes), key: by, signature, spec });
  },

  /**
   * Of what was signed outside of Bowline, by an oracle for instance. Throws `signature.invalid`, `signature.specRefused` where the key makes no
   * such signatures, or `key.malformed`.
   */
  verifyForeign: (signed: ForeignSignature): void => check(signed),
} as const);

function check({ bytes, key, signature, spec }: ForeignSignature): void {
  const parsed = parseKey(key);
  const allowed = SPECS_OF_SCHEME[parsed.scheme];
  const used = spec ?? (allowed[0] as SignatureSpec);
  if (!allowed.includes(used))
    throw new FlowError(
      "signature.specRefused",
      `A key of scheme ${parsed.scheme} does not sign by ${used}, but by ${allowed.join(", ")}.`,
      { scheme: parsed.scheme, spec: used },
    );
  if (!isValid(parsed, used, bytes, signature))
    throw new FlowError("signature.invalid", `This is no signature by ${used} of these bytes under that key.`, { key, spec: used });
}

const ECDSA = { "CORDA.ECDSA.SECP256R1": p256, "CORDA.ECDSA.SECP256K1": secp256k1 } as const;

/** The libraries throw on bytes that cannot be a signature or a point, which here is an answer like any other. */
function isValid(key: ParsedKey, spec: SignatureSpec, bytes: Uint8Array, signature: Uint8Array): boolean {
  const algorithm = DIGEST_OF_SPEC[spec];
  const hashed = algorithm === undefined ? bytes : digest.bytes(bytes, algorithm);
  try {
    if (key.scheme === "CORDA.EDDSA.ED25519") return ed25519.verify(signature, bytes, key.point, { zip215: false });
    if (key.scheme === "CORDA.RSA") return algorithm !== undefined && isRsaSignature(key.rsa, algorithm, hashed, signature);
    return ECDSA[key.scheme].verify(signature, hashed, key.point, { prehash: false, format: "der", lowS: false });
  } catch {
    return false;
  }
}
