// How long a newcomer takes to verify a state's past: a chain of transactions that another member holds, fetched in pages and
// verified from the first on. Flows, engine and vaults are the product's, each vault in a PostgreSQL with fsync on; both members,
// and the contracts, run in this one process.

import Type from "typebox";
import { type Data, encode, parseName } from "../packages/base/src/index.ts";
import { keyIdOf, SCHEMES, schemeOf, sha256, signSync } from "../packages/crypto/src/index.ts";
import { GROUP, stateRef } from "../packages/ledger/src/leaves.ts";
import { batchOf, transactionPreimage } from "../packages/ledger/src/signatures.ts";
import {
  decodeSigned,
  encodeSigned,
  resolvedOutput,
  type SignedTransaction,
  type Transaction,
  transactionOf,
} from "../packages/ledger/src/transaction.ts";
import { concludeVerification, planVerification, type VerificationReply } from "../packages/ledger/src/verification.ts";
import { contract, cordapp, flow, responder, state, transaction } from "../packages/sdk/src/index.ts";
import { NO_FAULTS } from "../packages/testing/src/faults.ts";
import { ONE_NOTARY } from "../packages/testing/src/members.ts";
import { VERDICT_KEY } from "../packages/testing/src/roles.ts";
import { World } from "../packages/testing/src/world.ts";
import { type PostgresStorage, postgresStorage } from "../sim/postgres.ts";
import { type Result, round } from "./result.ts";

const FULL = 10_000;
const QUICK = 1_000;
/** Written in one commit while the chain is made. */
const PLANTED_AT_ONCE = 100;
const HOLDER = parseName("O=Holder, L=London, C=GB");
const NEWCOMER = parseName("O=Newcomer, L=London, C=GB");
const NOTARY = parseName("O=Notary, L=London, C=GB");
const PROTOCOL = { name: "bench.show", versions: [1] };

const Note = state({
  name: "bench.Note",
  version: 1,
  contract: "bench.NoteContract",
  schema: Type.Object({ owner: Type.String(), amount: Type.Integer(), text: Type.String() }),
  participants: ({ owner }) => [owner],
});
const NoteContract = contract({ name: "bench.NoteContract", commands: { Move: Type.Object({}) }, verify() {} });
const Begin = flow({
  name: "bench.Begin",
  startable: true,
  input: Type.Object({ key: Type.String() }),
  call: async (context, { key }) => {
    const [notary] = await context.notaries.all();
    const proposal = transaction()
      .notary(notary?.name ?? "")
      .until((await context.now()) + 60_000)
      .output(Note, { owner: key, amount: 5, text: "x".repeat(200) })
      .command(NoteContract, "Move")
      .signedBy(key)
      .build();
    return (await context.ledger.finalize(await context.ledger.sign(proposal), [])).id;
  },
});
const Show = flow({
  name: "bench.Show",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ id: Type.String(), to: Type.String() }),
  call: async (context, { id, to }) => context.ledger.sendTransaction({ id }, [await context.initiate(to)]),
});
const See = responder({
  name: "bench.See",
  answers: PROTOCOL,
  call: async (context, session) => void (await context.ledger.receiveTransaction(session)),
});

export async function benchChain({ quick, say }: How): Promise<Result[]> {
  const length = quick ? QUICK : FULL;
  const whole = await resolve({ length, verifies: false, say });
  // Nothing depends on how long it is: the notary's word on its end is all that comes.
  const checkpointed = await resolve({ length: QUICK, verifies: true, say });
  return [
    { metric: "chain.resolve", value: round(whole.seconds), unit: "s" },
    { metric: "chain.resolve.per_second", value: round(length / whole.seconds), unit: "1/s" },
    { metric: "chain.resolve.cpu", value: round(whole.cpuSeconds), unit: "s" },
    { metric: "chain.resolve.more_memory", value: round(whole.moreMemoryMb), unit: "MB" },
    { metric: "chain.resolve_checkpointed", value: round(checkpointed.seconds), unit: "s" },
  ];
}

interface How {
  readonly quick: boolean;
  readonly say: (text: string) => void;
}

interface Resolved {
  readonly seconds: number;
  /** Of this process: both members, without their PostgreSQL. */
  readonly cpuSeconds: number;
  readonly moreMemoryMb: number;
}

async function resolve({ length, verifies, say }: { length: number; verifies: boolean; say: How["say"] }): Promise<Resolved> {
  const cleaning: (() => Promise<void>)[] = [];
  const app = cordapp({ flows: [Begin, Show, See], states: [Note], contracts: [NoteContract] });
  const world = await World.create({
    seed: 1,
    startsAt: Date.UTC(2030, 0, 1),
    members: [HOLDER, NEWCOMER, NOTARY].map((name) => ({
      name,
      cordapps: name === NOTARY ? [] : [app],
      isNotary: name === NOTARY,
    })),
    notary: { ...ONE_NOTARY, verifies },
    faults: NO_FAULTS,
    storage: () => postgresStorage(cleaning),
  });
  try {
    say(`Making a chain of ${length} transactions …`);
    const tip = await plant(world, length);
    say(verifies ? "Resolving it by the notary's word …" : "Resolving it …");
    const before = process.memoryUsage().rss;
    let peak = before;
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss);
    }, 100);
    const started = performance.now();
    const cpu = process.cpuUsage();
    await run(world, Show.name, { id: tip, to: NEWCOMER });
    const { user, system } = process.cpuUsage(cpu);
    clearInterval(watch);
    return {
      seconds: (performance.now() - started) / 1_000,
      cpuSeconds: (user + system) / 1e6,
      moreMemoryMb: (peak - before) / 1024 / 1024,
    };
  } finally {
    await world.close();
    await Promise.all(cleaning.map((clean) => clean()));
  }
}

/** The result of a flow of the holder. */
async function run(world: World, flowName: string, input: Data): Promise<Data> {
  const { party } = world.place(HOLDER);
  const bundle = party.packages[0]?.fileChecksum as NonNullable<(typeof party.packages)[0]>["fileChecksum"];
  const { row } = await world.start(HOLDER, { flowName, bundle, input, requestId: flowName });
  await world.time.wait(() => world.isAtRest(row.id));
  const ended = await world.place(HOLDER).storage.flows.byId(row.id);
  if (ended?.outcome === null || ended === undefined || "error" in ended.outcome) throw new Error(JSON.stringify(ended?.outcome));
  return ended.outcome.ok;
}

/** One transaction is made by a flow; those after it are made like it, each of the output of the one before. */
async function plant(world: World, length: number): Promise<string> {
  const { party, storage } = world.place(HOLDER);
  const first = (await run(world, Begin.name, { key: party.publicKey })) as string;
  const [row] = (await storage.readVault({ kind: "transactions", ids: [first] })) as unknown as readonly [{ bytes: Uint8Array }];
  let last: SignedTransaction = decodeSigned(row.bytes);
  let writes: Data[] = [];
  for (let i = 1; i < length; i++) {
    const next = after(world, last.transaction, i);
    const bytes = encodeSigned(next);
    const { verdict, mac, outputs, complete } = verdictOn(world, next, last.transaction);
    if (!complete) throw new Error("a planted transaction does not verify");
    const visible = outputs.map((description, index) => ({ index, ...description }));
    writes.push({ kind: "verified", bytes, verdict, mac, visible } as unknown as Data);
    if (writes.length === PLANTED_AT_ONCE || i === length - 1) {
      await (storage as PostgresStorage).plant(writes);
      writes = [];
    }
    last = next;
  }
  return last.transaction.id;
}

/** As the holder's verification role came to it; whose signatures are valid was known to it, and is not to this process. */
function verdictOn({ membership }: World, signed: SignedTransaction, before: Transaction): VerificationReply {
  const inputs = [resolvedOutput(before, 0) as NonNullable<ReturnType<typeof resolvedOutput>>];
  const manifests = new Map([...membership.packages].map(([checksum, { manifest }]) => [checksum, manifest]));
  const plan = planVerification(signed, { inputs, references: [], groupParameters: membership.parameters.bytes }, manifests);
  const describe = ({ cpk, outputs }: (typeof plan.calls)[number]) => ({
    violations: [],
    outputs: outputs.flatMap((output) => membership.packages.get(cpk)?.describeState(output) ?? []),
  });
  const valid = signed.signatures.map(() => true);
  return concludeVerification(plan, plan.calls.map(describe), valid, VERDICT_KEY);
}

function after(world: World, { groupId, groups, id }: Transaction, n: number): SignedTransaction {
  const moved = groups.map((leaves, group) => (group === GROUP.inputs ? [encode(stateRef(id, 0))] : leaves));
  const next = transactionOf({ groupId, salt: sha256(encode(n)), groups: moved });
  const { party } = world.place(HOLDER);
  const notary = world.place(NOTARY).party;
  const metadata = { timestamp: 0, spec: SCHEMES[schemeOf(party.publicKey)].defaultSpec, platformVersion: 1 } as const;
  const own = { by: keyIdOf(party.publicKey), signature: signSync(party.privateKey, transactionPreimage(next.id, metadata)), metadata };
  const batch = batchOf([{ kind: "accepted", transactionId: next.id, at: 0 }], notary.publicKey, metadata);
  return { transaction: next, signatures: [own, ...batch.sealed(signSync(notary.privateKey, batch.preimage))] };
}
