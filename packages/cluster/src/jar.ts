// Signed JARs: what `jarsigner` accepts, and what we accept.
//
// Guarantees of `readJar`: every entry is named by the manifest with a digest that holds, and nothing else is named; every
// signer has signed that whole manifest and every entry in it; every signer's chain is trusted, in force, and one for signing
// code. Where a JAR tool would still show entries that are unsigned, changed or signed by only some, this refuses the archive.

import { hash, type X509Certificate } from "node:crypto";
import { BowlineError, badRequest, type Instant, utf8 } from "@bowline/base";
import { type Credential, judgeChain, signDetached, verifyDetached } from "@bowline/crypto";
import { type Attributes, type JarManifest, parseManifest, writeSection } from "./jar-manifest.ts";
import { readZip, writeZip, type ZipEntry } from "./zip.ts";

/** Who signs, under the name that the files of the signature have. */
export interface JarSigner extends Credential {
  /** Such as the alias in a key store; cut to eight characters. */
  readonly alias: string;
}

export interface SignedJar {
  readonly attributes: Attributes;
  /** Without the manifest and the files of the signatures. */
  readonly entries: ReadonlyMap<string, Uint8Array>;
  /** The chain of each signer, leaf first. */
  readonly signers: readonly (readonly X509Certificate[])[];
}

/** Whose signatures count, and when. */
export interface CodeTrust {
  readonly anchors: readonly X509Certificate[];
  readonly now: Instant;
}

const MANIFEST = "META-INF/MANIFEST.MF";
const SIGNATURE_FILE = /^META-INF\/([A-Z0-9_-]{1,64})\.SF$/i;
const SIGNATURE_BLOCK = /^META-INF\/([A-Z0-9_-]{1,64})\.(RSA|DSA|EC)$/i;
const CREATED_BY = "Bowline";
/** The digests that a manifest may name, by the attribute that holds them. */
const DIGESTS = { "sha-256-digest": "sha256", "sha-384-digest": "sha384", "sha-512-digest": "sha512" } as const;

/** A signed JAR of these entries, whose manifest begins with these attributes. Deterministic but for the signatures. */
export function writeJar(
  attributes: readonly (readonly [name: string, value: string])[],
  entries: readonly ZipEntry[],
  signers: readonly JarSigner[],
): Promise<Uint8Array> {
  const main = writeSection([["Manifest-Version", "1.0"], ["Created-By", CREATED_BY], ...attributes]);
  const sections = entries.map(({ name, bytes }) => ({
    name,
    text: writeSection([
      ["Name", name],
      ["SHA-256-Digest", digest(bytes)],
    ]),
  }));
  const manifest = utf8(main + sections.map(({ text }) => text).join(""));
  const signatureFile = utf8(
    writeSection([
      ["Signature-Version", "1.0"],
      ["Created-By", CREATED_BY],
      ["SHA-256-Digest-Manifest-Main-Attributes", digest(utf8(main))],
      ["SHA-256-Digest-Manifest", digest(manifest)],
    ]) +
      sections
        .map(({ name, text }) =>
          writeSection([
            ["Name", name],
            ["SHA-256-Digest", digest(utf8(text))],
          ]),
        )
        .join(""),
  );
  const signatures = signers.flatMap((signer): ZipEntry[] => {
    const name = `META-INF/${signatureName(signer.alias)}`;
    const block = signer.privateKey.asymmetricKeyType === "rsa" ? "RSA" : "EC";
    return [
      { name: `${name}.SF`, bytes: signatureFile },
      { name: `${name}.${block}`, bytes: signDetached(signer, signatureFile) },
    ];
  });
  return writeZip([{ name: MANIFEST, bytes: manifest }, ...signatures, ...entries]);
}

/** `what` names the package in messages. Throws `package.*` and `certificate.*` refusals. */
export const readJar = (bytes: Uint8Array, what: string, trust: CodeTrust): Promise<SignedJar> =>
  readZip(bytes, what).then((entries) => checkJar(entries, what, trust));

function checkJar(archive: readonly ZipEntry[], what: string, trust: CodeTrust): SignedJar {
  const refuse: Refuse = (code, reason) => badRequest(code, `${what} is refused: ${reason}.`, { package: what, reason });
  const all = new Map(archive.map(({ name, bytes }) => [name, bytes]));
  const manifestBytes = all.get(MANIFEST);
  if (manifestBytes === undefined) throw refuse("package.unsigned", `it has no ${MANIFEST}, and so no signature`);
  const manifest = parseManifest(manifestBytes, `${MANIFEST} of ${what}`);
  const signatures = signaturesOf(all, refuse);
  const entries = new Map([...all].filter(([name]) => name !== MANIFEST && !SIGNATURE_FILE.test(name) && !SIGNATURE_BLOCK.test(name)));
  const signers = signatures.flatMap((signature) => {
    const chains = checkSignature(signature, manifestBytes, manifest, refuse);
    for (const chain of chains) checkTrust(chain, trust, refuse);
    return chains;
  });
  checkEntries(entries, manifest, refuse);
  return { attributes: manifest.main, entries, signers };
}

type Refuse = (code: string, reason: string) => BowlineError;

interface Signature {
  readonly name: string;
  readonly file: Uint8Array;
  readonly block: Uint8Array;
}

function signaturesOf(all: ReadonlyMap<string, Uint8Array>, refuse: Refuse): readonly Signature[] {
  const blocks = new Map<string, Uint8Array>();
  for (const [name, bytes] of all) {
    const base = SIGNATURE_BLOCK.exec(name)?.[1]?.toUpperCase();
    if (base === undefined) continue;
    if (blocks.has(base)) throw refuse("package.signatureMalformed", `it has two signature blocks ${base}`);
    blocks.set(base, bytes);
  }
  const signatures = [...all].flatMap(([name, file]): Signature[] => {
    const base = SIGNATURE_FILE.exec(name)?.[1]?.toUpperCase();
    if (base === undefined) return [];
    const block = blocks.get(base);
    if (block === undefined) throw refuse("package.signatureMalformed", `${name} has no signature block beside it`);
    blocks.delete(base);
    return [{ name, file, block }];
  });
  for (const base of blocks.keys())
    throw refuse("package.signatureMalformed", `the signature block ${base} has no signature file beside it`);
  if (signatures.length === 0)
    throw refuse("package.unsigned", "it is not signed. Sign it with a code-signing key that the cluster trusts");
  return signatures;
}

/** That a signer has signed this manifest and every entry that it names. */
function checkSignature({ name, file, block }: Signature, manifestBytes: Uint8Array, manifest: JarManifest, refuse: Refuse) {
  const chains = verifyBlock(block, file, name, refuse);
  const { main, sections } = parseManifest(file, name);
  if (!holdsDigest(main, manifestBytes, "-manifest"))
    throw refuse("package.manifestChanged", `its manifest is not the one that ${name} has signed`);
  const unsigned = [...manifest.sections.keys()].find((entry) => !sections.has(entry));
  if (unsigned !== undefined) throw refuse("package.entryUnsigned", `${name} does not sign the entry ${unsigned}`);
  return chains;
}

function verifyBlock(block: Uint8Array, file: Uint8Array, name: string, refuse: Refuse) {
  try {
    return verifyDetached(block, file);
  } catch (cause) {
    if (!(cause instanceof BowlineError)) throw cause;
    const code = cause.code === "cms.signatureInvalid" ? "package.signatureInvalid" : "package.signatureMalformed";
    throw refuse(code, `the signature over ${name} does not hold (${cause.details.reason ?? cause.message})`);
  }
}

function checkTrust(chain: readonly X509Certificate[], { anchors, now }: CodeTrust, refuse: Refuse): void {
  const judgement = judgeChain(chain, { anchors, at: now, use: "code-signing" });
  if (judgement.kind === "refused") throw refuse(judgement.code, judgement.reason);
}

/** That the manifest names every entry, with its digest, and no other. */
function checkEntries(entries: ReadonlyMap<string, Uint8Array>, { sections }: JarManifest, refuse: Refuse): void {
  for (const [name, bytes] of entries) {
    const attributes = sections.get(name);
    if (attributes === undefined) throw refuse("package.entryUnsigned", `the entry ${name} is not signed`);
    if (!holdsDigest(attributes, bytes, "")) throw refuse("package.entryChanged", `the entry ${name} was changed after it was signed`);
  }
  const missing = [...sections.keys()].find((name) => !entries.has(name));
  if (missing !== undefined) throw refuse("package.entryMissing", `the signed entry ${missing} is missing`);
}

/** At least one digest that we know, and every one of these right. */
function holdsDigest(attributes: Attributes, bytes: Uint8Array, suffix: string): boolean {
  const known = Object.entries(DIGESTS).flatMap(([name, algorithm]) => {
    const value = attributes.get(`${name}${suffix}`);
    return value === undefined ? [] : [value === digest(bytes, algorithm)];
  });
  return known.length > 0 && known.every((right) => right);
}

const digest = (bytes: Uint8Array, algorithm = "sha256"): string => hash(algorithm, bytes, "base64");

const signatureName = (alias: string): string =>
  alias
    .slice(0, 8)
    .toUpperCase()
    .replaceAll(/[^A-Z0-9_-]/g, "_") || "SIGNER";
