import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BowlineError, type Data, encode, parseName, type SecureHash, secureHash, unavailable } from "@bowline/base";
import { DEFAULT_SCHEME, generateKeyPair, type KeyPair } from "@bowline/crypto";
import { inProcessFibers } from "@bowline/flow";
import { decodeSigned, ledgerFlows } from "@bowline/ledger";
import { cordapp, NO_PROPERTIES, type TransactionProposal } from "@bowline/sdk";
import { silent } from "../sandbox/probe.ts";
import { sampleBundle } from "../sandbox/sample-bundle.ts";
import type { VerificationService } from "../services.ts";
import { createVerificationRole } from "./verification.ts";

type Request = Parameters<VerificationService["verify"]>[0];

const caller = { role: "flow" } as const;
const hashOf = (byte: number): SecureHash => secureHash(new Uint8Array(32).fill(byte));
const GROUP_ID = "6f1c5b0e-3a77-4e2b-9f0a-1c2d3e4f5a6b";
const NOTARY = parseName("O=Notary Service, L=London, C=GB");
const PLATFORM_VERSION = 50_200;
const NOW = 1_790_000_000_000;
const CONTRACT = "com.example.CoinContract";
const BOND_CONTRACT = "com.example.BondContract";

/** A package of its own. Its contract refuses every bond that has fallen due. */
const BOND_MANIFEST = {
  flows: [],
  states: [{ name: "com.example.Bond", version: 1, contract: BOND_CONTRACT, schema: {} }],
  contracts: [{ name: BOND_CONTRACT, commands: [{ name: "Issue", schema: {} }] }],
};
const bondBundle = {
  manifest: BOND_MANIFEST,
  script: `var __cordapp = { cordapp: {
    manifest: ${JSON.stringify(BOND_MANIFEST)},
    verify: ({ references, outputs }, contracts) => [...references, ...outputs].flatMap(({ state: { type, data } }) =>
      type === "com.example.Bond" && data.due
        ? contracts.map((contract) => ({ contract, failure: { type: "due", message: "The bond is due." } }))
        : []),
    describeState: () => ({ participants: [], json: null }),
    start() {}, deliver() {}, collect: () => [], drop() {}, handOver() { return this; },
  } };`,
};

let alice: KeyPair;
let notary: KeyPair;
let parameters: Uint8Array;
const role = createVerificationRole({
  verdictKey: new Uint8Array(32).fill(7),
  log: silent,
  onUnstoppable: () => {},
  db: {
    bundle: async ({ fileChecksum }) => {
      if (fileChecksum === hashOf(1)) return sampleBundle();
      if (fileChecksum === hashOf(4)) return bondBundle;
      if (fileChecksum === hashOf(2)) throw unavailable("db.down", "The database is down.");
      throw new BowlineError("notFound", "cpk.unknown", "There is no such CPK.");
    },
  },
});
const verify = (request: Request) => role.service.verify(request, caller);

before(async () => {
  [alice, notary] = await Promise.all([generateKeyPair(DEFAULT_SCHEME), generateKeyPair(DEFAULT_SCHEME)]);
  parameters = encode({
    groupId: GROUP_ID,
    epoch: 1,
    modifiedAt: NOW,
    minimumPlatformVersion: PLATFORM_VERSION,
    notaries: [{ name: NOTARY, key: notary.publicKey, protocol: "p", backchainRequired: true, members: [] }],
  });
});
after(() => role.close());

/**
 * What the platform's own `ledger.sign` asks this role, for a transaction that issues coins of these amounts; it may issue
 * a bond of another package too, or refer to states.
 */
async function requestOf(
  amounts: readonly number[],
  options: { command?: string; package?: number; random?: number; bond?: "young" | "due"; references?: Request["references"] } = {},
): Promise<Request> {
  const { references = [] } = options;
  const bond = { type: "com.example.Bond", version: 1, contract: BOND_CONTRACT, data: { due: options.bond === "due" } };
  const fibers = inProcessFibers(
    cordapp({ flows: ledgerFlows, states: [], contracts: [] }),
    () => new Promise((drained) => setImmediate(drained)),
  );
  const proposal: TransactionProposal = {
    notary: NOTARY,
    timeWindow: { until: NOW + 60_000 },
    inputs: [],
    references: references.map(({ ref }) => ref),
    outputs: [
      ...amounts.map((amount) => ({
        type: "com.example.Coin",
        version: 1,
        contract: CONTRACT,
        data: { owner: alice.publicKey, amount },
      })),
      ...(options.bond ? [bond] : []),
    ],
    commands: [
      { type: options.command ?? "Issue", contract: CONTRACT, data: {} },
      ...(options.bond ? [{ type: "Issue", contract: BOND_CONTRACT, data: {} }] : []),
    ],
    signatories: [alice.publicKey],
  };
  const identity = { name: "sample", version: "1.0", signerSummaryHash: hashOf(9) };
  const answers: Readonly<Record<string, Data>> = {
    "cluster.packages": {
      cpi: { ...identity, fileChecksum: hashOf(8) },
      contracts: [
        { ...identity, fileChecksum: hashOf(options.package ?? 1), contracts: [CONTRACT] },
        { ...identity, name: "bonds", fileChecksum: hashOf(4), contracts: [BOND_CONTRACT] },
      ],
      platformVersion: PLATFORM_VERSION,
    },
    "membership.groupParameters": { bytes: parameters, signature: new Uint8Array(1), signedBy: "" },
    "vault.sources": references as unknown as Data,
    random: new Uint8Array(32).fill(options.random ?? 3),
    "clock.now": NOW,
  };
  const start = { kind: "called" as const, fiber: "f/", path: "", flow: "ledger.sign", input: { proposal } as unknown as Data };
  const me = parseName("O=Alice, L=London, C=GB");
  const [asked] = await fibers.activate({
    starts: [{ ...start, identity: { flowId: "f", me, groupId: GROUP_ID, properties: NO_PROPERTIES } }],
    deliveries: [],
  });
  const deliveries = (asked?.syscalls ?? []).map(({ path, call }) => ({
    fiber: "f/",
    path,
    outcome: { ok: answers[call.kind === "service" ? call.service : call.kind] ?? null },
  }));
  const [next] = await fibers.activate({ starts: [], deliveries });
  for (const { call } of next?.syscalls ?? [])
    if (call.kind === "service" && call.service === "verification.verify") return call.request as unknown as Request;
  throw new Error(`ledger.sign did not ask: ${JSON.stringify(next?.finished)}`);
}

describe("the verification role", () => {
  test("says that a valid transaction is valid, describes its outputs, and that signatures are missing", async () => {
    const reply = await verify(await requestOf([5, 6]));
    assert.equal(reply.valid, true);
    assert.equal(reply.complete, false);
    assert.deepEqual(reply.signatures.missing, [alice.publicKey]);
    assert.deepEqual(reply.outputs, [
      { participants: [alice.publicKey], json: { amount: 5 } },
      { participants: [alice.publicKey], json: { amount: 6 } },
    ]);
  });

  test("each package judges by its own contracts, over states of both", async () => {
    const good = await verify(await requestOf([5, 6], { bond: "young" }));
    assert.deepEqual(good.violations, []);
    assert.equal(good.outputs.length, 3);
    const bad = await verify(await requestOf([0], { bond: "due" }));
    assert.deepEqual(bad.violations, [
      { code: "rule.broken", message: `${CONTRACT}: Broken rule: the amount is more than zero.` },
      { code: "due", message: `${BOND_CONTRACT}: The bond is due.` },
    ]);
  });

  test("what is only referred to is not judged again", async () => {
    const { transaction } = decodeSigned((await requestOf([5], { bond: "due" })).transaction);
    // Component groups 3 and 8 of a transaction are what is said of its outputs, and their data.
    const [info, data] = [transaction.groups[3]?.[1], transaction.groups[8]?.[1]];
    assert.ok(info !== undefined && data !== undefined);
    const reply = await verify(await requestOf([5], { references: [{ ref: `${transaction.id}:1`, info, data }] }));
    assert.equal(reply.view?.references[0]?.state.contract, BOND_CONTRACT);
    assert.deepEqual(reply.violations, []);
    assert.equal(reply.valid, true);
  });

  test("reports each broken rule of a contract", async () => {
    const reply = await verify(await requestOf([5, 0]));
    assert.equal(reply.valid, false);
    assert.deepEqual(reply.violations, [{ code: "rule.broken", message: `${CONTRACT}: Broken rule: the amount is more than zero.` }]);
    assert.deepEqual(reply.outputs, []);
  });

  test("an unknown command is a broken rule", async () => {
    const { valid, violations } = await verify(await requestOf([5], { command: "Burn" }));
    assert.equal(valid, false);
    assert.equal(violations[0]?.code, "contract.commandUnknown");
    assert.match(violations[0]?.message ?? "", /no command Burn/);
  });

  test("a contract that runs out of stack could not be run: no verdict", async () => {
    await assert.rejects(verify(await requestOf([5], { command: "Recurse" })), { code: "sandbox.boundsLimit" });
    assert.equal((await verify(await requestOf([5]))).valid, true);
  });

  test("a package that is not here, or cannot be fetched now, is no verdict either", async () => {
    await assert.rejects(verify(await requestOf([5], { package: 3 })), { code: "ledger.packageUnknown" });
    await assert.rejects(verify(await requestOf([5], { package: 2 })), { code: "db.down", kind: "unavailable" });
  });

  test("bytes that are no transaction are refused", async () => {
    const request = await requestOf([5]);
    await assert.rejects(verify({ ...request, transaction: request.transaction.slice(1) }), { kind: "badRequest" });
  });

  test("an earlier verdict is completed by signatures alone, and by nobody else's verdict", async () => {
    const request = await requestOf([5]);
    const first = await verify(request);
    const verified = { verdict: first.verdict, mac: first.mac };
    const again = await verify({ ...request, inputs: [], references: [], groupParameters: new Uint8Array(), verified });
    assert.equal(again.valid, true);
    assert.equal(again.view, null);
    const forged = { verdict: first.verdict, mac: first.mac.map((byte) => byte ^ 1) };
    await assert.rejects(verify({ ...request, verified: forged }), { code: "ledger.verdictRefused" });
  });
});
