// The TLS identity of a tenant: a server key below an authority of the cluster's own.
//
// Both keys lie wrapped like any other key. The authority's certificate is a function of its key's row (subject, serial number,
// validity), so it is stored nowhere: certificates made at two starts differ in their signature alone, and whoever trusts
// one trusts the other. The server's certificate is made anew each time that the key is released.

import { createHash } from "node:crypto";
import { type Instant, parseName } from "@bowline/base";
import { DEFAULT_SCHEME, issueCertificate, type KeyRing, pemOf, type SigningKey } from "@bowline/crypto";

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;
const AUTHORITY_YEARS = 20;
const SERVER_YEARS = 1;
const BACKDATED_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_ALIAS = "tls-authority";
const SERVER_ALIAS = "tls-server";

export interface TlsIdentity {
  /** PKCS#8. */
  readonly keyPem: string;
  /** The server's certificate, then the authority's. */
  readonly chainPem: string;
}

export async function tlsIdentity(
  keys: KeyRing,
  request: {
    readonly tenant: string;
    readonly hosts: readonly string[];
    readonly now: Instant;
    readonly random: (length: number) => Uint8Array;
  },
): Promise<TlsIdentity> {
  const { tenant, hosts, now, random } = request;
  const keyOf = (alias: string) => keys.generate({ tenant, alias, category: "TLS", scheme: DEFAULT_SCHEME });
  const authority = await keyOf(AUTHORITY_ALIAS);
  const server = await keyOf(SERVER_ALIAS);
  const privateKeyOf = ({ publicKey }: SigningKey) => keys.privateKey({ tenant, publicKey, categories: ["TLS"] });
  const issuer = {
    name: parseName(`CN=Bowline ${tenant} authority ${authority.id.slice(-12)}, O=Bowline, L=Local, C=ZZ`),
    privateKey: await privateKeyOf(authority),
  };
  const serial = (length: number) =>
    Uint8Array.from(createHash("sha256").update(`bowline authority ${authority.id}`).digest().subarray(0, length));
  const ofAuthority = issueCertificate(
    issuer,
    {
      subject: issuer.name,
      publicKey: authority.publicKey,
      use: "authority",
      validFrom: authority.created - BACKDATED_MS,
      validUntil: authority.created + AUTHORITY_YEARS * YEAR_MS,
    },
    serial,
  );
  const ofServer = issueCertificate(
    issuer,
    {
      subject: parseName(`CN=${hosts[0] ?? tenant}, O=Bowline, L=Local, C=ZZ`),
      publicKey: server.publicKey,
      use: "tls-server",
      hosts,
      validFrom: now - BACKDATED_MS,
      validUntil: now + SERVER_YEARS * YEAR_MS,
    },
    random,
  );
  const keyPem = (await privateKeyOf(server)).export({ type: "pkcs8", format: "pem" }).toString();
  return { keyPem, chainPem: pemOf([ofServer, ofAuthority]) };
}
