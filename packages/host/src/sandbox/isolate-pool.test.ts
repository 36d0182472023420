import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { BowlineError, parseName, type SecureHash, secureHash } from "@bowline/base";
import type { Fibers } from "@bowline/flow";
import { type Delivery, type FiberReport, type FiberStart, NO_PROPERTIES, type Outcome, type Syscall } from "@bowline/sdk";
import { createIsolatePool, type IsolatePool } from "./isolate-pool.ts";
import { silent, stopOf } from "./probe.ts";
import { sampleBundle } from "./sample-bundle.ts";

const checksum = (byte: number): SecureHash => secureHash(new Uint8Array(32).fill(byte));
const CPK = checksum(1);
const pools: IsolatePool[] = [];
const poolOf = (isolatesMax?: number): IsolatePool => {
  const pool = createIsolatePool({
    bundle: () => sampleBundle(),
    log: silent,
    onUnstoppable: () => {},
    ...(isolatesMax === undefined ? {} : { isolatesMax }),
  });
  pools.push(pool);
  return pool;
};
after(() => Promise.all(pools.map((pool) => pool.close())));

const startOf = (flow: string, flowId: string, input: object = {}): FiberStart => ({
  kind: "called",
  fiber: `${flowId}/`,
  path: "",
  flow: `com.example.${flow}`,
  identity: { flowId, me: parseName("O=Alice, L=London, C=GB"), groupId: "group", properties: NO_PROPERTIES },
  input: input as never,
});
const answer = (flowId: string, path: string, outcome: Outcome): Delivery => ({ fiber: `${flowId}/`, path, outcome });
const start = (fibers: Fibers, ...starts: FiberStart[]) => fibers.activate({ starts, deliveries: [] });
const deliver = (fibers: Fibers, ...deliveries: Delivery[]) => fibers.activate({ starts: [], deliveries });
const asked = (report: FiberReport | undefined) => report?.syscalls.map(({ path, call }) => `${path} ${call.kind}`);

describe("activations of an author's bundle", () => {
  test("a flow runs from step to step to its result", async () => {
    const fibers = await poolOf().fibers(CPK);
    assert.deepEqual(asked((await start(fibers, startOf("Steps", "f1", { label: "L" })))[0]), ["1 clock.now"]);
    const [second] = await deliver(fibers, answer("f1", "1", { ok: 5 }));
    assert.deepEqual(asked(second), ["2 clock.now", "3 random"]);
    const both = [answer("f1", "2", { ok: 6 }), answer("f1", "3", { ok: new Uint8Array(16) })];
    const [last] = await deliver(fibers, ...both);
    assert.deepEqual(last?.logs, [{ level: "info", message: "stepped", facts: { label: "L" } }]);
    assert.match(String(last?.finished && "ok" in last.finished && last.finished.ok), /^L 5 6 00000000-0000-4/);
  });

  test("many flows live in one isolate and do not mix", async () => {
    const fibers = await poolOf().fibers(CPK);
    const ids = Array.from({ length: 50 }, (_, i) => `f${i}`);
    await start(fibers, ...ids.map((id) => startOf("Steps", id, { label: id })));
    await deliver(fibers, ...ids.map((id, i) => answer(id, "1", { ok: i })));
    const reports = await deliver(
      fibers,
      ...ids.toReversed().flatMap((id, i) => [answer(id, "3", { ok: new Uint8Array(16) }), answer(id, "2", { ok: i })]),
    );
    const results = new Map(reports.map(({ fiber, finished }) => [fiber, finished && "ok" in finished ? String(finished.ok) : ""]));
    for (const [i, id] of ids.entries()) assert.ok(results.get(`${id}/`)?.startsWith(`${id} ${i} ${49 - i} `));
  });

  test("names leave canonical, and a failure arrives as the author's to catch", async () => {
    const fibers = await poolOf().fibers(CPK);
    const [opened] = await start(fibers, startOf("Ping", "f1", { peer: "C=IT, O=Bob,L=Rome" }));
    assert.deepEqual(opened?.syscalls[0]?.call, {
      kind: "session.open",
      counterparty: "O=Bob, L=Rome, C=IT",
      protocol: { name: "com.example.ping", versions: [1] },
    });
    const [failed] = await deliver(fibers, answer("f1", "1", { error: { type: "session.refused", message: "no" } }));
    assert.deepEqual(failed?.finished, { error: { type: "session.refused", message: "no", details: {} } });
  });

  test("author code may not ask what only the platform may: its flow fails, its neighbours go on", async () => {
    const fibers = await poolOf().fibers(CPK);
    const reports = await start(fibers, startOf("Forbidden", "bad"), startOf("Steps", "good", { label: "L" }));
    const [bad, good] = ["bad/", "good/"].map((fiber) => reports.find((report) => report.fiber === fiber));
    assert.equal(bad?.finished && "error" in bad.finished && bad.finished.error.type, "sandbox.answerInvalid");
    assert.deepEqual(bad?.syscalls, []);
    assert.deepEqual(asked(good), ["1 clock.now"]);
  });

  test("a delivery to a fiber that does not live there is refused as gone", async () => {
    const fibers = await poolOf().fibers(CPK);
    await assert.rejects(deliver(fibers, answer("f1", "1", { ok: 1 })), { code: "sandbox.gone", kind: "unavailable" });
  });

  test("where code threw is said in places of the bundle, and of nothing else", async () => {
    const fibers = await poolOf().fibers(CPK);
    const thrown = async (how: string): Promise<FiberReport | undefined> => {
      await start(fibers, startOf("Throw", how, { how }));
      return (await deliver(fibers, answer(how, "1", { ok: 1 })))[0];
    };
    const bug = await thrown("bug");
    const places = (bug?.stack ?? "").split("\n");
    assert.match(places[0] ?? "", /^ *at payNobody \(.*cordapp\.js:\d+:\d+\)$/);
    for (const place of places) assert.match(place, /^ *at [^/]*\bcordapp\.js:\d+:\d+\)?$/);
    assert.deepEqual(Object.keys(bug ?? {}).sort(), ["fiber", "finished", "logs", "stack", "syscalls"]);
    assert.equal((await thrown("nothing"))?.stack, undefined);
    assert.doesNotMatch((await thrown("forged"))?.stack ?? "", /secret/);
  });

  test("a dropped fiber is forgotten", async () => {
    const fibers = await poolOf().fibers(CPK);
    await start(fibers, startOf("Steps", "f1", { label: "L" }));
    fibers.drop("f1/");
    await assert.rejects(deliver(fibers, answer("f1", "1", { ok: 1 })), { code: "sandbox.gone" });
  });
});

describe("many bytes", () => {
  /** Nobody is to blame where the machine gives a run too little of its processor: the engine runs it again. */
  async function exchanged(megabytes: number): Promise<FiberReport | undefined> {
    const pool = poolOf();
    for (;;) {
      try {
        const fibers = await pool.fibers(CPK);
        await start(fibers, startOf("Bulk", "f1", { peer: "O=Bob, L=Rome, C=IT", megabytes }));
        const [sent] = await deliver(fibers, answer("f1", "1", { ok: "s" }));
        const [step] = sent?.syscalls ?? [];
        if (step === undefined) return sent;
        const { sends } = step.call as Extract<Syscall, { kind: "session.exchange" }>;
        const [{ payload } = { payload: null }] = sends;
        assert.ok(payload instanceof Uint8Array && payload.length === megabytes * 2 ** 20);
        for (let i = 0; i < payload.length; i += 4_097)
          if (payload[i] !== (i % 4_096 === 0 ? (i >> 12) % 256 : 0)) assert.fail(`byte ${i}`);
        const [ended] = await deliver(fibers, answer("f1", "2", { ok: [payload] }));
        return ended;
      } catch (cause) {
        if (!(cause instanceof BowlineError && cause.code === "sandbox.starvedLimit")) throw cause;
      }
    }
  }

  for (const megabytes of [1, 64])
    test(`a flow sends and receives ${megabytes} MiB at once`, async () => {
      assert.deepEqual((await exchanged(megabytes))?.finished, { ok: megabytes * 2 ** 20 });
    });
});

describe("a broken limit", () => {
  test("a flow that never pauses rejects its activation, and the next fibers are others", async () => {
    const pool = poolOf();
    let fibers = await pool.fibers(CPK);
    const stop = await stopOf(async () => {
      fibers = await pool.fibers(CPK);
      await start(fibers, startOf("Loop", "f1"), startOf("Steps", "f2", { label: "L" }));
      await deliver(fibers, answer("f1", "1", { ok: 1 }));
    });
    assert.equal(stop, "sandbox.timeLimit");
    await assert.rejects(deliver(fibers, answer("f2", "1", { ok: 1 })), { code: "sandbox.gone" });
    const next = await pool.fibers(CPK);
    assert.notEqual(next, fibers);
    assert.deepEqual(asked((await start(next, startOf("Steps", "f2", { label: "L" })))[0]), ["1 clock.now"]);
  });

  test("after a memory breach only the flow that hoards is to blame", async () => {
    const pool = poolOf();
    const first = await pool.fibers(CPK);
    // Several flows fill the heap together; an innocent one stands by. Whoever comes last must not be blamed for the heap of all.
    await start(first, startOf("Steps", "innocent", { label: "L" }));
    let blamed: unknown;
    for (let flow = 1; flow <= 200; flow++) {
      const id = `f${flow}`;
      try {
        await start(first, startOf("Hoard", id, { megabytes: 4 }));
      } catch (cause) {
        blamed = cause;
        break;
      }
    }
    assert.ok(blamed instanceof BowlineError && blamed.code === "sandbox.gone" && blamed.kind === "unavailable", String(blamed));
    const second = await pool.fibers(CPK);
    assert.notEqual(second, first);
    assert.deepEqual(asked((await start(second, startOf("Steps", "innocent", { label: "L" })))[0]), ["1 clock.now"]);
    assert.deepEqual(asked((await start(second, startOf("Hoard", "f1", { megabytes: 5 })))[0]), ["1 clock.now"]);
    await assert.rejects(start(second, startOf("Hoard", "f2", { megabytes: 2_000 })), { kind: "internal" });
  });
});

describe("warm isolates", () => {
  test("one per bundle, made once, the least recently used makes room", async () => {
    const pool = poolOf(2);
    const [one, same, two] = await Promise.all([pool.fibers(checksum(1)), pool.fibers(checksum(1)), pool.fibers(checksum(2))]);
    assert.equal(one, same);
    assert.notEqual(one, two);
    await start(one, startOf("Steps", "f1", { label: "L" }));
    await start(two, startOf("Steps", "f2", { label: "L" }));
    await pool.fibers(checksum(1));
    await pool.fibers(checksum(3));
    assert.equal(await pool.fibers(checksum(1)), one);
    await assert.rejects(deliver(two, answer("f2", "1", { ok: 1 })), { code: "sandbox.gone" });
  });

  test("one that runs makes no room", async () => {
    const pool = poolOf(1);
    const one = await pool.fibers(checksum(1));
    const running = start(one, startOf("Steps", "f1", { label: "L" }));
    await pool.fibers(checksum(2));
    assert.deepEqual(asked((await running)[0]), ["1 clock.now"]);
  });

  test("what could not be made is tried again", async () => {
    let fails = true;
    const pool = createIsolatePool({
      log: silent,
      onUnstoppable: () => {},
      bundle: async () => {
        if (fails) throw new Error("down");
        return sampleBundle();
      },
    });
    pools.push(pool);
    await assert.rejects(pool.contracts(CPK), /down/);
    fails = false;
    assert.ok((await pool.contracts(CPK)).isAlive);
  });
});
