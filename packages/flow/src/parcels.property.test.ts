// Whatever is lost, repeated, overtaken or killed: payloads in parts arrive whole and in order, no inbox holds more than the
// window of its session, what was said before a failure is read before it, and an awaited close tells how the other side ended.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Data } from "@bowline/base";
import { type CordappDefinition, FlowError, flow, responder, type Session } from "@bowline/sdk";
import fc from "fast-check";
import * as Type from "typebox";
import { PART_BYTES_MAX, WINDOW_MESSAGES_MAX } from "./limits.ts";
import { responderFlowId } from "./messages.ts";
import { BOB, digest, type Faults, seeded, Trial, vnodeOf } from "./trial.memory.ts";

const SHIP = { name: "ship", versions: [1] };
const SMALL = [1, 10, 1_000];
const LARGE = [70_000, PART_BYTES_MAX, 3 * PART_BYTES_MAX + 1];

const Ending = Type.Union([Type.Literal("closes"), Type.Literal("fails"), Type.Literal("says more")]);
type Ending = Type.Static<typeof Ending>;

const parcelOf = (bytes: number, salt: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, index) => (index + salt) & 255);
const sumOf = (parcel: Uint8Array): number => parcel.reduce((sum, byte, index) => (sum * 31 + byte + index) % 1_000_003, 0);

async function ship(session: Session, rush: number, parcels: readonly number[], ending: Ending): Promise<Data> {
  for (let n = 0; n < rush; n++) await session.send(n);
  for (const [salt, bytes] of parcels.entries()) await session.send(parcelOf(bytes, salt));
  await session.send(ending);
  const receipt = await session.receive(Type.Array(Type.Integer()));
  const closed = await session.close().then(
    () => "closed",
    (thrown: FlowError) => thrown.details["type"] ?? thrown.type,
  );
  return [receipt, closed];
}

const Work = { rush: Type.Integer(), parcels: Type.Array(Type.Integer()), ending: Ending };
const Shipper = flow({
  name: "Shipper",
  startable: true,
  initiates: SHIP,
  input: Type.Object(Work),
  call: async (ctx, { rush, parcels, ending }) => ship(await ctx.initiate(BOB), rush, parcels, ending),
});

const slow = (slowMs: number) =>
  responder({
    name: "Receiver",
    answers: SHIP,
    async call(ctx, session) {
      const receipt: number[] = [];
      for (;;) {
        const word = await session.receive(Type.Union([Type.Integer(), Type.Unsafe<Uint8Array>(Type.Unknown())]));
        if (slowMs > 0 && receipt.length % 16 === 0) await ctx.sleep(slowMs);
        if (typeof word === "number") receipt.push(word);
        else if (word instanceof Uint8Array) receipt.push(sumOf(word));
        else {
          await session.send(receipt);
          if (word === "fails") throw new FlowError("ship.sunk", "With all hands.");
          if (word === "says more") return session.send("P.S.");
          await session.receive(Type.Null()).catch((thrown: FlowError) => assert.equal(thrown.type, "session.closed"));
          return;
        }
      }
    },
  });

const CLOSES: Readonly<Record<Ending, string>> = { closes: "closed", fails: "ship.sunk", "says more": "session.unread" };
const app = (...flows: CordappDefinition["flows"]): CordappDefinition => ({ flows, states: [], contracts: [] });

interface Day {
  readonly seed: number;
  readonly rush: number;
  readonly parcels: readonly number[];
  readonly ending: Ending;
  readonly slowMs: number;
  readonly workers: number;
  readonly crashEvery: number;
  readonly faults: Partial<Faults>;
}

async function live({ seed, rush, parcels, ending, slowMs, crashEvery, ...day }: Day): Promise<void> {
  const trial = new Trial({ seed, cordapp: app(Shipper, slow(slowMs)), faults: day.faults });
  const chance = seeded(seed + 1);
  const workers = await Promise.all(Array.from({ length: day.workers }, (_, index) => trial.worker(`w${index}`)));
  trial.onCommit = (count) => {
    if (crashEvery === 0 || count % crashEvery !== 0) return;
    workers.splice(Math.floor(chance() * workers.length), 1)[0]?.crash();
    void trial.worker(`after ${count}`).then((worker) => workers.push(worker));
  };
  const id = await trial.start("Shipper", { rush, parcels: [...parcels], ending });
  const answering = responderFlowId(`${id}:1`, digest);
  const bobs = trial.stores[vnodeOf(BOB)];
  // Parts of the payload that is next count as read: they are there beside the window.
  const inboxMax = WINDOW_MESSAGES_MAX + Math.ceil(Math.max(0, ...parcels) / PART_BYTES_MAX) + 1;
  await trial.until(async () => {
    const inbox = (await bobs?.inspect(answering))?.inbox ?? 0;
    assert.ok(inbox <= inboxMax, `${inbox} messages lie in one inbox`);
    return (await trial.row(id)).outcome !== null;
  }, 3_600_000);
  const receipt = [...Array.from({ length: rush }, (_, n) => n), ...parcels.map((bytes, salt) => sumOf(parcelOf(bytes, salt)))];
  assert.deepEqual((await trial.row(id)).outcome, { ok: [receipt, CLOSES[ending]] });
  assert.equal((await trial.finished(answering, BOB)).status, ending === "fails" ? "FAILED" : "COMPLETED");
  trial.onCommit = undefined;
  trial.faults = { ...trial.faults, drop: 0, fibersLost: 0, commitAnswerLost: 0, commitUnavailable: 0 };
  await trial.run(300_000);
  for (const store of Object.values(trial.stores)) assert.deepEqual(await store.unacknowledged(trial.now + 120_000, 100), []);
  assert.equal((await bobs?.inspect(answering))?.inbox, 0);
}

const chanceOf = (max: number) => fc.double({ min: 0, max, noNaN: true });
const days: fc.Arbitrary<Day> = fc.record({
  seed: fc.nat(),
  rush: fc.constantFrom(0, 0, 3, 20, WINDOW_MESSAGES_MAX + 20),
  parcels: fc.array(fc.constantFrom(...SMALL, ...LARGE), { maxLength: 3 }),
  ending: fc.constantFrom("closes", "closes", "fails", "says more"),
  slowMs: fc.constantFrom(0, 100, 5_000),
  workers: fc.integer({ min: 1, max: 2 }),
  crashEvery: fc.constantFrom(0, 5, 9, 17),
  faults: fc.record({
    drop: chanceOf(0.3),
    repeat: chanceOf(0.3),
    delayMs: fc.constantFrom(0, 50, 2_000),
    commitUnavailable: chanceOf(0.2),
    commitAnswerLost: chanceOf(0.2),
    fibersLost: chanceOf(0.05),
  }),
});

const RUNS = Math.ceil(Number(process.env.BOWLINE_PROPERTY_RUNS ?? 40) / 4);

test("on a bad day parcels arrive whole and in order, within the window, and every end is told as it was", async () => {
  await fc.assert(
    fc.asyncProperty(days, (day) => live(day)),
    { numRuns: RUNS, endOnFailure: true },
  );
});
