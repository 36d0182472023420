// Which stored certificate chains are told apart, and how they are called.

import { badRequest } from "@bowline/base";

export const USAGES = ["p2p-tls", "p2p-session", "rest-tls", "code-signer"] as const;
export type CertificateUsage = (typeof USAGES)[number];

const ALIAS_LENGTH_MAX = 255;

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
