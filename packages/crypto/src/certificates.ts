// X.509 certificates as they are read and judged. `issuing.ts` makes them.
//
// Guarantees of `judgeChain`: a chain is trusted only if it leads, signature by signature, to a certificate that the operator
// trusts; every certificate on the way is in force at the time asked for, may do what it is used for, is signed by a sound
// algorithm, and says nothing critical that is not understood here. What is refused, is refused with the reason.
// Revocation is not looked at.

import { X509Certificate } from "node:crypto";
import { BowlineError, badRequest, type Instant, type SecureHash, utf8 } from "@bowline/base";
import { BitString, Integer } from "asn1js";
import { BasicConstraints, Certificate } from "pkijs";
import { secureHashOf } from "./digest.ts";

export type CertificateUse = "authority" | "tls-server" | "code-signing";

/** Longer than any chain in earnest use. */
export const CHAIN_LENGTH_MAX = 10;
const CERTIFICATES_PER_FILE_MAX = 100;

export const OID = {
  basicConstraints: "2.5.29.19",
  keyUsage: "2.5.29.15",
  extendedKeyUsage: "2.5.29.37",
  subjectAlternativeName: "2.5.29.17",
  subjectKeyIdentifier: "2.5.29.14",
  authorityKeyIdentifier: "2.5.29.35",
  certificatePolicies: "2.5.29.32",
  serverAuthentication: "1.3.6.1.5.5.7.3.1",
  codeSigning: "1.3.6.1.5.5.7.3.3",
  anyExtendedKeyUsage: "2.5.29.37.0",
} as const;

/** Bits of a key usage, from the left of its first byte. */
export const KEY_USAGE = { digitalSignature: 0x80, certificateSigning: 0x04, revocationSigning: 0x02 } as const;

/** SHA-1 and MD5 are not among them. */
const SOUND_SIGNATURES = new Set([
  "1.2.840.10045.4.3.2", // ECDSA with SHA-256
  "1.2.840.10045.4.3.3",
  "1.2.840.10045.4.3.4",
  "1.2.840.113549.1.1.11", // RSA with SHA-256
  "1.2.840.113549.1.1.12",
  "1.2.840.113549.1.1.13",
  "1.3.101.112", // Ed25519
]);

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM file, in its order; text between them is a comment. Throws `certificate.malformed`. */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(PEM_BLOCK) ?? [];
  const begun = pem.split("-----BEGIN").length - 1;
  if (blocks.length === 0) throw certificateMalformed("it holds no PEM block that begins with -----BEGIN CERTIFICATE-----");
  if (blocks.length !== begun) throw certificateMalformed("it holds something else than whole certificates (a key never belongs here)");
  if (blocks.length > CERTIFICATES_PER_FILE_MAX) throw certificateMalformed(`it holds more than ${CERTIFICATES_PER_FILE_MAX} certificates`);
  return blocks.map((block, i) => {
    try {
      return new X509Certificate(block);
    } catch {
      throw certificateMalformed(`certificate ${i + 1} cannot be read`);
    }
  });
}

/** As `parseCertificates`, where the file is one chain: leaf first, each issued by the next, none twice. Throws `certificate.chainBroken`. */
export function parseChain(pem: string): readonly X509Certificate[] {
  const chain = parseCertificates(pem);
  if (chain.length > CHAIN_LENGTH_MAX)
    throw chainBroken(`it has ${chain.length} certificates, and at most ${CHAIN_LENGTH_MAX} make a chain`);
  if (new Set(chain.map(({ fingerprint256 }) => fingerprint256)).size < chain.length) throw chainBroken("a certificate stands in it twice");
  chain.slice(1).forEach((issuer, i) => {
    if (!isIssuedBy(chain[i] as X509Certificate, issuer)) throw chainBroken(`certificate ${i + 1} was not issued by certificate ${i + 2}`);
  });
  return chain;
}

export const pemOf = (chain: readonly X509Certificate[]): string => chain.map((certificate) => certificate.toString()).join("");

/** Why a chain is refused; `code` is one of the `certificate.*` codes. */
export type Judgement =
  | { readonly kind: "trusted"; readonly anchor: X509Certificate }
  | { readonly kind: "refused"; readonly code: string; readonly reason: string };

/** Judges a chain (leaf first) that is used as `use` at the time `at`, by the certificates that the operator trusts. */
export function judgeChain(
  chain: readonly X509Certificate[],
  trusted: { readonly anchors: readonly X509Certificate[]; readonly at: Instant; readonly use: CertificateUse },
): Judgement {
  if (chain.length > CHAIN_LENGTH_MAX) return refused("certificate.chainBroken", `a chain has at most ${CHAIN_LENGTH_MAX} certificates`);
  for (const [depth, certificate] of chain.entries()) {
    // An anchor is trusted as it is, whatever its own dates; only one that signs by itself must be fit to.
    const itself = trusted.anchors.find(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256);
    if (itself !== undefined && depth > 0) return authorityFault(itself, depth - 1) ?? { kind: "trusted", anchor: itself };
    const fault =
      certificateFault(certificate, trusted.at) ??
      (depth === 0 ? leafFault(certificate, trusted.use) : authorityFault(certificate, depth - 1));
    if (fault !== undefined) return fault;
    if (itself !== undefined) return { kind: "trusted", anchor: itself };
    const anchor = trusted.anchors.find((candidate) => isIssuedBy(certificate, candidate));
    if (anchor !== undefined) return authorityFault(anchor, depth) ?? { kind: "trusted", anchor };
    const issuer = chain[depth + 1];
    if (issuer !== undefined && !isIssuedBy(certificate, issuer))
      return refused(
        "certificate.chainBroken",
        `the certificate of ${subjectOf(certificate)} was not issued by the next in its chain, ${subjectOf(issuer)}`,
      );
  }
  const [leaf] = chain;
  return refused(
    "certificate.untrusted",
    `the certificate of ${leaf === undefined ? "nobody" : subjectOf(leaf)} leads to no certificate that is trusted here`,
  );
}

/** One line: `CN=…, O=…`. */
export const subjectOf = (certificate: X509Certificate): string => certificate.subject?.replaceAll("\n", ", ") ?? "(no subject)";

const SUMMARY_ORDER = ["C", "ST", "L", "O", "OU", "CN"] as const;

/**
 * The identity that a certificate gives its holder, as packages are named by it: of the subject only C, ST, L, O, OU and CN,
 * in this order, as `KEY=value` with RFC 2253 escapes, joined by commas. So a renewed certificate with the same subject, and
 * another key, is the same signer.
 */
export function signerName(certificate: X509Certificate): string {
  const subject = certificate.toLegacyObject().subject as Readonly<Record<string, string | readonly string[] | undefined>>;
  return SUMMARY_ORDER.flatMap((key) => {
    const value = subject[key];
    const values = value === undefined ? [] : typeof value === "string" ? [value] : value;
    return values.map((text) => `${key}=${escapeRfc2253(text)}`);
  }).join(",");
}

/**
 * What stands for a set of signers in the identity of a package: each signer's name is hashed (SHA-256 of its UTF-8), the
 * distinct hashes are put in order of their digests, bytes compared as signed (0x80 to 0xFF before 0x00 to 0x7F), written
 * as `SHA-256:HEX` one after the other, and hashed again.
 */
export function signerSummaryHash(certificates: readonly X509Certificate[]): SecureHash {
  if (certificates.length === 0) throw badRequest("certificate.none", "A summary of signers needs at least one signer.");
  const hashes = [...new Set(certificates.map((certificate) => secureHashOf(utf8(signerName(certificate)))))];
  return secureHashOf(utf8(hashes.sort((a, b) => (signedOrder(a) < signedOrder(b) ? -1 : 1)).join("")));
}

/** The digest's text with the sign of every byte flipped, so that plain order is signed order. */
const signedOrder = (hash: SecureHash): string =>
  hash.slice(-64).replace(/../g, (byte) => (Number.parseInt(byte, 16) ^ 0x80).toString(16).padStart(2, "0"));

const escapeRfc2253 = (text: string): string =>
  text
    .replaceAll(/[,+"\\<>;]/g, "\\$&")
    .replace(/^[ #]/, "\\$&")
    .replace(/(?<=.) $/, "\\ ");

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false; // A key that the platform cannot verify with signs nothing.
  }
}

function certificateFault(certificate: X509Certificate, at: Instant): Judgement | undefined {
  const who = `the certificate of ${subjectOf(certificate)}`;
  if (at < Date.parse(certificate.validFrom))
    return refused("certificate.notYetValid", `${who} is valid from ${new Date(certificate.validFrom).toISOString()}`);
  if (at > Date.parse(certificate.validTo))
    return refused("certificate.expired", `${who} expired at ${new Date(certificate.validTo).toISOString()}`);
  const { signature, extensions } = readCertificate(certificate);
  if (!SOUND_SIGNATURES.has(signature))
    return refused("certificate.weak", `${who} is signed by an algorithm that is not accepted (${signature})`);
  const unknown = extensions.find(({ critical, id }) => critical && !UNDERSTOOD.has(id));
  return unknown && refused("certificate.notUnderstood", `${who} has a critical extension ${unknown.id}, which is not supported`);
}

function leafFault(certificate: X509Certificate, use: CertificateUse): Judgement | undefined {
  const extended = certificate.keyUsage as readonly string[] | undefined;
  const needed = use === "code-signing" ? OID.codeSigning : OID.serverAuthentication;
  const allows = extended === undefined || extended.includes(needed) || extended.includes(OID.anyExtendedKeyUsage);
  const signs = ((readCertificate(certificate).keyUsage ?? KEY_USAGE.digitalSignature) & KEY_USAGE.digitalSignature) !== 0;
  if (use === "authority") return authorityFault(certificate, 0);
  return allows && signs ? undefined : refused("certificate.misused", `the certificate of ${subjectOf(certificate)} is not one for ${use}`);
}

/** `below`: how many authorities stand between this one and the leaf. */
function authorityFault(certificate: X509Certificate, below: number): Judgement | undefined {
  const { keyUsage, pathLength } = readCertificate(certificate);
  const who = `the certificate of ${subjectOf(certificate)}`;
  if (!certificate.ca || ((keyUsage ?? KEY_USAGE.certificateSigning) & KEY_USAGE.certificateSigning) === 0)
    return refused("certificate.misused", `${who} is not one of an authority, and may issue no other`);
  return pathLength !== undefined && below > pathLength
    ? refused("certificate.misused", `${who} allows at most ${pathLength} authorities below it`)
    : undefined;
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAlternativeName,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
  OID.certificatePolicies,
]);

interface CertificateFacts {
  readonly signature: string;
  readonly extensions: readonly { readonly id: string; readonly critical: boolean }[];
  readonly keyUsage: number | undefined;
  readonly pathLength: number | undefined;
}

/** What node's `X509Certificate` does not tell. */
function readCertificate(certificate: X509Certificate): CertificateFacts {
  const { signatureAlgorithm, extensions = [] } = parseDer(certificate);
  const parsed = (id: string): unknown => extensions.find(({ extnID }) => extnID === id)?.parsedValue;
  const usage = parsed(OID.keyUsage);
  const constraints = parsed(OID.basicConstraints);
  const pathLength = constraints instanceof BasicConstraints ? constraints.pathLenConstraint : undefined;
  return {
    signature: signatureAlgorithm.algorithmId,
    extensions: extensions.map(({ extnID, critical }) => ({ id: extnID, critical })),
    keyUsage: usage instanceof BitString ? usage.valueBlock.valueHexView[0] : undefined,
    pathLength: pathLength instanceof Integer ? Number(pathLength.toBigInt()) : pathLength,
  };
}

function parseDer(certificate: X509Certificate): Certificate {
  try {
    return Certificate.fromBER(Uint8Array.from(certificate.raw));
  } catch {
    throw certificateMalformed(`the certificate of ${subjectOf(certificate)} cannot be read`);
  }
}

const refused = (code: string, reason: string): Judgement & { readonly kind: "refused" } => ({ kind: "refused", code, reason });

const certificateMalformed = (reason: string) => badRequest("certificate.malformed", `Not certificates in PEM: ${reason}.`, { reason });
const chainBroken = (reason: string) =>
  new BowlineError(
    "badRequest",
    "certificate.chainBroken",
    `Not a chain of certificates: ${reason}. Put the leaf first, and its issuer after it.`,
    { reason },
  );
