// Which signatures a key can make. A public key says its scheme by how its SubjectPublicKeyInfo begins (RFC 5280 §4.1.2.7).

export type SchemeName = "CORDA.ECDSA.SECP256R1" | "CORDA.ECDSA.SECP256K1" | "CORDA.EDDSA.ED25519" | "CORDA.RSA";

export type SignatureSpec =
  | "SHA256withECDSA"
  | "SHA384withECDSA"
  | "SHA512withECDSA"
  | "SHA256withRSA"
  | "SHA384withRSA"
  | "SHA512withRSA"
  | "EdDSA";

const ECDSA: readonly SignatureSpec[] = ["SHA256withECDSA", "SHA384withECDSA", "SHA512withECDSA"];

/** The default first. */
export const SPECS_OF_SCHEME: Readonly<Record<SchemeName, readonly SignatureSpec[]>> = {
  "CORDA.ECDSA.SECP256R1": ECDSA,
  "CORDA.ECDSA.SECP256K1": ECDSA,
  "CORDA.EDDSA.ED25519": ["EdDSA"],
  "CORDA.RSA": ["SHA512withRSA", "SHA256withRSA", "SHA384withRSA"],
};

/** The digest that each one signs; EdDSA does its own. */
export const DIGEST_OF_SPEC: Readonly<Record<SignatureSpec, "SHA-256" | "SHA-384" | "SHA-512" | undefined>> = {
  SHA256withECDSA: "SHA-256",
  SHA384withECDSA: "SHA-384",
  SHA512withECDSA: "SHA-512",
  SHA256withRSA: "SHA-256",
  SHA384withRSA: "SHA-384",
  SHA512withRSA: "SHA-512",
  EdDSA: undefined,
};
