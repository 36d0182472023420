// The signature schemes: one table, and signing and verifying by it.
//
// A public key is text everywhere: base64 of its SubjectPublicKeyInfo. Guarantees: one key has one text (another encoding
// of the same key is refused), and a signature is only ever checked under a specification that its key's scheme allows. A valid
// one is checked once per process, as long as it is among those that were asked about last.

import {
  createPublicKey,
  generateKeyPair as generateNodeKeyPair,
  type KeyObject,
  sign as nodeSign,
  verify as nodeVerify,
} from "node:crypto";
import { BowlineError, badRequest, equalBytes, type SecureHash, utf8 } from "@bowline/base";
import { plain, secureHashOf, sha256 } from "./digest.ts";
import { Lru } from "./lru.ts";

export type SchemeName = "CORDA.ECDSA.SECP256R1" | "CORDA.ECDSA.SECP256K1" | "CORDA.EDDSA.ED25519" | "CORDA.RSA";

export type SignatureSpec =
  | "SHA256withECDSA"
  | "SHA384withECDSA"
  | "SHA512withECDSA"
  | "SHA256withRSA"
  | "SHA384withRSA"
  | "SHA512withRSA"
  | "EdDSA";

export interface Scheme {
  readonly defaultSpec: SignatureSpec;
  readonly specs: readonly SignatureSpec[];
  readonly generate: () => Promise<KeyObject>;
  /** Whether a key is one of this scheme. */
  readonly matches: (key: KeyObject) => boolean;
  /** What every SubjectPublicKeyInfo of this scheme begins with, where its length is fixed: points uncompressed, curves by name. */
  readonly canonical?: { readonly prefix: string; readonly length: number };
}

export interface KeyPair {
  readonly scheme: SchemeName;
  /** Base64 of the SubjectPublicKeyInfo. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
}

export interface SignedBytes {
  readonly publicKey: string;
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
  /** The default of the key's scheme where nothing is said. */
  readonly spec?: SignatureSpec;
}

export const DEFAULT_SCHEME: SchemeName = "CORDA.ECDSA.SECP256R1";

const RSA_BITS = 3072;
/** A peer picks the keys that we verify under: these bounds keep the work per signature small. */
const RSA_BITS_ACCEPTED = { min: 2048, max: 8192 };
const PUBLIC_KEY_TEXT_LENGTH_MAX = 2_048;
const PUBLIC_KEYS_CACHED_MAX = 10_000;
/** Some 6 MB; the history of 16,000 transactions, each signed by a member and a notary. */
const VALID_SIGNATURES_KEPT_MAX = 32_768;
const ECDSA_SPECS: readonly SignatureSpec[] = ["SHA256withECDSA", "SHA384withECDSA", "SHA512withECDSA"];

const DIGESTS: Readonly<Record<SignatureSpec, string | null>> = {
  SHA256withECDSA: "sha256",
  SHA384withECDSA: "sha384",
  SHA512withECDSA: "sha512",
  SHA256withRSA: "sha256",
  SHA384withRSA: "sha384",
  SHA512withRSA: "sha512",
  EdDSA: null,
};

const isOnCurve = (key: KeyObject, curve: string) => key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === curve;

export const SCHEMES: Readonly<Record<SchemeName, Scheme>> = {
  "CORDA.ECDSA.SECP256R1": {
    defaultSpec: "SHA256withECDSA",
    specs: ECDSA_SPECS,
    generate: () => privateKeyOf((done) => generateNodeKeyPair("ec", { namedCurve: "prime256v1" }, done)),
    matches: (key) => isOnCurve(key, "prime256v1"),
    canonical: { prefix: "3059301306072a8648ce3d020106082a8648ce3d03010703420004", length: 91 },
  },
  "CORDA.ECDSA.SECP256K1": {
    defaultSpec: "SHA256withECDSA",
    specs: ECDSA_SPECS,
    generate: () => privateKeyOf((done) => generateNodeKeyPair("ec", { namedCurve: "secp256k1" }, done)),
    matches: (key) => isOnCurve(key, "secp256k1"),
    canonical: { prefix: "3056301006072a8648ce3d020106052b8104000a03420004", length: 88 },
  },
  "CORDA.EDDSA.ED25519": {
    defaultSpec: "EdDSA",
    specs: ["EdDSA"],
    generate: () => privateKeyOf((done) => generateNodeKeyPair("ed25519", {}, done)),
    matches: (key) => key.asymmetricKeyType === "ed25519",
    canonical: { prefix: "302a300506032b6570032100", length: 44 },
  },
  "CORDA.RSA": {
    defaultSpec: "SHA512withRSA",
    specs: ["SHA256withRSA", "SHA384withRSA", "SHA512withRSA"],
    generate: () => privateKeyOf((done) => generateNodeKeyPair("rsa", { modulusLength: RSA_BITS }, done)),
    matches: (key) => {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      return key.asymmetricKeyType === "rsa" && bits >= RSA_BITS_ACCEPTED.min && bits <= RSA_BITS_ACCEPTED.max;
    },
  },
};

/** Throws `crypto.schemeUnknown`. */
export function parseScheme(text: string): SchemeName {
  const name = SCHEME_NAMES.find((known) => known === text);
  if (name !== undefined) return name;
  throw badRequest("crypto.schemeUnknown", `There is no key scheme ${text}. Known are ${SCHEME_NAMES.join(", ")}.`, { scheme: text });
}
const SCHEME_NAMES = Object.keys(SCHEMES) as readonly SchemeName[];

/** Made on the thread pool. */
export const generateKeyPair = (scheme: SchemeName): Promise<KeyPair> =>
  SCHEMES[scheme].generate().then((privateKey) => ({ scheme, publicKey: publicKeyText(privateKey), privateKey }));

/** The text of a public key, or of a private key's public half. */
export function publicKeyText(key: KeyObject): string {
  const publicKey = key.type === "private" ? createPublicKey(key) : key;
  return publicKey.export({ type: "spki", format: "der" }).toString("base64");
}

/** A key's id: the hash of its SubjectPublicKeyInfo. */
export const keyIdOf = (publicKey: string): SecureHash => secureHashOf(Buffer.from(publicKey, "base64"));

/** Throws `crypto.keyMalformed` on text that is not exactly a public key of a known scheme. */
export const schemeOf = (publicKey: string): SchemeName => parse(publicKey).scheme;

/** Signs on the thread pool. Throws `crypto.specRefused` where the key's scheme does not allow the specification. */
export function sign(privateKey: KeyObject, bytes: Uint8Array, spec?: SignatureSpec): Promise<Uint8Array> {
  const digest = digestFor(schemeOfKey(privateKey), spec);
  return new Promise((resolve, reject) =>
    nodeSign(digest, bytes, privateKey, (error, signature) => (error === null ? resolve(plain(signature)) : reject(error))),
  );
}

/** As `sign`, on this thread. */
export const signSync = (privateKey: KeyObject, bytes: Uint8Array, spec?: SignatureSpec): Uint8Array =>
  plain(nodeSign(digestFor(schemeOfKey(privateKey), spec), bytes, privateKey));

/** Verifies on the thread pool. False for a key or a specification that cannot be, as for a signature that is not. */
export const verify = (signed: SignedBytes): Promise<boolean> => verifyElsewhere(signed, questionOf(signed));

/** As `verify`, on this thread. */
export const verifySync = (signed: SignedBytes): boolean => verifyHere(signed, questionOf(signed));

/** One answer per item, in order. A few are checked here and now; more go to the thread pool together. */
export function verifyAll(items: readonly SignedBytes[]): Promise<readonly boolean[]> {
  const questions = items.map(questionOf);
  const open = questions.filter((question) => knownValid.get(question) === undefined).length;
  const answerOf = open <= VERIFIED_HERE_MAX ? verifyHere : verifyElsewhere;
  return Promise.all(items.map((item, i) => answerOf(item, questions[i] as string)));
}
/** Below this the way to the thread pool and back costs more than the check. */
const VERIFIED_HERE_MAX = 2;

// A signature is asked about at every step, and by every party that this process serves. The answer is a function of the question, so
// that once is enough. Only those that are valid are kept: whoever sends others fills nothing.
const knownValid = new Lru<string, true>(VALID_SIGNATURES_KEPT_MAX);

/** All that the answer depends on, each part framed by its length. */
function questionOf({ publicKey, bytes, signature, spec }: SignedBytes): string {
  const frame = utf8(`${spec ?? ""} ${publicKey.length} ${signature.length} ${publicKey}`);
  return Buffer.from(sha256(frame, signature, bytes)).toString("base64");
}

function verifyHere(signed: SignedBytes, question: string): boolean {
  if (knownValid.get(question) === true) return true;
  const verifier = verifierOf(signed);
  return verifier !== undefined && kept(question, nodeVerify(verifier.digest, signed.bytes, verifier.key, signed.signature));
}

async function verifyElsewhere(signed: SignedBytes, question: string): Promise<boolean> {
  if (knownValid.get(question) === true) return true;
  const { key, digest } = verifierOf(signed) ?? {};
  if (key === undefined || digest === undefined) return false;
  return new Promise((resolve) =>
    nodeVerify(digest, signed.bytes, key, signed.signature, (error, valid) => resolve(error === null && kept(question, valid))),
  );
}

function kept(question: string, isValid: boolean): boolean {
  if (isValid) knownValid.set(question, true);
  return isValid;
}

/** Thread-pool key generation, which answers with both halves; the public one is derived from the private one. */
const privateKeyOf = (
  start: (done: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void) => void,
): Promise<KeyObject> =>
  new Promise((resolve, reject) => start((error, _publicKey, privateKey) => (error === null ? resolve(privateKey) : reject(error))));

interface ParsedKey {
  readonly key: KeyObject;
  readonly scheme: SchemeName;
}

// Parsing a key costs as much as using it. A parsed public key is a pure function of its text, so that one cache serves all.
const parsedKeys = new Lru<string, ParsedKey>(PUBLIC_KEYS_CACHED_MAX);

function parse(publicKey: string): ParsedKey {
  const known = parsedKeys.get(publicKey);
  if (known !== undefined) return known;
  if (publicKey.length > PUBLIC_KEY_TEXT_LENGTH_MAX) throw keyMalformed("it is too long");
  const der = Buffer.from(publicKey, "base64");
  if (der.toString("base64") !== publicKey) throw keyMalformed("it is not canonical base64");
  const parsed = parseDer(der);
  parsedKeys.set(publicKey, parsed);
  return parsed;
}

function parseDer(der: Buffer): ParsedKey {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: der, format: "der", type: "spki" });
  } catch {
    throw keyMalformed("it is not a SubjectPublicKeyInfo");
  }
  const scheme = SCHEME_NAMES.find((name) => SCHEMES[name].matches(key));
  if (scheme === undefined) throw keyMalformed(`it is of no known scheme (${SCHEME_NAMES.join(", ")})`);
  if (!isCanonical(der, key, SCHEMES[scheme])) throw keyMalformed("it is not in its canonical encoding");
  return { key, scheme };
}

/** A compressed point, or spelled-out curve parameters, would give one key a second text. */
function isCanonical(der: Buffer, key: KeyObject, { canonical }: Scheme): boolean {
  if (canonical === undefined) return equalBytes(der, key.export({ type: "spki", format: "der" }));
  return der.length === canonical.length && der.toString("hex").startsWith(canonical.prefix);
}

function schemeOfKey(key: KeyObject): SchemeName {
  const scheme = SCHEME_NAMES.find((name) => SCHEMES[name].matches(key));
  if (scheme === undefined) throw keyMalformed("it is of no known scheme");
  return scheme;
}

function digestFor(scheme: SchemeName, spec: SignatureSpec | undefined): string | null {
  const { specs, defaultSpec } = SCHEMES[scheme];
  if (spec !== undefined && !specs.includes(spec))
    throw badRequest("crypto.specRefused", `A key of scheme ${scheme} does not sign by ${spec}, but by ${specs.join(", ")}.`, {
      scheme,
      spec,
    });
  return DIGESTS[spec ?? defaultSpec];
}

/** Undefined where no signature could be valid. */
function verifierOf({ publicKey, spec }: SignedBytes): { key: KeyObject; digest: string | null } | undefined {
  try {
    const { key, scheme } = parse(publicKey);
    return { key, digest: digestFor(scheme, spec) };
  } catch (error) {
    if (error instanceof BowlineError) return undefined;
    throw error;
  }
}

const keyMalformed = (reason: string) =>
  badRequest("crypto.keyMalformed", `Not a public key: ${reason}. Write it as base64 of its SubjectPublicKeyInfo.`, { reason });
