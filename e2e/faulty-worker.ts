// A worker as `host/src/main.ts` runs it, on a bus that it shares, with a fault: BOWLINE_E2E_FAULT names the point at which
// it dies (`commit.after:3`, the third time that it gets there) or how its bus misbehaves. It dies as by kill -9.
//
// SIGUSR2 brings the first session message that it sent once more, however long ago that was.

import { type Bus, type BusRecord, type Data, decode } from "../packages/base/src/index.ts";
import { createLog, systemClock } from "../packages/host/src/adapters/system.ts";
import { compose, ROLES_HERE } from "../packages/host/src/compose.ts";

type Through = NonNullable<Parameters<typeof compose>[0]["through"]>;
type Persistence = Parameters<NonNullable<Through["persistence"]>>[0];

const [fault = "", times = "1"] = (process.env["BOWLINE_E2E_FAULT"] ?? "").split(":");
let countdown = Number(times);
/** True the one time that it is to happen. */
const isTime = (): boolean => --countdown === 0;

function die(): Promise<never> {
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => {});
}

const isSession = ({ topic }: BusRecord): boolean => topic === "flow.session";
const isInit = (record: BusRecord): boolean => isSession(record) && (decode(record.value) as { init?: unknown }).init !== undefined;

const onPersistence = (change: (service: Persistence) => Partial<Persistence>): Through => ({
  persistence: (service) => ({ ...service, ...change(service) }),
});
const onPublish = (publish: (bus: Bus, records: readonly BusRecord[]) => Promise<void>): Through => ({
  bus: (bus) => ({ ...bus, publish: (records) => publish(bus, records) }),
});

/** Its rows are locked, and nothing is committed. */
const inTheMiddleOfABatch: Through = {
  crypto: (service) => ({
    ...service,
    sign: (...asked) => (asked[0].purpose === "notary" && isTime() ? die() : service.sign(...asked)),
  }),
};
const beforeTheNotarysAnswer: Through = {
  uniqueness: (service) => ({
    ...service,
    async notarise(...asked) {
      const answer = await service.notarise(...asked);
      return answer.signature.length > 0 && isTime() ? die() : answer;
    },
  }),
};

/** Of the ledger's commits: who has written so died before anybody heard of it. */
const afterWriting = (kind: string): Through =>
  onPersistence(({ commit }) => ({
    async commit(...asked) {
      const outcome = await commit(...asked);
      return asked[0].commit.vaultWrites.some((write) => kindOf(write) === kind) && isTime() ? die() : outcome;
    },
  }));
const afterSending = (kind: string): Through =>
  onPublish(async (bus, records) => {
    await bus.publish(records);
    if (records.some((record) => isSession(record) && kindOf(payloadOf(record)) === kind) && isTime()) await die();
  });
const payloadOf = ({ value }: BusRecord): Data | undefined =>
  (decode(value) as { readonly body?: { readonly payload?: Data } }).body?.payload;
const kindOf = (value: Data | undefined): unknown => (value as { readonly kind?: unknown } | null | undefined)?.kind;
const beforeTheClaimsAnswer: Through = {
  tokens: (service) => ({
    ...service,
    async claim(...asked) {
      const outcome = await service.claim(...asked);
      return outcome.kind === "claimed" && isTime() ? die() : outcome;
    },
  }),
};

const FAULTS: Readonly<Record<string, Through>> = {
  "": {},
  "start.before": onPersistence(({ startFlow }) => ({ startFlow: (...asked) => (isTime() ? die() : startFlow(...asked)) })),
  "start.after": onPublish((bus, records) => (records.some((record) => !isSession(record)) && isTime() ? die() : bus.publish(records))),
  "commit.before": onPersistence(({ commit }) => ({
    commit: (...asked) => (asked[0].commit.outboxAdded.length > 0 && isTime() ? die() : commit(...asked)),
  })),
  "commit.after": onPersistence(({ commit }) => ({
    async commit(...asked) {
      const outcome = await commit(...asked);
      return asked[0].commit.outboxAdded.length > 0 && isTime() ? die() : outcome;
    },
  })),
  "relay.after": onPublish(async (bus, records) => {
    await bus.publish(records);
    if (records.some(isSession) && isTime()) await die();
  }),
  "notary.sealing": inTheMiddleOfABatch,
  "notary.answering": beforeTheNotarysAnswer,
  "unverified.after": afterWriting("unverified"),
  "signatures.sent": afterSending("signatures"),
  "verified.after": afterWriting("verified"),
  "claim.answering": beforeTheClaimsAnswer,
  "init.twice": onPublish((bus, records) => bus.publish(records.flatMap((record) => (isInit(record) ? [record, record] : [record])))),
  // A close overtakes the data before it, and an answer the one before.
  "out-of-order": onPublish(async (bus, records) => {
    const late = records.filter((record) => isSession(record) && Math.random() < 0.5);
    setTimeout(() => void bus.publish(late).catch(() => {}), 300);
    await bus.publish(records.filter((record) => !late.includes(record)));
  }),
};

const say = (line: Readonly<Record<string, unknown>>): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
const log = createLog({ level: "info" });
const chosen = FAULTS[fault];
if (chosen === undefined) throw new Error(`there is no fault ${fault}`);
let first: BusRecord | undefined;
const worker = await compose({
  roles: ROLES_HERE,
  home: process.argv[2] ?? "",
  bus: "postgres",
  listen: { host: "127.0.0.1" },
  environment: process.env,
  log,
  progress: () => {},
  onUnstoppable: () => process.exit(1),
  onDatabaseLost: () => process.exit(1),
  through: {
    ...chosen,
    bus(bus) {
      const faulty = chosen.bus?.(bus) ?? bus;
      process.on("SIGUSR2", () => void (first === undefined ? undefined : bus.publish([first])));
      return {
        ...faulty,
        publish(records) {
          first ??= records.find(isInit);
          return faulty.publish(records);
        },
      };
    },
  },
});
process.on("SIGTERM", () => {
  systemClock.after(20_000, () => process.exit(1));
  void worker.stop().then(() => process.exit(0));
});
say({ url: worker.url, caFile: worker.caFile, user: worker.user });
