import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { BowlineError, parseName } from "@bowline/base";
import { DEFAULT_SCHEME, decomposeKey, generateKeyPair, leafKeys } from "@bowline/crypto";
import {
  decodeParameters,
  encodeParameters,
  firstParameters,
  flatParameters,
  parametersHash,
  parseGroupPolicy,
  planKeys,
  registerStatic,
  type StaticNetworkPolicy,
  type StaticNotary,
  selectMembers,
  staticMemberOf,
} from "./index.ts";
import { type NotaryRunner, withNotary } from "./notaries.ts";

const ALICE = parseName("O=Alice, L=London, C=GB");
const BOB = parseName("O=Bob, L=Paris, C=FR");
const NOTARY = parseName("O=Notary, L=London, C=GB");
const SERVICE = parseName("O=Notary Service, L=London, C=GB");

type Json = Record<string, unknown>;
const member = (name: string, more: Json = {}): Json => ({
  name,
  "endpointUrl-1": "https://localhost:1080",
  "endpointProtocol-1": 1,
  ...more,
});
const base = (): Json => ({
  fileFormatVersion: 1,
  groupId: "7C5D6948-e17b-44e7-9d1c-fa4a3f667cad",
  registrationProtocol: "net.corda.Static",
  synchronisationProtocol: "net.corda.Sync",
  cipherSuite: {},
  p2pParameters: { sessionPki: "NoPKI", tlsPki: "Standard", tlsVersion: "1.3", protocolMode: "Authentication", tlsType: "OneWay" },
});
const network = (members: readonly Json[], groupParameters: Json = {}, sessionKeyPolicy = "Combined"): Json => ({
  ...base(),
  protocolParameters: { sessionKeyPolicy, staticNetwork: { members, groupParameters } },
});
const MEMBERS = [
  member(ALICE),
  member(BOB, { memberStatus: "SUSPENDED", serial: 3 }),
  member(NOTARY, { notary: { serviceName: SERVICE } }),
];

const parse = (policy: Json): StaticNetworkPolicy => {
  const parsed = parseGroupPolicy(JSON.stringify(policy));
  assert.equal(parsed.kind, "static");
  return parsed as StaticNetworkPolicy;
};
const refusal = (policy: Json | string): string => {
  try {
    parseGroupPolicy(typeof policy === "string" ? policy : JSON.stringify(policy));
  } catch (error) {
    assert.ok(error instanceof BowlineError && error.code === "groupPolicy.invalid", String(error));
    return error.message;
  }
  return assert.fail("it was accepted");
};

describe("group policies", () => {
  test("of static networks say who belongs to them", () => {
    const policy = parse(network(MEMBERS, { "ext.motto": "fair winds", "corda.minimum.platform.version": 50100 }));
    assert.equal(policy.groupId, "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad");
    assert.deepEqual([policy.minimumPlatformVersion, policy.extensions], [50100, { "ext.motto": "fair winds" }]);
    assert.deepEqual(
      policy.members.map(({ name, status, serial, notary }) => [name, status, serial, notary?.serviceName]),
      [
        [ALICE, "ACTIVE", 1, undefined],
        [BOB, "SUSPENDED", 3, undefined],
        [NOTARY, "ACTIVE", 1, SERVICE],
      ],
    );
  });

  test("of managers and of their members are told apart", () => {
    const { p2pParameters: _, cipherSuite: __, ...manager } = base();
    assert.equal(parseGroupPolicy(JSON.stringify({ ...manager, groupId: "CREATE_ID" })).kind, "manager");
    assert.match(refusal({ ...base(), protocolParameters: { sessionKeyPolicy: "Combined" } }), /mgmInfo|tlsTrustRoots/);
  });

  test("are refused with the field and the reason", () => {
    const cases: [Json | string, RegExp][] = [
      ["{", /JSON/],
      ["[]", /not a JSON object/],
      ['{"groupId":"a","groupId":"b"}', /stands twice/],
      [{ ...network(MEMBERS), groupId: "x" }, /\/groupId is neither a UUID/],
      [{ ...network(MEMBERS), fileFormatVersion: 2 }, /\/fileFormatVersion/],
      [{ ...network(MEMBERS), registrationProtocol: "1.bad" }, /\/registrationProtocol/],
      [{ ...network(MEMBERS), p2pParameters: { ...(base().p2pParameters as Json), tlsVersion: "1.1" } }, /\/p2pParameters\/tlsVersion/],
      [
        { ...network(MEMBERS), p2pParameters: { ...(base().p2pParameters as Json), tlsTrustRoots: ["x"] } },
        /tlsTrustRoots\/0 is not a PEM/,
      ],
      [network([]), /members/],
      [network([member("O=Alice")]), /members\/0\/name is no X.500 name: attribute L is missing/],
      [network([member(ALICE), member("C=GB, L=London, O=Alice")]), /lists O=Alice, L=London, C=GB twice/],
      [network([member(ALICE, { nickname: "al" })]), /nickname is not known/],
      [network([member(ALICE, { "endpointUrl-1": "http://x" })]), /endpointUrl-1 is not an https URL/],
      [network([member(ALICE, { "endpointUrl-3": "https://x", "endpointProtocol-3": 1 })]), /without gaps/],
      [network([{ name: ALICE }]), /endpointUrl-1 is missing/],
      [network([member(ALICE, { notary: { serviceName: BOB } }), member(BOB)]), /name of a member/],
      [
        network([
          member(ALICE, { notary: { serviceName: SERVICE } }),
          member(BOB, { notary: { serviceName: SERVICE, signaturesRequired: 2 } }),
        ]),
        /do not say the same of it/,
      ],
      [network([member(ALICE, { notary: { serviceName: SERVICE, signaturesRequired: 2 } })]), /needs? 2 signatures, and 1 members/],
      [network([member(ALICE, { notary: { serviceName: SERVICE, backchainRequired: false } })]), /vouches for no state/],
      [network(MEMBERS, { "corda.epoch": 1 }), /corda.epoch is neither/],
      [network(MEMBERS, { "corda.minimum.platform.version": 1 }), /50000 to 99999/],
    ];
    for (const [policy, reason] of cases) assert.match(refusal(policy), reason);
  });
});

describe("static registration", () => {
  let key: string;
  before(async () => {
    key = (await generateKeyPair(DEFAULT_SCHEME)).publicKey;
  });
  const register = (policy: StaticNetworkPolicy, name: typeof ALICE, keys: object) =>
    registerStatic({
      policy,
      member: staticMemberOf(policy, name) ?? assert.fail(name),
      keys,
      registrationId: "r",
      cpi: { name: "c", version: "1", signerSummaryHash: "SHA-256:00" },
      platformVersion: 50200,
      softwareVersion: "0.1.0",
      now: 0,
    });

  test("plans the keys of the session policy; a notary publishes no ledger key", () => {
    const uses = (policy: string, name: typeof ALICE) => {
      const parsed = parse(network(MEMBERS, {}, policy));
      return planKeys(parsed, staticMemberOf(parsed, name) ?? assert.fail(name)).map(
        ({ use, category, alias }) => `${use}:${category}:${alias}`,
      );
    };
    assert.deepEqual(uses("Combined", ALICE), ["session:LEDGER:ledger", "ledger:LEDGER:ledger"]);
    assert.deepEqual(uses("Distinct", ALICE), ["session:SESSION_INIT:session", "ledger:LEDGER:ledger"]);
    assert.deepEqual(uses("Combined", NOTARY), ["session:LEDGER:ledger", "notary:NOTARY:notary"]);
  });

  test("writes both contexts", () => {
    const policy = parse(network(MEMBERS));
    const alice = register(policy, ALICE, { session: key, ledger: key });
    assert.deepEqual(alice.info, { name: ALICE, status: "ACTIVE", ledgerKeys: [key] });
    assert.equal(alice.memberContext["corda.ledger.keys.0.signature.spec"], "SHA256withECDSA");
    assert.match(alice.memberContext["corda.session.keys.0.pem"] ?? "", /^-----BEGIN PUBLIC KEY-----\n/);
    assert.equal(alice.mgmContext["corda.modifiedTime"], "1970-01-01T00:00:00.000Z");
    const notary = register(policy, NOTARY, { session: key, notary: key });
    assert.deepEqual([notary.info.ledgerKeys, notary.info.notaryService], [[], SERVICE]);
    assert.equal(notary.memberContext["corda.roles.0"], "notary");
    assert.equal(notary.memberContext["corda.ledger.keys.0.pem"], undefined);
  });

  test("shows a suspended member to itself only, and filters by name without case", () => {
    const policy = parse(network(MEMBERS));
    const members = [ALICE, BOB, NOTARY].map((name) => register(policy, name, { session: key }));
    const seen = (viewer: typeof ALICE, filter: object, statuses: readonly ("ACTIVE" | "SUSPENDED")[]) =>
      selectMembers(members, viewer, filter, statuses).map(({ info }) => info.name);
    assert.deepEqual(seen(ALICE, {}, ["ACTIVE"]), [ALICE, NOTARY]);
    assert.deepEqual(seen(ALICE, {}, ["ACTIVE", "SUSPENDED"]), [ALICE, NOTARY]);
    assert.deepEqual(seen(BOB, {}, ["SUSPENDED"]), [BOB]);
    assert.deepEqual(seen(ALICE, { l: "LONDON", o: undefined }, ["ACTIVE"]), [ALICE, NOTARY]);
    assert.deepEqual(seen(ALICE, { ou: "x" }, ["ACTIVE"]), []);
  });
});

const KEYS = await Promise.all(["a", "b", "c"].map(async () => (await generateKeyPair("CORDA.ECDSA.SECP256R1")).publicKey));
const [keyA, keyB, keyC] = KEYS as [string, string, string];

describe("group parameters", () => {
  const service: StaticNotary = {
    serviceName: SERVICE,
    flowProtocolName: "p",
    flowProtocolVersions: [1],
    backchainRequired: true,
    requesterSigns: false,
    signaturesRequired: 1,
  };
  const alone: readonly NotaryRunner[] = [{ member: NOTARY, key: keyA }];
  const three: readonly NotaryRunner[] = [...alone, { member: BOB, key: keyB }, { member: ALICE, key: keyC }];

  test("say of a notary service whether it wants a signature of who asks", () => {
    const first = firstParameters(parse(network(MEMBERS)), 5);
    const said = [false, true].map((requesterSigns) => {
      const parameters = withNotary(first, { ...service, requesterSigns }, alone, 6);
      return decodeParameters(encodeParameters(parameters)).notaries[0]?.requesterSigns;
    });
    assert.deepEqual(said, [undefined, true]);
  });

  test("begin at epoch 1 and rise when a notary joins, once", () => {
    const first = firstParameters(parse(network(MEMBERS)), 5);
    assert.deepEqual([first.epoch, first.notaries, "extensions" in first], [1, [], false]);
    const second = withNotary(first, service, alone, 6);
    assert.deepEqual([second.epoch, second.modifiedAt, second.notaries[0]?.members], [2, 6, [NOTARY]]);
    assert.deepEqual([second.notaries[0]?.key, second.notaries[0]?.formerKeys, second.notaries[0]?.versions], [keyA, undefined, undefined]);
    assert.equal(withNotary(second, service, alone, 7), second);
    assert.throws(
      () => withNotary(second, service, [{ member: BOB, key: keyB }], 7),
      (error: unknown) => error instanceof BowlineError && error.kind === "conflict",
    );
  });

  test("give a service that several members run one key of theirs, and keep what its key was", () => {
    const first = withNotary(firstParameters(parse(network(MEMBERS)), 5), service, alone, 6);
    const second = withNotary(first, service, three, 7);
    const [notary] = second.notaries;
    assert.deepEqual([second.epoch, notary?.members, notary?.formerKeys], [3, [ALICE, BOB, NOTARY], [keyA]]);
    assert.deepEqual(new Set(leafKeys(notary?.key ?? "")), new Set(KEYS));
    assert.equal(decomposeKey(notary?.key ?? "")?.threshold, 1);
    assert.equal(withNotary(second, service, [...three].reverse(), 8), second, "in whatever order they registered");
    const flat = flatParameters(second);
    assert.equal(new Set([0, 1, 2].map((n) => flat[`corda.notary.service.0.keys.${n}`])).size, 3);
    assert.deepEqual(decodeParameters(encodeParameters(second)), second);
  });

  test("list a service when as many members run it as must sign", () => {
    const first = firstParameters(parse(network(MEMBERS)), 5);
    const quorum: StaticNotary = { ...service, flowProtocolVersions: [1, 2], signaturesRequired: 2 };
    assert.equal(withNotary(first, quorum, alone, 6), first);
    const [notary] = withNotary(first, quorum, three, 6).notaries;
    assert.deepEqual([decomposeKey(notary?.key ?? "")?.threshold, notary?.versions, notary?.formerKeys], [2, [1, 2], undefined]);
  });

  test("are canonical bytes, and one flat map", () => {
    const parameters = withNotary(firstParameters(parse(network(MEMBERS, { "ext.a": "b" })), 5), service, alone, 6);
    const bytes = encodeParameters(parameters);
    assert.deepEqual(decodeParameters(bytes), parameters);
    assert.equal(parametersHash(bytes), parametersHash(encodeParameters({ ...parameters })));
    const flat = flatParameters(parameters);
    assert.deepEqual([flat["corda.epoch"], flat["ext.a"], flat["corda.notary.service.0.backchain.required"]], ["2", "b", "true"]);
  });
});
