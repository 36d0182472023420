// A notary service with two virtual nodes on real databases, its memory served by two workers at once, and an auditor who
// believes none of them.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Clock, parseName, type ShortHash } from "../packages/base/src/index.ts";
import type { NotaryQuota } from "../packages/cluster/src/config-sections.ts";
import { generateBootKey, pemOf } from "../packages/crypto/src/index.ts";
import { openDatabase } from "../packages/host/src/adapters/postgres.ts";
import { systemClock } from "../packages/host/src/adapters/system.ts";
import {
  buildTestCpi,
  createTestNode,
  GROUP_ID,
  groupPolicy,
  quietLog,
  startTestCluster,
  type TestCluster,
  uploadTestCpi,
} from "../packages/host/src/roles/test-cluster.ts";
import { createUniquenessRole } from "../packages/host/src/roles/uniqueness.ts";
import { buildTransaction } from "../packages/ledger/src/builder.ts";
import { filterForNotary } from "../packages/ledger/src/filter.ts";
import { groupParametersHash } from "../packages/ledger/src/group-parameters.ts";
import { stateRef } from "../packages/ledger/src/leaves.ts";
import type { NotaryAnswer } from "../packages/ledger/src/ports.ts";
import { CPI, PACKAGE, PLATFORM_VERSION, sample } from "../packages/ledger/src/sample.memory.ts";
import { checkNotaryWord } from "../packages/ledger/src/signatures.ts";
import type { Transaction } from "../packages/ledger/src/transaction.ts";
import { decodeParameters } from "../packages/membership/src/index.ts";

const AUDIT = fileURLToPath(new URL("../packages/host/src/audit.ts", import.meta.url));
const SERVICE = parseName("O=Notary Service, L=London, C=GB");
const NODES = ["O=Notary A, L=London, C=GB", "O=Notary B, L=Paris, C=FR"].map(parseName);
const MEMBERS = NODES.map((name) => ({
  name,
  "endpointUrl-1": "https://localhost:1080",
  "endpointProtocol-1": 1,
  notary: { serviceName: SERVICE },
}));
const network = await sample();
const { alice, bob } = network.parties;
type Role = ReturnType<typeof createUniquenessRole>;

describe("a notary service of two virtual nodes, served by two workers", () => {
  let cluster: TestCluster;
  let vnodes: readonly ShortHash[];
  let notaryKey: string;
  let parametersHash: ReturnType<typeof groupParametersHash>;
  const workers: Role[] = [];

  before(async () => {
    cluster = await startTestCluster();
    const { db } = cluster.calls.for("rest");
    await db.importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
    const checksum = await uploadTestCpi(cluster, await buildTestCpi(cluster.signer, { policy: groupPolicy(MEMBERS) }));
    for (const name of NODES) assert.equal((await createTestNode(cluster, checksum, name)).status, "SUCCEEDED");
    vnodes = (await db.virtualNodes(null)).map(({ holdingIdentity }) => holdingIdentity.shortHash);
    const signed = await db.groupParameters({ groupId: GROUP_ID, hash: null });
    assert.ok(signed !== null);
    parametersHash = groupParametersHash(signed.bytes);
    notaryKey = decodeParameters(signed.bytes).notaries[0]?.key ?? "";
    workers.push(worker(), worker());
  });
  after(async () => {
    await Promise.all(workers.map((one) => one.close()));
    await cluster.stop();
  });

  /** With the quota that the configuration says, where that is null. */
  function worker(quota: NotaryQuota | null = { unitsPerSecond: 100_000, unitsAtOnce: 100_000 }, clock: Clock = systemClock): Role {
    const calls = cluster.calls.for("uniqueness");
    const db = quota === null ? calls.db : { ...calls.db, notaryQuota: async () => quota };
    return createUniquenessRole({ calls: { ...calls, db }, bootKey: generateBootKey(), clock, log: quietLog, allowForgetful: true });
  }

  function build(inputs: readonly string[], owner = bob, references: readonly string[] = [], until = 4e12): Transaction {
    const outputs = [{ owner, amount: 1 }];
    return buildTransaction({ ...network.propose({ inputs, references, outputs, signedBy: [alice], until }), notary: SERVICE } as never, {
      groupId: GROUP_ID,
      cpi: CPI,
      packages: [PACKAGE],
      platformVersion: PLATFORM_VERSION,
      groupParametersHash: parametersHash,
      digest: "SHA-256",
      notaryKey,
      salt: randomBytes(32),
    });
  }
  const ask = (at: number, transaction: Transaction, mode: "write" | "read" = "write"): Promise<NotaryAnswer> => {
    const request = { vnode: vnodes[at % 2] as ShortHash, originator: alice.name, filtered: filterForNotary(transaction), mode };
    return (workers[at % 2] as Role).service.notarise(request, { role: "flow" });
  };
  const issued = async (): Promise<string> => {
    const transaction = build([]);
    assert.equal((await ask(0, transaction)).kind, "accepted");
    return stateRef(transaction.id, 0);
  };

  test("of two spenders of a state, each at another worker and virtual node, one wins, and both workers say so for ever", async () => {
    for (let round = 0; round < 10; round++) {
      const state = await issued();
      const rivals = [build([state]), build([state], alice)];
      const answers = await Promise.all(rivals.map((transaction, i) => ask(i, transaction)));
      assert.deepEqual(answers.map(({ kind }) => kind).sort(), ["accepted", "refused"]);
      for (const [i, transaction] of rivals.entries()) {
        const word = checkNotaryWord(transaction, answers[i]?.signature as Uint8Array);
        for (const at of [0, 1]) assert.deepEqual(checkNotaryWord(transaction, (await ask(at, transaction, "read")).signature), word);
      }
    }
  });

  test("one transaction that both workers are asked for at once is accepted once, and each signs the same word", async () => {
    for (let round = 0; round < 10; round++) {
      const transaction = build([await issued()]);
      const answers = await Promise.all([0, 1].map((at) => ask(at, transaction)));
      const [one, other] = answers.map(({ signature }) => checkNotaryWord(transaction, signature));
      assert.deepEqual(one, other);
      assert.equal(one?.kind, "accepted");
    }
  });

  test("a read at the bound and a write in flight agree", async () => {
    for (let round = 0; round < 10; round++) {
      const transaction = build([await issued()], bob, [], Date.now() + 5);
      const [written] = await Promise.all([
        ask(0, transaction),
        new Promise((later) => setTimeout(later, 5)).then(() => ask(1, transaction, "read")),
      ]);
      await new Promise((later) => setTimeout(later, 10));
      const decided = await ask(1, transaction, "read");
      assert.notEqual(decided.kind, "retry");
      if (written.kind !== "retry") assert.equal(written.kind, decided.kind);
      assert.equal((await ask(0, transaction)).kind, decided.kind);
    }
  });

  test("a worker whose own clock is off decides by the database's", async () => {
    for (const [offMs, until, expected] of [
      [-10_000, -5_000, "notary.timeWindowOutOfBounds"],
      [10_000, 5_000, ""],
    ] as const) {
      const off = worker(undefined, { ...systemClock, now: () => Date.now() + offMs });
      const transaction = build([], bob, [], Date.now() + until);
      const filtered = filterForNotary(transaction);
      const request = { vnode: vnodes[0] as ShortHash, originator: alice.name, filtered, mode: "write" as const };
      assert.equal((await off.service.notarise(request, { role: "flow" })).code, expected);
      await off.close();
    }
  });

  test("who asks for more than its share hears when to come again, and nothing was done; others are served", async () => {
    const strict = worker({ unitsPerSecond: 1, unitsAtOnce: 2 });
    const asked = (originator: typeof alice.name, transaction: Transaction) =>
      strict.service.notarise(
        { vnode: vnodes[0] as ShortHash, originator, filtered: filterForNotary(transaction), mode: "write" },
        { role: "flow" },
      );
    const [one, two, three] = [build([]), build([]), build([])];
    assert.equal((await asked(alice.name, one)).kind, "accepted");
    assert.equal((await asked(alice.name, two)).kind, "accepted");
    const refused = await asked(alice.name, three);
    assert.deepEqual([refused.kind, refused.code], ["retry", "notary.quotaExceeded"]);
    assert.ok((refused.retryAfterMs ?? 0) > 0);
    assert.equal((await ask(0, three, "read")).code, "notary.notPreviouslySeen");
    assert.equal((await asked(bob.name, three)).kind, "accepted");
    await strict.close();
  });

  test("a flood of one requester is told so before anything is looked at, and delays nobody else", async () => {
    const [source, schemaVersion] = ['{"quota":{"unitsPerSecond":10,"unitsAtOnce":10}}', { major: 1, minor: 0 }];
    await cluster.calls.for("rest").db.changeConfig({ section: "bowline.notary", version: 0, schemaVersion, source, actor: "tests" });
    const strict = worker(null);
    const vnode = vnodes[0] as ShortHash;
    const junk = { vnode, originator: network.parties.carol.name, filtered: new Uint8Array(3_000), mode: "write" as const };
    const flood = Array.from({ length: 5_000 }, () => strict.service.notarise(junk, { role: "flow" }));
    const honest = build([]);
    const request = { vnode, originator: alice.name, filtered: filterForNotary(honest), mode: "write" as const };
    assert.equal((await strict.service.notarise(request, { role: "flow" })).kind, "accepted");
    const codes = new Map<string, number>();
    for (const { code, retryAfterMs = 0 } of await Promise.all(flood)) {
      codes.set(code, (codes.get(code) ?? 0) + 1);
      assert.equal(retryAfterMs > 0, code === "notary.quotaExceeded");
    }
    assert.deepEqual([...codes.keys()], ["notary.malformedRequest", "notary.quotaExceeded"]);
    const looked = codes.get("notary.malformedRequest") ?? 0;
    assert.ok(looked >= 10 && looked < 1_000, `${looked} were looked at`);
    await strict.close();
  });

  const states = (after: string | null) =>
    (workers[0] as Role).service.states({ vnode: vnodes[0] as ShortHash, after, limit: 7 }, { role: "rest" });

  async function exported(name: string): Promise<string> {
    const { service } = workers[0] as Role;
    const {
      groupId,
      service: notary,
      keys,
      entries,
    } = await service.history({ vnode: vnodes[0] as ShortHash, after: 0, limit: 1_000 }, { role: "rest" });
    const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
    const lines = [
      { format: "bowline-notary-history/1", groupId, service: notary, keys, states: true },
      ...entries.map(({ seq, head, decisions, seal }) => ({ seq, head: base64(head), decisions: base64(decisions), seal: base64(seal) })),
    ];
    for (let page = await states(null); page.length > 0; page = await states(page.at(-1)?.ref ?? null)) lines.push(...(page as never[]));
    const file = join(cluster.folder, name);
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    return file;
  }
  const audit = (...args: readonly string[]) =>
    JSON.parse(
      spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", AUDIT, ...args], { encoding: "utf8" }).stdout,
    ) as Record<string, unknown>;

  test("the history of all this holds, and continues an earlier one; a database that was doctored is found out", async () => {
    const first = audit("--file", await exported("first"));
    assert.equal(first["event"], "audited", JSON.stringify(first));
    assert.equal(Object.keys(first["sealedBy"] as object).length, 2, "both virtual nodes have sealed");
    const state = await issued();
    assert.equal((await ask(0, build([state]))).kind, "accepted");
    const continues = `${first["entries"]}:${first["head"]}`;
    assert.equal(audit("--file", await exported("second"), "--continues", continues)["event"], "audited");
    assert.equal(audit("--file", join(cluster.folder, "first"), "--key", "SHA-256:00")["event"], "failed");

    const root = openDatabase({ ...cluster.administrator, connectionsMax: 1 });
    const [schema] = await root.sql.query<{ name: string }>("SELECT nspname AS name FROM pg_namespace WHERE nspname LIKE 'vnode_uniq_%'");
    const table = `${schema?.name}.uniqueness_state_details`;
    await root.sql.query(`UPDATE ${table} SET consuming_tx_id = NULL, consuming_tx_id_algo = NULL`);
    assert.match(String(audit("--file", await exported("forgetful"))["message"]), /is unspent, and the log has it consumed by/);
    assert.equal((await ask(1, build([state], alice))).kind, "accepted", "the notary was made to forget");
    const found = audit("--file", await exported("doctored"));
    assert.equal(found["event"], "failed");
    assert.match(String(found["message"]), new RegExp(`entry \\d+, transaction .*: it spends ${state}, which was spent before`));
    await root.sql.query(`DELETE FROM ${schema?.name}.uniqueness_log WHERE seq = 3`);
    await root.close();
    assert.match(String(audit("--file", await exported("gap"))["message"]), /entry 4: it follows entry 2/);
  });
});
