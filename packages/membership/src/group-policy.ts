// The group policy of a CPI (`META-INF/GroupPolicy.json`): which application network its virtual nodes belong to, and how.
// Read strictly: what is not understood is refused, with the field and the reason.

import { X509Certificate } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { BowlineError, badRequest, type Data, parseName, readJson, type X500Name } from "@bowline/base";
import Type, { type Static, type TSchema } from "typebox";
import { Compile } from "typebox/compile";

/** A member that a static network names beforehand. */
export interface StaticMember {
  readonly name: X500Name;
  readonly status: "ACTIVE" | "SUSPENDED";
  readonly endpoints: readonly { readonly url: string; readonly protocol: number }[];
  readonly serial: number;
  /** ISO instant; the moment of registration where nothing is said. */
  readonly modifiedTime: string | undefined;
  /** Ours: a member that runs a notary service becomes one by itself when its virtual node is made. */
  readonly notary: StaticNotary | undefined;
}

export interface StaticNotary {
  readonly serviceName: X500Name;
  readonly flowProtocolName: string;
  /** Ascending. */
  readonly flowProtocolVersions: readonly number[];
  readonly backchainRequired: boolean;
  /** Ours: who asks it shows a signatory's signature. */
  readonly requesterSigns: boolean;
  /** Of how many of the members that run the service a transaction needs the word. */
  readonly signaturesRequired: number;
}

interface PolicyBase {
  readonly registrationProtocol: string;
  readonly synchronisationProtocol: string;
}

export interface StaticNetworkPolicy extends PolicyBase {
  readonly kind: "static";
  /** A UUID, lower case. */
  readonly groupId: string;
  readonly sessionKeyPolicy: "Combined" | "Distinct";
  readonly members: readonly StaticMember[];
  readonly minimumPlatformVersion: number;
  /** `ext.…` entries that the group parameters carry. */
  readonly extensions: Readonly<Record<string, string>>;
}

export interface DynamicNetworkPolicy extends PolicyBase {
  readonly kind: "dynamic";
  readonly groupId: string;
}

/** Of the network's own manager: its group gets an id when its virtual node is made. */
export interface ManagerPolicy extends PolicyBase {
  readonly kind: "manager";
}

export type GroupPolicy = StaticNetworkPolicy | DynamicNetworkPolicy | ManagerPolicy;

const PLATFORM_VERSION_DEFAULT = 50000;
const EXTENSIONS_MAX = 100;
const EXTENSION_KEY_LENGTH_MAX = 128;
const MEMBERS_MAX = 10_000;
/** Members that run one notary service: its key is a composite one of theirs. */
const RUNNERS_MAX = 20;

const dottedName = Type.String({ pattern: "^[A-Za-z][A-Za-z0-9_$]*(\\.[A-Za-z][A-Za-z0-9_$]*)*$" });
const texts = Type.Record(Type.String(), Type.String());
const strict = <P extends Record<string, TSchema>>(properties: P) => Type.Object(properties, { additionalProperties: false });

const Base = {
  fileFormatVersion: Type.Literal(1),
  groupId: Type.String(),
  registrationProtocol: dottedName,
  synchronisationProtocol: dottedName,
};

const P2pParameters = strict({
  sessionPki: Type.Enum(["Standard", "StandardEV3", "Corda4", "NoPKI"]),
  sessionTrustRoots: Type.Optional(Type.Array(Type.String())),
  tlsPki: Type.Enum(["Standard", "StandardEV3", "Corda4"]),
  tlsTrustRoots: Type.Optional(Type.Array(Type.String())),
  tlsVersion: Type.Enum(["1.2", "1.3"]),
  protocolMode: Type.Enum(["Authentication", "Authenticated_Encryption"]),
  tlsType: Type.Enum(["OneWay", "Mutual"]),
  mtlsMgmClientCertificateSubject: Type.Optional(Type.String()),
});

const MemberEntry = Type.Object(
  {
    name: Type.String({ minLength: 1 }),
    memberStatus: Type.Optional(Type.Enum(["ACTIVE", "SUSPENDED"])),
    serial: Type.Optional(Type.Integer({ minimum: 1 })),
    modifiedTime: Type.Optional(Type.String()),
    keyAlias: Type.Optional(Type.String()),
    softwareVersion: Type.Optional(Type.String()),
    notary: Type.Optional(
      strict({
        serviceName: Type.String({ minLength: 1 }),
        flowProtocolName: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
        flowProtocolVersions: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1, maxItems: 100 })),
        backchainRequired: Type.Optional(Type.Boolean()),
        requesterSigns: Type.Optional(Type.Boolean()),
        signaturesRequired: Type.Optional(Type.Integer({ minimum: 1, maximum: RUNNERS_MAX })),
      }),
    ),
  },
  { additionalProperties: true }, // Endpoints are numbered properties; any other is refused below, by name.
);

const StaticShape = strict({
  ...Base,
  protocolParameters: strict({
    sessionKeyPolicy: Type.Enum(["Combined", "Distinct"]),
    staticNetwork: strict({
      members: Type.Array(MemberEntry, { minItems: 1, maxItems: MEMBERS_MAX }),
      groupParameters: Type.Optional(Type.Record(Type.String(), Type.Union([Type.String({ maxLength: 800 }), Type.Integer()]))),
    }),
  }),
  p2pParameters: P2pParameters,
  cipherSuite: texts,
  mgmInfo: Type.Optional(texts),
});

const DynamicShape = strict({
  ...Base,
  protocolParameters: strict({ sessionKeyPolicy: Type.Enum(["Combined", "Distinct"]) }),
  p2pParameters: P2pParameters,
  cipherSuite: texts,
  mgmInfo: texts,
});

const ManagerShape = strict({ ...Base, protocolParameters: Type.Optional(Type.Record(Type.String(), Type.Unknown())) });

const fits = { static: Compile(StaticShape), dynamic: Compile(DynamicShape), manager: Compile(ManagerShape) };

/** Such a notary has never seen whether a transaction is valid: its word alone is no reason to trust a state. */
const NON_VALIDATING = "com.r3.corda.notary.plugin.nonvalidating";
/** In the place of a group id: this policy is a network manager's, and the group is yet to be. */
const CREATE_ID = "CREATE_ID";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

/** Throws `groupPolicy.invalid`. */
export function parseGroupPolicy(text: string): GroupPolicy {
  const value = read(text);
  if (!isObject(value)) throw invalid("", "is not a JSON object");
  if (value.groupId === CREATE_ID) {
    const { registrationProtocol, synchronisationProtocol } = check("manager", value) as Static<typeof ManagerShape>;
    return { kind: "manager", registrationProtocol, synchronisationProtocol };
  }
  const parameters = value.protocolParameters;
  if (isObject(parameters) && "staticNetwork" in parameters) return staticPolicy(check("static", value) as Static<typeof StaticShape>);
  const { registrationProtocol, synchronisationProtocol, groupId, p2pParameters } = check("dynamic", value) as Static<typeof DynamicShape>;
  checkTrustRoots(p2pParameters, true);
  return { kind: "dynamic", registrationProtocol, synchronisationProtocol, groupId: groupIdOf(groupId) };
}

function staticPolicy(shape: Static<typeof StaticShape>): StaticNetworkPolicy {
  const { protocolParameters, registrationProtocol, synchronisationProtocol } = shape;
  const { staticNetwork, sessionKeyPolicy } = protocolParameters;
  // Members of a static network live in one cluster: without trust roots nothing is lost.
  checkTrustRoots(shape.p2pParameters, false);
  const members = staticNetwork.members.map((entry, index) => staticMember(entry, `/protocolParameters/staticNetwork/members/${index}`));
  checkNames(members);
  return {
    kind: "static",
    groupId: groupIdOf(shape.groupId),
    registrationProtocol,
    synchronisationProtocol,
    sessionKeyPolicy,
    members,
    ...groupParameters(staticNetwork.groupParameters ?? {}),
  };
}

function staticMember(entry: Static<typeof MemberEntry>, where: string): StaticMember {
  const numbered = entry as Readonly<Record<string, unknown>>;
  const unknown = Object.keys(entry).find((key) => !(key in MemberEntry.properties) && !/^endpoint(Url|Protocol)-[1-9][0-9]*$/.test(key));
  if (unknown !== undefined) throw invalid(`${where}/${unknown}`, "is not known");
  const endpoints = [];
  for (let n = 1; numbered[`endpointUrl-${n}`] !== undefined || numbered[`endpointProtocol-${n}`] !== undefined; n++)
    endpoints.push(endpoint(numbered[`endpointUrl-${n}`], numbered[`endpointProtocol-${n}`], `${where}/endpointUrl-${n}`));
  const count = Object.keys(entry).filter((key) => key.startsWith("endpointUrl-")).length;
  if (endpoints.length === 0) throw invalid(`${where}/endpointUrl-1`, "is missing");
  if (count !== endpoints.length) throw invalid(where, "does not number its endpoints 1, 2, 3, … without gaps");
  if (entry.modifiedTime !== undefined && Number.isNaN(Date.parse(entry.modifiedTime)))
    throw invalid(`${where}/modifiedTime`, "is not an ISO 8601 instant");
  return {
    name: nameOf(entry.name, `${where}/name`),
    status: entry.memberStatus ?? "ACTIVE",
    endpoints,
    serial: entry.serial ?? 1,
    modifiedTime: entry.modifiedTime,
    notary: entry.notary === undefined ? undefined : staticNotary(entry.notary, `${where}/notary`),
  };
}

function staticNotary(entry: NonNullable<Static<typeof MemberEntry>["notary"]>, where: string): StaticNotary {
  const { flowProtocolName = NON_VALIDATING, flowProtocolVersions = [1], requesterSigns = false, signaturesRequired = 1 } = entry;
  const { backchainRequired = flowProtocolName === NON_VALIDATING } = entry;
  if (flowProtocolName === NON_VALIDATING && !backchainRequired)
    throw invalid(`${where}/backchainRequired`, "is false, and a non-validating notary vouches for no state");
  return {
    serviceName: nameOf(entry.serviceName, `${where}/serviceName`),
    flowProtocolName,
    flowProtocolVersions: [...new Set(flowProtocolVersions)].sort((a, b) => a - b),
    backchainRequired,
    requesterSigns,
    signaturesRequired,
  };
}

function endpoint(url: unknown, protocol: unknown, where: string): { url: string; protocol: number } {
  const parsed = typeof url === "string" ? URL.parse(url) : null;
  if (typeof url !== "string" || parsed === null || parsed.protocol !== "https:") throw invalid(where, "is not an https URL");
  const version = typeof protocol === "string" && /^[0-9]+$/.test(protocol) ? Number(protocol) : protocol;
  if (typeof version !== "number" || !Number.isSafeInteger(version))
    throw invalid(where.replace("endpointUrl", "endpointProtocol"), "is not an integer");
  return { url, protocol: version };
}

function checkNames(members: readonly StaticMember[]): void {
  const names = new Set<string>();
  for (const { name } of members) {
    if (names.has(name)) throw invalid("/protocolParameters/staticNetwork/members", `lists ${name} twice`);
    names.add(name);
  }
  const services = new Map<string, StaticNotary[]>();
  for (const { notary } of members) {
    if (notary === undefined) continue;
    if (names.has(notary.serviceName))
      throw invalid("/protocolParameters/staticNetwork/members", `gives a notary service the name of a member, ${notary.serviceName}`);
    services.set(notary.serviceName, [...(services.get(notary.serviceName) ?? []), notary]);
  }
  for (const [name, runners] of services) requireAgreement(name, runners);
}

/** Whoever runs a service with others says of it what they say. */
function requireAgreement(name: string, runners: readonly StaticNotary[]): void {
  const where = "/protocolParameters/staticNetwork/members";
  const [first] = runners;
  if (runners.some((runner) => !isDeepStrictEqual(runner, first)))
    throw invalid(where, `has members run the notary service ${name} that do not say the same of it`);
  if (runners.length > RUNNERS_MAX) throw invalid(where, `has more than ${RUNNERS_MAX} members run the notary service ${name}`);
  if (first !== undefined && first.signaturesRequired > runners.length)
    throw invalid(
      where,
      `has the notary service ${name} need ${first.signaturesRequired} signatures, and ${runners.length} members run it`,
    );
}

function groupParameters(declared: Readonly<Record<string, string | number>>) {
  const where = "/protocolParameters/staticNetwork/groupParameters";
  const extensions: Record<string, string> = {};
  let minimumPlatformVersion = PLATFORM_VERSION_DEFAULT;
  for (const [key, value] of Object.entries(declared)) {
    if (key === "corda.minimum.platform.version") {
      if (typeof value !== "number" || value < 50_000 || value > 99_999)
        throw invalid(`${where}/${key}`, "is not an integer from 50000 to 99999");
      minimumPlatformVersion = value;
    } else if (/^ext\.[a-zA-Z0-9.]+$/.test(key) && key.length <= EXTENSION_KEY_LENGTH_MAX) {
      if (typeof value !== "string") throw invalid(`${where}/${key}`, "is not a text");
      extensions[key] = value;
    } else throw invalid(`${where}/${key}`, "is neither corda.minimum.platform.version nor an ext.… key");
  }
  if (Object.keys(extensions).length > EXTENSIONS_MAX) throw invalid(where, `has more than ${EXTENSIONS_MAX} ext.… keys`);
  return { minimumPlatformVersion, extensions };
}

function checkTrustRoots(p2p: Static<typeof P2pParameters>, required: boolean): void {
  const lists = [
    ["tlsTrustRoots", p2p.tlsTrustRoots, required],
    ["sessionTrustRoots", p2p.sessionTrustRoots, required && p2p.sessionPki !== "NoPKI"],
  ] as const;
  for (const [key, roots, needed] of lists) {
    if (needed && (roots === undefined || roots.length === 0)) throw invalid(`/p2pParameters/${key}`, "must name at least one certificate");
    roots?.forEach((pem, index) => {
      if (!isCertificate(pem)) throw invalid(`/p2pParameters/${key}/${index}`, "is not a PEM certificate");
    });
  }
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).subject !== undefined;
  } catch {
    return false;
  }
}

function groupIdOf(text: string): string {
  if (!UUID.test(text)) throw invalid("/groupId", `is neither a UUID nor ${CREATE_ID}`);
  return text.toLowerCase();
}

function nameOf(text: string, where: string): X500Name {
  try {
    return parseName(text);
  } catch (error) {
    throw error instanceof BowlineError ? invalid(where, `is no X.500 name: ${error.details.reason}`) : error;
  }
}

function read(text: string): Data {
  try {
    return readJson(text, "group policy");
  } catch (error) {
    throw error instanceof BowlineError ? invalid("", error.message) : error;
  }
}

function check(kind: keyof typeof fits, value: object): unknown {
  const shape = fits[kind];
  if (shape.Check(value)) return value;
  const [first] = shape.Errors(value);
  throw invalid(first?.instancePath ?? "", first?.message ?? "does not fit its schema");
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);

const invalid = (field: string, reason: string) =>
  badRequest("groupPolicy.invalid", `The group policy is invalid: ${field === "" ? "it" : field} ${reason}.`, {
    field: field === "" ? "/" : field,
    reason,
  });
