// Writes e2e/journals/obligation.issue-under-way.json: a flow whose platform child is half done, as an upgrade would find it. The other
// journals there come from `bowline flow journal --export` on a real network; this one is caught in the test kit, where a moment can be
// chosen. Run it when the bytes of a transaction change on purpose, before a release; after one, old journals must replay as they are.

import { writeFile } from "node:fs/promises";
import { type Data, invariant, parseName } from "@bowline/base";
import type { StepCommit } from "@bowline/flow";
import { recordingOf } from "@bowline/flow/recording";
import type { CordappBundle } from "@bowline/sdk";
import { NO_FAULTS, World } from "@bowline/testing/world";

// Examples are no part of the tools: what they export is known by its type.
const cordapps = await Promise.all(
  ["contract", "workflow"].map(
    async (part) => ((await import(`../examples/obligation/src/${part}/index.ts`)) as { cordapp: CordappBundle }).cordapp,
  ),
);
const member = (name: string, isNotary = false) => ({
  name: parseName(`O=${name}, L=London, C=GB`),
  cordapps: isNotary ? [] : cordapps,
  isNotary,
});
const world = await World.create({
  seed: 1,
  startsAt: Date.UTC(2030, 0, 1),
  members: [member("Alice"), member("Bob"), member("Notary", true)],
  faults: NO_FAULTS,
});
const alice = world.places.get(parseName("O=Alice, L=London, C=GB"));
invariant(alice !== undefined, "Alice is there");
/** What each step asked is in the commits. */
const journal: StepCommit["journal"][number][] = [];
world.onCommit = (name, commit) => void (name === alice.party.name && journal.push(...commit.journal));
// Her counterparty is away, so that her own half of finality is all that is done.
world.crash(parseName("O=Bob, L=London, C=GB"));
const input = { id: "AL-2", amount: "1", dueDate: "2035-06-30", creditor: "O=Bob, L=London, C=GB", currency: "EUR" };
const bundle = alice.party.packages.find(({ bundle: { manifest } }) => manifest.flows.length > 0)?.fileChecksum;
invariant(bundle !== undefined, "one of her packages has flows");
const started = await world.start(alice.party.name, {
  flowName: "com.example.obligation.IssueObligation",
  bundle,
  input: input as Data,
  requestId: "under way",
});
invariant(started.kind !== "conflict", "the flow is new");
await world.time.wait(() => false, world.time.now + 5_000);
const [snapshot] = await alice.storage.flows.load([started.row.id]);
invariant(snapshot?.row.status === "RUNNING", "the flow is under way");
const file = new URL("../e2e/journals/obligation.issue-under-way.json", import.meta.url);
await writeFile(
  file,
  `${JSON.stringify(recordingOf({ row: snapshot.row, journal: journal.filter(({ path }) => snapshot.journal.some((kept) => kept.path === path)) }), null, 2)}\n`,
);
process.exit(0);
