// Detached CMS signatures (RFC 5652), as JAR tools write and read them: a SignedData without its content.
//
// Guarantees of `verifyDetached`: what it returns are chains whose leaf's key has signed exactly `content`; one bad signer
// among several refuses all. Whether a chain is trusted is for `judgeChain` to say.

import { hash, type KeyObject, verify as nodeVerify, X509Certificate } from "node:crypto";
import { badRequest, equalBytes } from "@bowline/base";
import { type AsnType, Constructed, fromBER, Null, ObjectIdentifier, OctetString } from "asn1js";
import {
  AlgorithmIdentifier,
  Certificate,
  ContentInfo,
  EncapsulatedContentInfo,
  IssuerAndSerialNumber,
  SignedData,
  SignerInfo,
} from "pkijs";
import { CHAIN_LENGTH_MAX, subjectOf } from "./certificates.ts";
import { type Credential, x509Signature } from "./issuing.ts";
import { publicKeyText, signSync } from "./schemes.ts";

const DATA = "1.2.840.113549.1.7.1";
const SIGNED_DATA = "1.2.840.113549.1.7.2";
const CONTENT_TYPE = "1.2.840.113549.1.9.3";
const MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
const SIGNERS_MAX = 16;
const CERTIFICATES_MAX = 64;

const DIGESTS: Readonly<Record<string, string>> = {
  "2.16.840.1.101.3.4.2.1": "sha256",
  "2.16.840.1.101.3.4.2.2": "sha384",
  "2.16.840.1.101.3.4.2.3": "sha512",
};
const SHA256 = "2.16.840.1.101.3.4.2.1";
const SHA512 = "2.16.840.1.101.3.4.2.3";

interface SignatureAlgorithm {
  readonly keyType: "ec" | "rsa" | "ed25519";
  /** Absent where the digest algorithm says it, null where the algorithm has its own. */
  readonly digest?: string | null;
}
const SIGNATURES: Readonly<Record<string, SignatureAlgorithm>> = {
  "1.2.840.10045.4.3.2": { keyType: "ec", digest: "sha256" },
  "1.2.840.10045.4.3.3": { keyType: "ec", digest: "sha384" },
  "1.2.840.10045.4.3.4": { keyType: "ec", digest: "sha512" },
  "1.2.840.10045.2.1": { keyType: "ec" },
  "1.2.840.113549.1.1.11": { keyType: "rsa", digest: "sha256" },
  "1.2.840.113549.1.1.12": { keyType: "rsa", digest: "sha384" },
  "1.2.840.113549.1.1.13": { keyType: "rsa", digest: "sha512" },
  "1.2.840.113549.1.1.1": { keyType: "rsa" },
  "1.3.101.112": { keyType: "ed25519", digest: null },
};
const RSA_BITS_MIN = 2048;

/** The DER of a SignedData over `content`, with the signer's whole chain inside. */
export function signDetached({ privateKey, chain }: Credential, content: Uint8Array): Uint8Array {
  const [leaf] = chain;
  if (leaf === undefined || publicKeyText(leaf.publicKey) !== publicKeyText(privateKey))
    throw badRequest(
      "certificate.keyDiffers",
      "The certificate that is to sign is not one of this private key. Give the leaf first, and its key.",
    );
  const { algorithm, spec } = x509Signature(privateKey);
  const digest = new AlgorithmIdentifier({ algorithmId: spec === "EdDSA" ? SHA512 : SHA256, algorithmParams: new Null() });
  const certificates = chain.map(({ raw }) => Certificate.fromBER(Uint8Array.from(raw)));
  const signer = certificates[0] as Certificate;
  const signedData = new SignedData({
    version: 1,
    digestAlgorithms: [digest],
    encapContentInfo: new EncapsulatedContentInfo({ eContentType: DATA }),
    certificates,
    signerInfos: [
      new SignerInfo({
        version: 1,
        sid: new IssuerAndSerialNumber({ issuer: signer.issuer, serialNumber: signer.serialNumber }),
        digestAlgorithm: digest,
        signatureAlgorithm: algorithm,
        signature: new OctetString({ valueHex: Uint8Array.from(signSync(privateKey, content, spec)).buffer }),
      }),
    ],
  });
  return new Uint8Array(new ContentInfo({ contentType: SIGNED_DATA, content: signedData.toSchema(true) }).toSchema().toBER());
}

/** The chain of each signer, leaf first. Throws `cms.malformed`, or `cms.signatureInvalid` where a signature is not over `content`. */
export function verifyDetached(der: Uint8Array, content: Uint8Array): readonly (readonly X509Certificate[])[] {
  const { certificates, signers } = read(der);
  return signers.map((signer) => {
    const leaf = certificates.find(({ certificate }) => isSignerOf(signer, certificate))?.x509;
    if (leaf === undefined) throw malformed("the certificate of a signer is missing");
    verifySigner(signer, leaf, content);
    return chainFrom(
      leaf,
      certificates.map(({ x509 }) => x509),
    );
  });
}

interface HeldCertificate {
  readonly certificate: Certificate;
  readonly x509: X509Certificate;
}

function read(der: Uint8Array): { certificates: readonly HeldCertificate[]; signers: readonly SignerInfo[] } {
  let signedData: SignedData;
  let certificates: HeldCertificate[];
  try {
    const { contentType, content } = ContentInfo.fromBER(Uint8Array.from(der));
    if (contentType !== SIGNED_DATA) throw malformed("it is not a SignedData");
    signedData = new SignedData({ schema: content });
    certificates = certificateBytes(der).map((raw) => ({ certificate: Certificate.fromBER(raw), x509: new X509Certificate(raw) }));
  } catch (cause) {
    throw malformed(cause instanceof Error ? cause.message : String(cause));
  }
  const signers = signedData.signerInfos;
  if (signedData.encapContentInfo.eContent !== undefined) throw malformed("it carries content of its own");
  if (signers.length === 0 || signers.length > SIGNERS_MAX) throw malformed(`it has ${signers.length} signers`);
  if (certificates.length > CERTIFICATES_MAX) throw malformed(`it has ${certificates.length} certificates`);
  return { certificates, signers };
}

/** As they stand there: what a lenient parser writes again may be sound where what it has read was not. */
function certificateBytes(der: Uint8Array): readonly Uint8Array<ArrayBuffer>[] {
  const { offset, result } = fromBER(Uint8Array.from(der));
  if (offset !== der.length) throw malformed("more bytes follow it");
  if (!equalBytes(new Uint8Array(result.toBER()), der)) throw malformed("its lengths do not agree with each other");
  const signedData = partsOf(partsOf(result)[1])[0];
  const certificates = partsOf(signedData).find(({ idBlock }) => idBlock.tagClass === CONTEXT_SPECIFIC && idBlock.tagNumber === 0);
  return partsOf(certificates)
    .filter(({ idBlock }) => idBlock.tagClass === UNIVERSAL && idBlock.tagNumber === SEQUENCE_TAG)
    .map(({ valueBeforeDecodeView }) => Uint8Array.from(valueBeforeDecodeView));
}

const UNIVERSAL = 1;
const CONTEXT_SPECIFIC = 3;
const SEQUENCE_TAG = 16;

const partsOf = (block: AsnType | undefined): readonly AsnType[] => (block instanceof Constructed ? block.valueBlock.value : []);

const isSignerOf = ({ sid }: SignerInfo, { issuer, serialNumber }: Certificate): boolean =>
  sid instanceof IssuerAndSerialNumber && sid.issuer.isEqual(issuer) && sid.serialNumber.isEqual(serialNumber);

function verifySigner(signer: SignerInfo, leaf: X509Certificate, content: Uint8Array): void {
  const digest = DIGESTS[signer.digestAlgorithm.algorithmId];
  const algorithm = SIGNATURES[signer.signatureAlgorithm.algorithmId];
  if (digest === undefined) throw invalid(leaf, "its digest algorithm is not accepted");
  const key = publicKeyOf(leaf);
  if (algorithm === undefined || !isAccepted(key, algorithm)) throw invalid(leaf, "its signature algorithm or key is not accepted");
  const signed = signer.signedAttrs === undefined ? content : attributesOver(signer, leaf, digest, content);
  const signatureDigest = algorithm.digest === undefined ? digest : algorithm.digest;
  if (!nodeVerify(signatureDigest, signed, key, signer.signature.valueBlock.valueHexView))
    throw invalid(leaf, "the signature is not over this content");
}

function publicKeyOf(leaf: X509Certificate): KeyObject {
  try {
    return leaf.publicKey;
  } catch {
    throw malformed(`the certificate of ${subjectOf(leaf)} holds no public key that can be read`);
  }
}

/** The signed attributes, which then stand for the content: they must name its type and its digest. */
function attributesOver(signer: SignerInfo, leaf: X509Certificate, digest: string, content: Uint8Array): Uint8Array {
  const attributes = signer.signedAttrs?.attributes ?? [];
  const onlyValue = (type: string): unknown => {
    const [attribute, ...more] = attributes.filter((candidate) => candidate.type === type);
    return attribute?.values.length === 1 && more.length === 0 ? attribute.values[0] : undefined;
  };
  const type = onlyValue(CONTENT_TYPE);
  const said = onlyValue(MESSAGE_DIGEST);
  if (!(type instanceof ObjectIdentifier) || type.valueBlock.toString() !== DATA)
    throw invalid(leaf, "its signed attributes name another type of content");
  if (!(said instanceof OctetString) || !equalBytes(said.valueBlock.valueHexView, hash(digest, content, "buffer")))
    throw invalid(leaf, "its signed attributes name another content");
  return new Uint8Array(signer.signedAttrs?.encodedValue ?? new ArrayBuffer());
}

function isAccepted(key: KeyObject, { keyType }: SignatureAlgorithm): boolean {
  return key.asymmetricKeyType === keyType && (keyType !== "rsa" || (key.asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS_MIN);
}

/** The leaf and, as far as they are there, its issuer, its issuer's issuer, and so on. */
function chainFrom(leaf: X509Certificate, certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  const chain = [leaf];
  while (chain.length < CHAIN_LENGTH_MAX) {
    const last = chain.at(-1) as X509Certificate;
    const issuer = certificates.find(
      (candidate) => !chain.some(({ fingerprint256 }) => fingerprint256 === candidate.fingerprint256) && last.checkIssued(candidate),
    );
    if (issuer === undefined) break;
    chain.push(issuer);
  }
  return chain;
}

const malformed = (reason: string) => badRequest("cms.malformed", `Not a signature block: ${reason}.`, { reason });
const invalid = (leaf: X509Certificate, reason: string) =>
  badRequest("cms.signatureInvalid", `The signature of ${subjectOf(leaf)} does not hold: ${reason}.`, { signer: subjectOf(leaf), reason });
