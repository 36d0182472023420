import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BowlineError, type Data, encode, parseName, type SecureHash, secureHash, unavailable } from "@bowline/base";
import { DEFAULT_SCHEME, generateKeyPair, type KeyPair } from "@bowline/crypto";
import { inProcessFibers } from "@bowline/flow";
import { ledgerFlows } from "@bowline/ledger";
import { cordapp, type TransactionProposal } from "@bowline/sdk";
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

let alice: KeyPair;
let notary: KeyPair;
let parameters: Uint8Array;
const role = createVerificationRole({
  verdictKey: new Uint8Array(32).fill(7),
  log: silent,
  db: {
    bundle: async ({ fileChecksum }) => {
      if (fileChecksum === hashOf(1)) return sampleBundle();
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

/** What the platform's own `ledger.sign` asks this role, for a transaction that issues coins of these amounts. */
async function requestOf(
  amounts: readonly number[],
  options: { command?: string; package?: number; random?: number } = {},
): Promise<Request> {
  const fibers = inProcessFibers(
    cordapp({ flows: ledgerFlows, states: [], contracts: [] }),
    () => new Promise((drained) => setImmediate(drained)),
  );
  const proposal: TransactionProposal = {
    notary: NOTARY,
    timeWindow: { until: NOW + 60_000 },
    inputs: [],
    references: [],
    outputs: amounts.map((amount) => ({
      type: "com.example.Coin",
      version: 1,
      contract: CONTRACT,
      data: { owner: alice.publicKey, amount },
    })),
    commands: [{ type: options.command ?? "Issue", contract: CONTRACT, data: {} }],
    signatories: [alice.publicKey],
  };
  const identity = { name: "sample", version: "1.0", signerSummaryHash: hashOf(9) };
  const answers: Readonly<Record<string, Data>> = {
    "cluster.packages": {
      cpi: { ...identity, fileChecksum: hashOf(8) },
      contracts: [{ ...identity, fileChecksum: hashOf(options.package ?? 1), contracts: [CONTRACT] }],
      platformVersion: PLATFORM_VERSION,
    },
    "membership.groupParameters": { bytes: parameters, signature: new Uint8Array(1), signedBy: "" },
    random: new Uint8Array(32).fill(options.random ?? 3),
    "clock.now": NOW,
  };
  const start = { kind: "called" as const, fiber: "f/", path: "", flow: "ledger.sign", input: { proposal } as unknown as Data };
  const me = parseName("O=Alice, L=London, C=GB");
  const [asked] = await fibers.activate({ starts: [{ ...start, identity: { flowId: "f", me, groupId: GROUP_ID } }], deliveries: [] });
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

  test("reports each broken rule of a contract", async () => {
    const reply = await verify(await requestOf([5, 0]));
    assert.equal(reply.valid, false);
    assert.deepEqual(reply.violations, [`${CONTRACT}: Broken rule: the amount is more than zero.`]);
    assert.deepEqual(reply.outputs, []);
  });

  test("an unknown command is a broken rule", async () => {
    const { valid, violations } = await verify(await requestOf([5], { command: "Burn" }));
    assert.equal(valid, false);
    assert.match(violations.join(), /no command Burn/);
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
