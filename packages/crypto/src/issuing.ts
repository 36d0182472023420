// Certificates as they are made: an authority of one's own, certificates of TLS servers below it, and code signers.
// Deterministic but for the serial number, whose randomness arrives as an argument, and the signature.

import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { badRequest, type Env, type Instant, nameAttributes, type X500Name } from "@bowline/base";
import { Set as Asn1Set, BitString, Integer, Null, OctetString, PrintableString, Sequence, Utf8String } from "asn1js";
import {
  AlgorithmIdentifier,
  AltName,
  AttributeTypeAndValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  Extension,
  ExtKeyUsage,
  GeneralName,
  PublicKeyInfo,
  RelativeDistinguishedNames,
  Time,
} from "pkijs";
import { type CertificateUse, KEY_USAGE, OID, parseChain, pemOf } from "./certificates.ts";
import { sha256 } from "./digest.ts";
import { DEFAULT_SCHEME, generateKeyPair, publicKeyText, type SchemeName, type SignatureSpec, schemeOf, signSync } from "./schemes.ts";

/** A private key and what vouches for it. */
export interface Credential {
  readonly privateKey: KeyObject;
  /** Leaf first. */
  readonly chain: readonly X509Certificate[];
}

export interface CertificateRequest {
  readonly subject: X500Name;
  /** Base64 of the SubjectPublicKeyInfo. */
  readonly publicKey: string;
  readonly use: CertificateUse;
  /** Host names and addresses that a TLS server answers at. */
  readonly hosts?: readonly string[];
  readonly validFrom: Instant;
  readonly validUntil: Instant;
}

export interface Issuer {
  readonly name: X500Name;
  readonly privateKey: KeyObject;
}

/** X.509 writes the time of a certificate in seconds, and the years of its short form end here. */
const UTC_TIME_ENDS = Date.UTC(2050, 0, 1);
const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks differ: a certificate is valid from a little before it was made. */
const BACKDATED_MS = DAY_MS;
const SERIAL_LENGTH = 16;
const KEY_IDENTIFIER_LENGTH = 20;
const HOSTS_MAX = 100;
const HOST_LENGTH_MAX = 253;
/** The last part of a name is never all digits, so that a wrong address is not taken for a name. */
const HOST_PATTERN = /^(?!(?:.*\.)?[0-9]+$)(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

/** Certificates and packages are signed by SHA-256, which every client knows, whatever a scheme's own default. */
const SIGNATURES: Readonly<Record<SchemeName, { readonly algorithm: AlgorithmIdentifier; readonly spec: SignatureSpec }>> = {
  "CORDA.ECDSA.SECP256R1": { algorithm: new AlgorithmIdentifier({ algorithmId: "1.2.840.10045.4.3.2" }), spec: "SHA256withECDSA" },
  "CORDA.ECDSA.SECP256K1": { algorithm: new AlgorithmIdentifier({ algorithmId: "1.2.840.10045.4.3.2" }), spec: "SHA256withECDSA" },
  "CORDA.EDDSA.ED25519": { algorithm: new AlgorithmIdentifier({ algorithmId: "1.3.101.112" }), spec: "EdDSA" },
  "CORDA.RSA": {
    algorithm: new AlgorithmIdentifier({ algorithmId: "1.2.840.113549.1.1.11", algorithmParams: new Null() }),
    spec: "SHA256withRSA",
  },
};

/** How X.509 and CMS name the signatures of a private key. */
export const x509Signature = (privateKey: KeyObject): (typeof SIGNATURES)[SchemeName] => SIGNATURES[schemeOf(publicKeyText(privateKey))];

/** Throws `certificate.hostInvalid` on what is neither a host name nor an address. */
export function issueCertificate(issuer: Issuer, request: CertificateRequest, random: Env["random"]): X509Certificate {
  const issuerKey = publicKeyText(issuer.privateKey);
  const { algorithm, spec } = x509Signature(issuer.privateKey);
  const certificate = new Certificate({
    version: 2, // Which is X.509 version 3.
    serialNumber: new Integer({ valueHex: serialFrom(random(SERIAL_LENGTH)) }),
    signature: algorithm,
    signatureAlgorithm: algorithm,
    issuer: distinguishedName(issuer.name),
    subject: distinguishedName(request.subject),
    notBefore: time(request.validFrom),
    notAfter: time(request.validUntil),
    subjectPublicKeyInfo: PublicKeyInfo.fromBER(Uint8Array.from(Buffer.from(request.publicKey, "base64"))),
    extensions: extensionsOf(request, issuerKey),
  });
  const tbs = new Uint8Array(certificate.encodeTBS().toBER());
  certificate.tbsView = tbs;
  certificate.signatureValue = new BitString({ valueHex: memoryOf(signSync(issuer.privateKey, tbs, spec)) });
  return new X509Certificate(Buffer.from(certificate.toSchema(true).toBER()));
}

/** A new key with a certificate that it signs itself: an authority, or a code signer for development. */
export function createSelfSigned(
  {
    subject,
    use,
    days,
    scheme = DEFAULT_SCHEME,
  }: { readonly subject: X500Name; readonly use: "authority" | "code-signing"; readonly days: number; readonly scheme?: SchemeName },
  { now, random }: Env,
): Promise<Credential> {
  const validity = { validFrom: now - BACKDATED_MS, validUntil: now + days * DAY_MS };
  return generateKeyPair(scheme).then(({ publicKey, privateKey }) => ({
    privateKey,
    chain: [issueCertificate({ name: subject, privateKey }, { subject, publicKey, use, ...validity }, random)],
  }));
}

/** As one PEM file: the private key as PKCS#8 in the clear, then the chain. For files that only their owner reads. */
export const credentialPem = ({ privateKey, chain }: Credential): string =>
  privateKey.export({ type: "pkcs8", format: "pem" }).toString() + pemOf(chain);

/** What `credentialPem` wrote, or any file of one unencrypted private key and its chain. Throws `credential.malformed`. */
export function parseCredential(pem: string): Credential {
  const [keyBlock, ...more] = pem.match(PRIVATE_KEY_BLOCK) ?? [];
  if (keyBlock === undefined || more.length > 0) throw credentialMalformed("it must hold exactly one private key that is not encrypted");
  const chain = parseChain(pem.replace(keyBlock, ""));
  let privateKey: KeyObject;
  try {
    privateKey = createPrivateKey(keyBlock);
  } catch {
    throw credentialMalformed("its private key cannot be read");
  }
  if (publicKeyText(privateKey) !== publicKeyText((chain[0] as X509Certificate).publicKey))
    throw credentialMalformed("its first certificate is not that of its private key");
  return { privateKey, chain };
}
const PRIVATE_KEY_BLOCK = /-----BEGIN (?:(?:EC|RSA) )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:(?:EC|RSA) )?PRIVATE KEY-----/g;

const credentialMalformed = (reason: string) =>
  badRequest("credential.malformed", `Not a private key with its certificate in PEM: ${reason}.`, { reason });

function extensionsOf({ use, publicKey, hosts }: CertificateRequest, issuerKey: string): Extension[] {
  const authority = use === "authority";
  const usage = authority ? KEY_USAGE.certificateSigning | KEY_USAGE.revocationSigning : KEY_USAGE.digitalSignature;
  const extensions = [
    extension(OID.basicConstraints, new BasicConstraints(authority ? { cA: true } : {}).toSchema(), true),
    extension(OID.keyUsage, new BitString({ valueHex: memoryOf(Uint8Array.of(usage)), unusedBits: trailingZeros(usage) }), true),
    extension(OID.subjectKeyIdentifier, new OctetString({ valueHex: keyIdentifier(publicKey) })),
    extension(
      OID.authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: new OctetString({ valueHex: keyIdentifier(issuerKey) }) }).toSchema(),
    ),
  ];
  if (use === "tls-server") extensions.push(extendedUsage(OID.serverAuthentication), alternativeNames(hosts ?? []));
  if (use === "code-signing") extensions.push(extendedUsage(OID.codeSigning));
  return extensions;
}

const extension = (extnID: string, value: { toBER(): ArrayBuffer }, critical = false): Extension =>
  new Extension({ extnID, critical, extnValue: value.toBER() });

const extendedUsage = (purpose: string): Extension =>
  extension(OID.extendedKeyUsage, new ExtKeyUsage({ keyPurposes: [purpose] }).toSchema());

function alternativeNames(hosts: readonly string[]): Extension {
  if (hosts.length === 0 || hosts.length > HOSTS_MAX)
    throw badRequest("certificate.hostInvalid", `A TLS server's certificate names 1 to ${HOSTS_MAX} hosts, not ${hosts.length}.`);
  return extension(OID.subjectAlternativeName, new AltName({ altNames: hosts.map(generalName) }).toSchema());
}

const GENERAL_NAME = { dns: 2, ip: 7 } as const;

function generalName(host: string): GeneralName {
  const address = addressBytes(host);
  if (address !== undefined) return new GeneralName({ type: GENERAL_NAME.ip, value: new OctetString({ valueHex: memoryOf(address) }) });
  if (HOST_PATTERN.test(host) && host.length <= HOST_LENGTH_MAX) return new GeneralName({ type: GENERAL_NAME.dns, value: host });
  throw badRequest("certificate.hostInvalid", `"${host}" is neither a host name nor an IP address.`, { host });
}

/** Four bytes of an IPv4 address, sixteen of an IPv6 one; undefined for what is neither. */
function addressBytes(address: string): Uint8Array | undefined {
  if (/^[0-9]{1,3}(\.[0-9]{1,3}){3}$/.test(address)) {
    const bytes = address.split(".").map(Number);
    return bytes.every((byte) => byte <= 255) ? Uint8Array.from(bytes) : undefined;
  }
  // The URL parser writes an IPv6 address in its one canonical form, without an IPv4 tail.
  const canonical = address.includes(":") ? URL.parse(`http://[${address}]`)?.hostname.slice(1, -1) : undefined;
  if (canonical === undefined) return undefined;
  const [head = "", tail] = canonical.split("::");
  const groups = (part: string | undefined): string[] => (part === undefined || part === "" ? [] : part.split(":"));
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0");
  const all = tail === undefined ? groups(head) : [...groups(head), ...zeros, ...groups(tail)];
  return Uint8Array.from(all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]));
}

// The outermost attribute comes first, as in the certificates of other authorities.
const ATTRIBUTES = [
  ["C", "2.5.4.6"],
  ["ST", "2.5.4.8"],
  ["L", "2.5.4.7"],
  ["O", "2.5.4.10"],
  ["OU", "2.5.4.11"],
  ["CN", "2.5.4.3"],
] as const;

/** One set per attribute; pkijs by itself would put them all in one. */
function distinguishedName(name: X500Name): RelativeDistinguishedNames {
  const attributes = nameAttributes(name);
  const sets = ATTRIBUTES.flatMap(([key, type]) => {
    const value = attributes[key];
    if (value === undefined) return [];
    return [new Asn1Set({ value: [new AttributeTypeAndValue({ type, value: attributeValue(key, value) }).toSchema()] })];
  });
  return RelativeDistinguishedNames.fromBER(new Sequence({ value: sets }).toBER());
}

const attributeValue = (key: string, value: string) => (key === "C" ? new PrintableString({ value }) : new Utf8String({ value }));

const time = (instant: Instant): Time =>
  new Time({ type: instant < UTC_TIME_ENDS ? 0 : 1, value: new Date(Math.floor(instant / 1000) * 1000) });

/** RFC 7093, method 1: the first 160 bits of SHA-256 over the key. */
function keyIdentifier(publicKey: string): ArrayBuffer {
  const { subjectPublicKey } = PublicKeyInfo.fromBER(Uint8Array.from(Buffer.from(publicKey, "base64")));
  return memoryOf(sha256(subjectPublicKey.valueBlock.valueHexView).slice(0, KEY_IDENTIFIER_LENGTH));
}

/** Positive, and never zero. */
function serialFrom(random: Uint8Array): ArrayBuffer {
  const bytes = random.slice();
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return memoryOf(bytes);
}

function trailingZeros(byte: number): number {
  let zeros = 0;
  while (((byte >> zeros) & 1) === 0) zeros++;
  return zeros;
}

/** asn1js takes memory, not views of it. */
const memoryOf = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer;
