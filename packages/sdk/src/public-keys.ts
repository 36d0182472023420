// Public keys as text, bytes and PEM, and the signatures that each can make. Everywhere in Bowline a key is the base64 of its
// SubjectPublicKeyInfo in the one canonical encoding: equal keys are equal text.
//
// A key's form is checked here; whether its point lies on its curve shows when a signature is checked under it. A composite key
// is text from `keys.compose`, and makes no signature of its own.

import { hex } from "@bowline/base";
import { fromBase64, toBase64 } from "@bowline/base/base64";
import { digest } from "./digest.ts";
import { FlowError } from "./failure.ts";
import { type RsaKey, rsaKeyOf } from "./rsa.ts";
import { DIGEST_OF_SPEC, type SchemeName, type SignatureSpec, SPECS_OF_SCHEME } from "./signature-specs.ts";
import type { PublicKeyText } from "./transaction.ts";

const LABEL = "PUBLIC KEY";
const TEXT_LENGTH_MAX = 2_048;
/** What the encoding of a scheme's keys begins with, and its length: points uncompressed, curves by name. */
const FORMS: readonly { readonly scheme: Exclude<SchemeName, "CORDA.RSA">; readonly prefix: string; readonly length: number }[] = [
  { scheme: "CORDA.ECDSA.SECP256R1", prefix: "3059301306072A8648CE3D020106082A8648CE3D03010703420004", length: 91 },
  { scheme: "CORDA.ECDSA.SECP256K1", prefix: "3056301006072A8648CE3D020106052B8104000A03420004", length: 88 },
  { scheme: "CORDA.EDDSA.ED25519", prefix: "302A300506032B6570032100", length: 44 },
];

export type ParsedKey =
  /** `point` as its curve encodes it. */
  | { readonly scheme: Exclude<SchemeName, "CORDA.RSA">; readonly point: Uint8Array }
  | { readonly scheme: "CORDA.RSA"; readonly rsa: RsaKey };

/** Throws `key.malformed`. */
export function parseKey(key: PublicKeyText): ParsedKey {
  const der = key.length > TEXT_LENGTH_MAX ? undefined : fromBase64(key);
  if (der === undefined) throw malformed("it is not the base64 of one");
  const digits = hex(der);
  const form = FORMS.find(({ prefix, length }) => der.length === length && digits.startsWith(prefix));
  // An uncompressed point keeps the 04 that stands last in the prefix.
  if (form !== undefined) return { scheme: form.scheme, point: der.slice(form.scheme === "CORDA.EDDSA.ED25519" ? 12 : form.length - 65) };
  const rsa = rsaKeyOf(der);
  if (rsa === undefined) throw malformed(`it is of none of the schemes ${Object.keys(SPECS_OF_SCHEME).join(", ")}`);
  return { scheme: "CORDA.RSA", rsa };
}

export const publicKeys = /* @__PURE__ */ Object.freeze({
  /** From bytes (DER), PEM or base64. Throws `key.malformed`. */
  decode(encoded: Uint8Array | string): PublicKeyText {
    const text = typeof encoded === "string" ? fromPem(encoded) : toBase64(encoded);
    parseKey(text);
    return text;
  },
  toBytes(key: PublicKeyText): Uint8Array {
    parseKey(key);
    return fromBase64(key) as Uint8Array;
  },
  toPem(key: PublicKeyText): string {
    parseKey(key);
    return `-----BEGIN ${LABEL}-----\n${(key.match(/.{1,64}/g) ?? []).join("\n")}\n-----END ${LABEL}-----\n`;
  },
  /** The hash by which signature records name it: `SHA-256:` of its bytes. Throws `key.malformed`. */
  idOf: (key: PublicKeyText): string => digest.hash(publicKeys.toBytes(key)),
  scheme: (key: PublicKeyText): SchemeName => parseKey(key).scheme,

  /** Undefined where the key makes no signature over that digest. */
  defaultSpec: (key: PublicKeyText, digest?: string): SignatureSpec | undefined => publicKeys.compatibleSpecs(key, digest)[0],
  /** The default first. */
  compatibleSpecs(key: PublicKeyText, digest?: string): readonly SignatureSpec[] {
    return SPECS_OF_SCHEME[publicKeys.scheme(key)].filter((spec) => digest === undefined || DIGEST_OF_SPEC[spec] === digest);
  },
} as const);

function fromPem(text: string): string {
  const found = /^\s*-----BEGIN ([A-Z ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----\s*$/.exec(text);
  if (found === null) return text.trim();
  if (found[1] !== LABEL) throw malformed(`its PEM holds a ${found[1]}`);
  return (found[2] as string).replaceAll(/\s/g, "");
}

const malformed = (reason: string) => new FlowError("key.malformed", `Not a public key: ${reason}.`, { reason });
