// What a network knows of one member: two contexts of flat text, as the original shows them, and the short form that
// flows see.

import type { Instant, X500Name } from "@bowline/base";
import { keyIdOf, SCHEMES, schemeOf } from "@bowline/crypto";
import type { MemberInfo, PublicKeyText } from "@bowline/sdk";
import type { StaticMember, StaticNetworkPolicy } from "./group-policy.ts";

export type Context = Readonly<Record<string, string>>;

export interface Member {
  readonly info: MemberInfo;
  readonly serial: number;
  /** What the member says of itself. */
  readonly memberContext: Context;
  /** What whoever runs the group says of the member. */
  readonly mgmContext: Context;
}

/** The purposes for which a member's keys are listed. */
export type KeyUse = "session" | "ledger" | "notary";

export interface PlannedKey {
  readonly use: KeyUse;
  readonly category: "LEDGER" | "SESSION_INIT" | "NOTARY";
  /** Within the virtual node. The same plan always names the same keys, so that a repeated registration finds them. */
  readonly alias: string;
}

/**
 * The keys that a member of a static network needs. With combined keys the session key is the ledger key;
 * a notary has one too, but publishes no ledger key.
 */
export function planKeys({ sessionKeyPolicy }: StaticNetworkPolicy, member: StaticMember): readonly PlannedKey[] {
  const session: PlannedKey =
    sessionKeyPolicy === "Combined"
      ? { use: "session", category: "LEDGER", alias: "ledger" }
      : { use: "session", category: "SESSION_INIT", alias: "session" };
  if (member.notary !== undefined) return [session, { use: "notary", category: "NOTARY", alias: "notary" }];
  return [session, { use: "ledger", category: "LEDGER", alias: "ledger" }];
}

export interface StaticRegistration {
  readonly policy: StaticNetworkPolicy;
  readonly member: StaticMember;
  readonly registrationId: string;
  /** As planned. */
  readonly keys: Readonly<Partial<Record<KeyUse, PublicKeyText>>>;
  readonly cpi: { readonly name: string; readonly version: string; readonly signerSummaryHash: string };
  readonly platformVersion: number;
  readonly softwareVersion: string;
  readonly now: Instant;
}

/** The member as its group will see it. */
export function registerStatic(registration: StaticRegistration): Member {
  const { policy, member, keys, cpi, now } = registration;
  const ledgerKeys = keys.ledger === undefined ? [] : [keys.ledger];
  return {
    info: {
      name: member.name,
      status: member.status,
      ledgerKeys,
      ...(member.notary === undefined ? {} : { notaryService: member.notary.serviceName }),
    },
    serial: member.serial,
    memberContext: {
      "corda.name": member.name,
      "corda.groupId": policy.groupId,
      "corda.registration.id": registration.registrationId,
      "corda.platformVersion": String(registration.platformVersion),
      "corda.softwareVersion": registration.softwareVersion,
      "corda.cpi.name": cpi.name,
      "corda.cpi.version": cpi.version,
      "corda.cpi.signer.summary.hash": cpi.signerSummaryHash,
      ...keyEntries("corda.session.keys.0", keys.session),
      ...keyEntries("corda.ledger.keys.0", keys.ledger),
      ...keyEntries("corda.notary.keys.0", keys.notary),
      ...notaryEntries(member),
      ...Object.fromEntries(
        member.endpoints.flatMap(({ url, protocol }, n) => [
          [`corda.endpoints.${n}.connectionURL`, url],
          [`corda.endpoints.${n}.protocolVersion`, String(protocol)],
        ]),
      ),
    },
    mgmContext: {
      "corda.creationTime": new Date(now).toISOString(),
      "corda.modifiedTime": member.modifiedTime ?? new Date(now).toISOString(),
      "corda.status": member.status,
      "corda.serial": String(member.serial),
    },
  };
}

function keyEntries(prefix: string, key: PublicKeyText | undefined): Context {
  if (key === undefined) return {};
  return {
    [`${prefix}.pem`]: publicKeyPem(key),
    [`${prefix}.hash`]: keyIdOf(key),
    [`${prefix}.signature.spec`]: SCHEMES[schemeOf(key)].defaultSpec,
  };
}

function notaryEntries({ notary }: StaticMember): Context {
  if (notary === undefined) return {};
  return {
    "corda.roles.0": "notary",
    "corda.notary.service.name": notary.serviceName,
    "corda.notary.service.flow.protocol.name": notary.flowProtocolName,
    ...Object.fromEntries(
      notary.flowProtocolVersions.map((version, n) => [`corda.notary.service.flow.protocol.version.${n}`, String(version)]),
    ),
    "corda.notary.service.backchain.required": String(notary.backchainRequired),
  };
}

/** The one member of this name, or undefined. */
export const staticMemberOf = (policy: StaticNetworkPolicy, name: X500Name): StaticMember | undefined =>
  policy.members.find((member) => member.name === name);

/** What the original injects into the policy of a static network: a manager that nobody runs. */
export function staticManagerInfo(
  groupId: string,
  signingKey: PublicKeyText,
  versions: { readonly platformVersion: number; readonly softwareVersion: string },
): Context {
  return {
    "corda.name": "O=Corda-Static-Network-MGM, L=London, C=GB",
    "corda.session.keys.0": publicKeyPem(signingKey),
    "corda.session.keys.0.hash": keyIdOf(signingKey),
    "corda.session.keys.0.signature.spec": SCHEMES[schemeOf(signingKey)].defaultSpec,
    "corda.endpoints.0.connectionURL": "https://localhost:8080",
    "corda.endpoints.0.protocolVersion": "1",
    "corda.platformVersion": String(versions.platformVersion),
    "corda.softwareVersion": versions.softwareVersion,
    "corda.groupId": groupId,
    "corda.mgm.static": "true",
  };
}

export function publicKeyPem(key: PublicKeyText): string {
  return `-----BEGIN PUBLIC KEY-----\n${key.match(/.{1,64}/g)?.join("\n") ?? ""}\n-----END PUBLIC KEY-----\n`;
}
