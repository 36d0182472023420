// Certificate chains as they are stored: PEM, leaf first, each next one the issuer of the one before.

import { X509Certificate } from "node:crypto";
import { badRequest } from "@bowline/base";

export const USAGES = ["p2p-tls", "p2p-session", "rest-tls", "code-signer"] as const;
export type CertificateUsage = (typeof USAGES)[number];

const CHAIN_LENGTH_MAX = 10;
const ALIAS_LENGTH_MAX = 255;
const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Either case. Throws `certificate.usage`. */
export function parseUsage(text: string): CertificateUsage {
  const usage = USAGES.find((known) => known === text.toLowerCase());
  if (usage !== undefined) return usage;
  throw badRequest("certificate.usage", `"${text}" is no usage of certificates. Use one of ${USAGES.join(", ")}.`, { usage: text });
}

/** Throws `certificate.alias`. */
export function checkAlias(alias: string): string {
  if (alias.trim() !== "" && alias.length <= ALIAS_LENGTH_MAX) return alias;
  throw badRequest("certificate.alias", `An alias has 1 to ${ALIAS_LENGTH_MAX} characters that are not all blank.`, { alias });
}

/** The chain in `pem`, one block per certificate. Throws `certificate.invalid` with the reason. */
export function parseChain(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(BLOCK) ?? [];
  if (blocks.length === 0) throw invalid("it holds no PEM certificate");
  if (pem.replaceAll(BLOCK, "").includes("-----BEGIN CERTIFICATE")) throw invalid("a certificate in it is cut short");
  if (blocks.length > CHAIN_LENGTH_MAX) throw invalid(`it holds more than ${CHAIN_LENGTH_MAX} certificates`);
  const chain = blocks.map((block, index) => parse(block, index));
  chain.forEach((certificate, index) => {
    if (chain.findIndex(({ fingerprint256 }) => fingerprint256 === certificate.fingerprint256) !== index)
      throw invalid(`certificate ${index + 1} stands twice`);
    const issuer = chain[index + 1];
    if (issuer !== undefined && !(certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)))
      throw invalid(`certificate ${index + 2} did not issue certificate ${index + 1}: put the leaf first, and after each its issuer`);
  });
  return chain;
}

/** As it is stored: only the certificates, one after the other. */
export const chainPem = (chain: readonly X509Certificate[]): string => chain.map((certificate) => certificate.toString()).join("");

function parse(block: string, index: number): X509Certificate {
  try {
    return new X509Certificate(block);
  } catch {
    throw invalid(`certificate ${index + 1} cannot be read`);
  }
}

const invalid = (reason: string) =>
  badRequest("certificate.invalid", `The certificate chain is refused: ${reason}.`, { field: "certificate", reason });
