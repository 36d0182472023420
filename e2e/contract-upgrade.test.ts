// A contract is replaced while states that it made live on: what it once judged is judged by it for ever, also by a member that
// joined later and has only its successor; and what is new by the successor alone. All of it in a group that chose another digest.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { PARTIES } from "../bench/network.ts";
import { parseName, type X500Name } from "../packages/base/src/index.ts";
import { type Connection, connectTo } from "../packages/cli/src/connection.ts";
import { cpiStored, uploadCpi } from "../packages/cli/src/cpi.ts";
import { trustSigner } from "../packages/cli/src/dev-network.ts";
import { staticGroupPolicy } from "../packages/cli/src/group-policy.ts";
import { developmentSigner, packCpi, packProject, stopBundler } from "../packages/cli/src/package-files.ts";
import { requestVirtualNode, virtualNodeReady } from "../packages/cli/src/vnode.ts";
import { startWorker } from "../packages/cli/src/worker.ts";
import { temporaryHome } from "./product.ts";

const TIMEOUT_MS = 300_000;
const WAIT_MS = 60_000;
const DIGEST = "SHA-512";
const [ALICE, BOB] = PARTIES as [X500Name, X500Name];
const NOTARY = parseName("O=Notary, L=Zurich, C=CH");
const SERVICE = parseName("O=Service, L=Zurich, C=CH");

function policy(): string {
  const endpoint = "https://localhost:1080";
  const written = staticGroupPolicy({
    groupId: randomUUID(),
    members: PARTIES,
    notary: { names: [NOTARY], serviceName: SERVICE },
    endpoint,
  });
  const { staticNetwork } = written.protocolParameters;
  const groupParameters = { "ext.bowline.ledger.digest": DIGEST };
  return JSON.stringify({
    ...written,
    protocolParameters: { ...written.protocolParameters, staticNetwork: { ...staticNetwork, groupParameters } },
  });
}

/** Version 2 knows currencies, and lets nobody issue. */
const CONTRACT = (version: number): string => `
import { contract, cordapp, requireThat, state } from "@bowline/sdk";
import { older } from "@bowline/sdk/encoding";
import * as Type from "typebox";
const First = Type.Object({ owner: Type.String(), amount: Type.Integer() });
const Second = Type.Object({ owner: Type.String(), amount: Type.Integer(), currency: Type.String() });
export const Coin = state({
  name: "e2e.Coin", version: ${version}, contract: "e2e.CoinContract",
  ${version === 1 ? "schema: First" : 'schema: Second, older: [older(First, (coin) => ({ ...coin, currency: "EUR" }))]'},
  participants: ({ owner }) => [owner],
});
export const CoinContract = contract({
  name: "e2e.CoinContract",
  commands: { Issue: Type.Object({}), Move: Type.Object({}) },
  verify({ inputs, outputs, commands }) {
    const sum = (coins) => coins.reduce((total, { state: { data } }) => total + data.amount, 0);
    const isIssue = commands.some(({ type }) => type === "Issue");
    requireThat(${version === 1 ? "true" : "!isIssue"}, "coins are no longer issued");
    requireThat(isIssue || sum(inputs) === sum(outputs), "a move neither makes nor destroys");
  },
});
export const cordappOfContract = cordapp({ flows: [], states: [Coin], contracts: [CoinContract] });
export { cordappOfContract as cordapp };
`;

const WORKFLOW = `
import { cordapp as bundle, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Coin, CoinContract } from "./contract.ts";
const GIVE = { name: "e2e.give", versions: [1] };
const begun = async (ctx) => {
  const [notary] = await ctx.notaries.all();
  return transaction().notary(notary.name).until((await ctx.now()) + 60_000);
};
const Issue = flow({
  name: "e2e.Issue", startable: true, input: Type.Object({ amounts: Type.Array(Type.Integer()) }), output: Type.Array(Type.String()),
  async call(ctx, { amounts }) {
    const [owner] = (await ctx.members.mine()).ledgerKeys;
    const issue = (await begun(ctx)).command(CoinContract, "Issue").signedBy(owner);
    const ids = [];
    const coin = Coin.version === 1 ? {} : { currency: "USD" };
    for (const signed of await ctx.ledger.signAll(amounts.map((amount) => issue.output(Coin, { owner, amount, ...coin }).build())))
      ids.push((await ctx.ledger.finalize(signed, [])).id);
    return ids;
  },
});
const Give = flow({
  name: "e2e.Give", startable: true, initiates: GIVE, input: Type.Object({ to: Type.String() }), output: Type.String(),
  async call(ctx, { to }) {
    const [[mine], theirs] = [(await ctx.members.mine()).ledgerKeys, await ctx.members.lookup(to)];
    const { states } = await ctx.vault.find(Coin);
    let move = (await begun(ctx)).input(...states).command(CoinContract, "Move").signedBy(mine);
    for (const { state: { data } } of states) move = move.output(Coin, { ...data, owner: theirs.ledgerKeys[0] });
    const session = await ctx.initiate(theirs.name);
    return (await ctx.ledger.finalize(await ctx.ledger.sign(move.build()), [session])).id;
  },
});
const Take = responder({ name: "e2e.Take", answers: GIVE, call: async (ctx, session) => void (await ctx.ledger.receiveFinality(session, () => {})) });
/** Begins a transaction that gives her all that the other puts into it. */
const Ask = flow({
  name: "e2e.Ask", startable: true, initiates: { name: "e2e.ask", versions: [1] }, input: Type.Object({ of: Type.String() }), output: Type.String(),
  async call(ctx, { of }) {
    const [mine] = (await ctx.members.mine()).ledgerKeys;
    const session = await ctx.initiate(of);
    const asked = (await begun(ctx)).command(CoinContract, "Move").signedBy(mine);
    const agreed = await ctx.ledger.sendAndReceiveTransactionBuilder(asked, session);
    return (await ctx.ledger.finalize(await ctx.ledger.sign(agreed.build()), [session])).id;
  },
});
const Offer = responder({
  name: "e2e.Offer", answers: { name: "e2e.ask", versions: [1] },
  async call(ctx, session) {
    const [[mine], theirs] = [(await ctx.members.mine()).ledgerKeys, await ctx.members.lookup(session.counterparty)];
    let offer = (await ctx.ledger.receiveTransactionBuilder(session)).signedBy(mine);
    for (const coin of (await ctx.vault.find(Coin)).states)
      offer = offer.input(coin).output(Coin, { ...coin.state.data, owner: theirs.ledgerKeys[0] });
    await ctx.ledger.sendUpdatedTransactionBuilder(offer, session);
    await ctx.ledger.receiveFinality(session, () => {});
  },
});
/** Moves its coins to itself, by way of a draft, and shows that to another. */
const Show = flow({
  name: "e2e.Show", startable: true, initiates: { name: "e2e.show", versions: [1] }, input: Type.Object({ to: Type.String() }), output: Type.String(),
  async call(ctx, { to }) {
    const [mine] = (await ctx.members.mine()).ledgerKeys;
    let move = (await begun(ctx)).command(CoinContract, "Move").signedBy(mine);
    for (const coin of (await ctx.vault.find(Coin)).states) move = move.input(coin).output(Coin, coin.state.data);
    const { id } = await ctx.ledger.keepDraft(move.build());
    const draft = await ctx.ledger.findDraft(id);
    const final = await ctx.ledger.finalize(await ctx.ledger.takeUpDraft(draft.id), []);
    await ctx.ledger.sendTransaction(final, [await ctx.initiate(to)]);
    return final.id;
  },
});
const See = responder({
  name: "e2e.See", answers: { name: "e2e.show", versions: [1] },
  call: async (ctx, session) => void (await ctx.ledger.receiveTransaction(session)),
});
const List = flow({
  name: "e2e.List", startable: true, input: Type.Object({}), output: Type.Array(Type.String()),
  call: async (ctx) => (await ctx.vault.find(Coin)).states.map(({ state: { data } }) => [data.amount, data.currency].join(" ")).sort(),
});
export const cordapp = bundle({ flows: [Issue, Give, Take, Ask, Offer, Show, See, List], states: [], contracts: [] });
`;

/** Uploads this version of the CorDapp; the checksum of its CPI. */
async function upload(connection: Connection, home: string, version: number, groupPolicy: string): Promise<string> {
  const project = join(home, "..", "coins", `${version}`);
  const cpk = (name: string, more: object) => ({ name, version: `${version}.0.0`, entry: `src/${name}.ts`, ...more });
  const cpks = [cpk("contract", { type: "contract" }), cpk("workflow", { type: "workflow", dependencies: ["contract"] })];
  const about = { name: "coins", version: `${version}.0.0` };
  const files: Readonly<Record<string, string>> = {
    "package.json": JSON.stringify({ ...about, type: "module", bowline: { ...about, cpks } }),
    "src/contract.ts": CONTRACT(version),
    "src/workflow.ts": WORKFLOW,
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(project, name)), { recursive: true });
    await writeFile(join(project, name), text);
  }
  const signer = await developmentSigner(home);
  await trustSigner(connection, signer);
  const packed = await packProject(project, signer);
  const { fileName, bytes } = await packCpi({ name: "coins", version: `${version}.0`, cpb: packed.cpb, groupPolicy }, signer);
  await stopBundler();
  return cpiStored(connection, await uploadCpi(connection, fileName, bytes));
}

async function started(home: string) {
  const worker = startWorker({ home, environment: process.env, onProgress: () => {} });
  const { url, user, caFile } = await worker.ready;
  const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
  return { worker, connection: connectTo({ url, user, password, ca: await readFile(caFile, "utf8") }) };
}

test("what an older contract judged stays judged, for members who only have its successor", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  const groupPolicy = policy();
  let { worker, connection } = await started(home);
  const enrol = async (cpi: string, name: X500Name) => virtualNodeReady(connection, await requestVirtualNode(connection, cpi, name));
  const shortHash = async (name: X500Name) =>
    (await connection.virtualNodes()).find(({ x500Name }) => x500Name === name)?.shortHash ?? assert.fail(`${name} has no virtual node`);
  const run = async (name: X500Name, flowClassName: string, requestBody: object) => {
    const params = { holdingidentityshorthash: await shortHash(name) };
    const clientRequestId = randomUUID();
    await connection.call("startFlow", { params, body: { clientRequestId, flowClassName, requestBody } });
    return connection.call("getFlowResult", { params: { ...params, clientrequestid: clientRequestId }, query: { waitMs: WAIT_MS } });
  };

  /** Whoever is given something has it a moment after the giver knows. */
  const holds = async (name: X500Name, coins: readonly string[]): Promise<void> => {
    const deadline = Date.now() + WAIT_MS;
    for (;;) {
      const { json } = await run(name, "e2e.List", {});
      if (isDeepStrictEqual(json, coins)) return;
      assert.ok(Date.now() < deadline, `${name} holds ${json}, and was to hold ${coins}`);
      await sleep(200);
    }
  };

  const first = await upload(connection, home, 1, groupPolicy);
  for (const name of [ALICE, NOTARY]) await enrol(first, name);
  const issued = await run(ALICE, "e2e.Issue", { amounts: [3, 4] });
  assert.equal(issued.flowStatus, "COMPLETED", JSON.stringify(issued));
  for (const id of issued.json as readonly string[]) assert.match(id, /^SHA-512:[0-9A-F]{128}$/);

  const second = await upload(connection, home, 2, groupPolicy);
  const { requestId } = await connection.call("upgradeVirtualNode", {
    params: { virtualnodeshortid: await shortHash(ALICE), targetcpifilechecksum: second },
    query: {},
  });
  for (let status = ""; status !== "SUCCEEDED"; await sleep(50)) {
    const answer = await connection.call("virtualNodeStatus", { params: { requestid: requestId } });
    assert.notEqual(answer.status, "FAILED", answer.errorReason ?? "");
    status = answer.status;
  }
  await enrol(second, BOB);
  await connection.close();
  await worker.stop();
  ({ worker, connection } = await started(home)); // Nobody has the old code in memory any more.

  const refused = await run(ALICE, "e2e.Issue", { amounts: [5] });
  assert.match(JSON.stringify(refused), /coins are no longer issued/);
  const shown = await run(ALICE, "e2e.Show", { to: BOB });
  assert.equal(shown.flowStatus, "COMPLETED", JSON.stringify(shown));
  const given = await run(ALICE, "e2e.Give", { to: BOB });
  assert.equal(given.flowStatus, "COMPLETED", JSON.stringify(given));
  await holds(ALICE, []);
  await holds(BOB, ["3 EUR", "4 EUR"]);
  const back = await run(ALICE, "e2e.Ask", { of: BOB });
  assert.equal(back.flowStatus, "COMPLETED", JSON.stringify(back));
  await holds(ALICE, ["3 EUR", "4 EUR"]);
  await connection.close();
  await worker.stop();
});
