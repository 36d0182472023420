// Who is in a network of the kit: names, keys, packages, and what every member knows of the others.

import { createPrivateKey, type KeyObject } from "node:crypto";
import { PLATFORM_VERSION } from "@bowline/api";
import {
  BowlineError,
  concat,
  encode,
  type Instant,
  invariant,
  parseName,
  type SecureHash,
  type ShortHash,
  utf8,
  type X500Name,
} from "@bowline/base";
import { composeKeys, holdingIdentity, publicKeyText, secureHashOf, signSync } from "@bowline/crypto";
import type { CpiInfo, Directory, Member, VirtualNodeInfo } from "@bowline/host/syscalls";
import { CONTRACT_VERIFYING_PROTOCOL, NON_VALIDATING_PROTOCOL } from "@bowline/ledger/notary";
import { decodeParameters, encodeParameters, parametersHash } from "@bowline/membership";
import type { CordappBundle, GroupParameters, NotaryInfo, SignedGroupParameters } from "@bowline/sdk";
import { bytesOf, type Chance } from "./chance.ts";

export const GROUP_ID = "6f1d7bc5-2b8e-4d9a-9d06-1d5c5a2f1b11";

export interface MemberPlan {
  readonly name: X500Name;
  readonly cordapps: readonly CordappBundle[];
  readonly isNotary: boolean;
}

/** How the notary decides, where any member is one. */
export interface NotaryPlan {
  /** It verifies what it decides on, and nobody asks for backchains. */
  readonly verifies: boolean;
  /** Of its virtual nodes. Each has a memory of its own: safe are more than half. */
  readonly signaturesRequired: number;
}

export const ONE_NOTARY: NotaryPlan = { verifies: false, signaturesRequired: 1 };

export interface Party {
  readonly name: X500Name;
  readonly vnode: ShortHash;
  /** Of the ledger, or the notary's. */
  readonly publicKey: string;
  readonly privateKey: KeyObject;
  readonly packages: readonly Package[];
  readonly isNotary: boolean;
}

export interface Package {
  readonly fileChecksum: SecureHash;
  readonly bundle: CordappBundle;
}

export interface Membership {
  readonly parties: ReadonlyMap<X500Name, Party>;
  readonly packages: ReadonlyMap<SecureHash, CordappBundle>;
  readonly parameters: SignedGroupParameters;
  readonly notary: NotaryInfo | undefined;
  readonly directory: Directory;
}

/** `Alice` is `O=Alice, L=London, C=GB`. */
export const nameOf = (text: string): X500Name => parseName(text.includes("=") ? text : `O=${text}, L=London, C=GB`);

export function createMembership(plans: readonly MemberPlan[], chance: Chance, now: Instant, notaries = ONE_NOTARY): Membership {
  const checksums = new Map<CordappBundle, SecureHash>();
  const parties = new Map<X500Name, Party>();
  for (const plan of plans) {
    if (parties.has(plan.name)) throw new BowlineError("badRequest", "testing.memberRepeated", `Two members are called ${plan.name}.`);
    parties.set(plan.name, partyOf(plan, chance, checksums));
  }
  const notary = notaryOf(
    [...parties.values()].filter(({ isNotary }) => isNotary),
    notaries,
  );
  const parameters = signedParameters(notary, chance, now);
  const packages = new Map([...checksums].map(([bundle, checksum]) => [checksum, bundle]));
  return { parties, packages, parameters, notary, directory: directoryOf(parties, parameters, now) };
}

function partyOf({ name, cordapps, isNotary }: MemberPlan, chance: Chance, checksums: Map<CordappBundle, SecureHash>): Party {
  const privateKey = keyOf(chance);
  for (const bundle of cordapps)
    if (!checksums.has(bundle)) checksums.set(bundle, secureHashOf(utf8(`cordapp ${checksums.size}`), encode(namesIn(bundle))));
  return {
    name,
    vnode: holdingIdentity(name, GROUP_ID).shortHash,
    publicKey: publicKeyText(privateKey),
    privateKey,
    packages: cordapps.map((bundle) => ({ bundle, fileChecksum: checksums.get(bundle) as SecureHash })),
    isNotary,
  };
}

const namesIn = ({ manifest }: CordappBundle): string[] =>
  [manifest.flows, manifest.states, manifest.contracts].flatMap((definitions) => definitions.map(({ name }) => name));

/** Ed25519: the same chance gives the same key, and the same bytes the same signature. */
export const keyOf = (chance: Chance): KeyObject =>
  createPrivateKey({ key: Buffer.from(concat(Buffer.from(ED25519_PKCS8, "hex"), bytesOf(chance, 32))), format: "der", type: "pkcs8" });
const ED25519_PKCS8 = "302e020100300506032b657004220420";

function notaryOf(parties: readonly Party[], { verifies, signaturesRequired }: NotaryPlan): NotaryInfo | undefined {
  const [first, ...more] = parties;
  if (first === undefined) return undefined;
  invariant(signaturesRequired <= parties.length && 2 * signaturesRequired > parties.length, "more than half of the notary's nodes sign");
  const children = parties.map(({ publicKey: key }) => ({ key, weight: 1 }));
  return {
    name: nameOf("Notary Service"),
    key: more.length === 0 ? first.publicKey : composeKeys({ threshold: signaturesRequired, children }),
    protocol: (verifies ? CONTRACT_VERIFYING_PROTOCOL : NON_VALIDATING_PROTOCOL).name,
    backchainRequired: !verifies,
    members: parties.map(({ name }) => name),
  };
}

function signedParameters(notary: NotaryInfo | undefined, chance: Chance, now: Instant): SignedGroupParameters {
  const bytes = encodeParameters({
    groupId: GROUP_ID,
    epoch: 1,
    modifiedAt: now,
    minimumPlatformVersion: PLATFORM_VERSION,
    notaries: notary === undefined ? [] : [notary],
  });
  const manager = keyOf(chance);
  return { bytes, signature: signSync(manager, bytes), signedBy: publicKeyText(manager) };
}

function directoryOf(parties: ReadonlyMap<X500Name, Party>, parameters: SignedGroupParameters, now: Instant): Directory {
  const cpis = new Map<SecureHash, CpiInfo>();
  const nodes = new Map<X500Name, VirtualNodeInfo>();
  for (const party of parties.values()) {
    const cpi = cpiOf(party, now);
    cpis.set(cpi.cpiFileFullChecksum, cpi);
    nodes.set(party.name, virtualNodeOf(party, cpi));
  }
  const members = [...parties.values()].map(memberOf);
  const inForce: GroupParameters = decodeParameters(parameters.bytes);
  const hash = parametersHash(parameters.bytes);
  return {
    hosted: async (name, groupId) => (groupId === GROUP_ID ? nodes.get(name) : undefined),
    virtualNode: async (vnode) => [...nodes.values()].find(({ holdingIdentity }) => holdingIdentity.shortHash === vnode),
    cpi: async (fileChecksum) => cpis.get(fileChecksum),
    members: async () => members,
    groupParameters: async (_groupId, asked) => (asked === null || asked === hash ? parameters : undefined),
    parametersInForce: async () => inForce,
  };
}

const SIGNERS = secureHashOf(utf8("the kit's signers"));
const VERSION = "1.0.0";

function cpiOf({ name, packages }: Party, timestamp: Instant): CpiInfo {
  const cpiName = `cpi of ${name}`;
  return {
    id: { cpiName, cpiVersion: VERSION, signerSummaryHash: SIGNERS },
    cpiFileFullChecksum: secureHashOf(utf8(cpiName)),
    groupId: GROUP_ID,
    groupPolicy: "{}",
    timestamp,
    cpks: packages.map(({ bundle, fileChecksum }) => ({
      name: `package ${fileChecksum.slice(-12)}`,
      version: VERSION,
      signerSummaryHash: SIGNERS,
      fileChecksum,
      type: bundle.manifest.contracts.length > 0 ? ("contract" as const) : ("workflow" as const),
      manifest: bundle.manifest,
      timestamp,
    })),
  };
}

const virtualNodeOf = ({ name }: Party, { id, cpiFileFullChecksum }: CpiInfo): VirtualNodeInfo => ({
  holdingIdentity: holdingIdentity(name, GROUP_ID),
  cpi: { ...id, fileChecksum: cpiFileFullChecksum },
  connections: { vaultDdl: null, vaultDml: null, cryptoDdl: null, cryptoDml: null, uniquenessDdl: null, uniquenessDml: null },
  statuses: { flowP2p: "ACTIVE", flowStart: "ACTIVE", flow: "ACTIVE", vaultDb: "ACTIVE" },
  operationInProgress: null,
  externalRoutes: { current: [], previous: [] },
});

const memberOf = ({ name, publicKey, isNotary }: Party): Member => ({
  info: {
    name,
    status: "ACTIVE",
    ledgerKeys: isNotary ? [] : [publicKey],
    ...(isNotary ? { notaryService: nameOf("Notary Service") } : {}),
  },
  memberContext: { "corda.name": name, "corda.groupId": GROUP_ID, "corda.platformVersion": String(PLATFORM_VERSION) },
  mgmContext: { "corda.serial": "1", "corda.status": "ACTIVE" },
});
