// A CorDapp with tables of its own, in the product: packaged, uploaded, in isolates, killed in the middle.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { addParties, PARTIES } from "../bench/network.ts";
import { connectTo } from "../packages/cli/src/connection.ts";
import { startWorker } from "../packages/cli/src/worker.ts";
import { temporaryHome } from "./product.ts";

const EXAMPLE = fileURLToPath(new URL("../examples/settlement-accounts", import.meta.url));
const TIMEOUT_MS = 180_000;
const WAIT_MS = 60_000;
const [DEBTOR = "", CREDITOR = ""] = PARTIES;
const IBAN = "DE89370400440532013000";

test("a payment is in the tables of both once, though the process is killed while it is made", { timeout: TIMEOUT_MS }, async (t) => {
  const home = await temporaryHome(t);
  const started = async (change: { readonly port?: number } = {}) => {
    const worker = startWorker({ home, environment: process.env, onProgress: () => {}, ...change });
    const { url, user, caFile } = await worker.ready;
    const password = (await readFile(join(home, "secrets", "admin-password"), "utf8")).trim();
    return { worker, url, connection: connectTo({ url, user, password, ca: await readFile(caFile, "utf8") }) };
  };
  const port = await freePort();
  let { worker, url, connection } = await started({ port });
  assert.equal(url, `https://localhost:${port}`);
  await addParties(connection, home, { project: EXAMPLE });
  const nodes = await connection.virtualNodes();
  const idOf = (name: string) =>
    nodes.find(({ x500Name }) => String(x500Name) === name)?.shortHash ?? assert.fail(`no virtual node of ${name}`);
  const begin = async (name: string, flow: string, requestBody: object) => {
    const params = { holdingidentityshorthash: idOf(name) };
    const clientRequestId = randomUUID();
    await connection.call("startFlow", { params, body: { clientRequestId, flowClassName: `com.example.accounts.${flow}`, requestBody } });
    return async () => {
      const result = { params: { ...params, clientrequestid: clientRequestId }, query: { waitMs: WAIT_MS } };
      return connection.call("getFlowResult", result);
    };
  };
  const run = async (...flow: Parameters<typeof begin>) => (await begin(...flow))();

  const published = await run(CREDITOR, "PublishAccount", { currency: "EUR", iban: IBAN, tell: [DEBTOR] });
  assert.equal(published.flowStatus, "COMPLETED", JSON.stringify(published));
  const terms = { creditor: CREDITOR, currency: "EUR", reference: "INV-1", amount: 5 };
  const paid = await begin(DEBTOR, "InstructPayment", terms);
  process.kill(worker.pid, "SIGKILL");
  await connection.close();
  ({ worker, url, connection } = await started());
  assert.equal(url, `https://localhost:${port}`, "clients find it where it was told to be");
  assert.equal((await paid()).flowStatus, "COMPLETED");
  const again = await run(DEBTOR, "InstructPayment", terms);
  assert.match(JSON.stringify(again), /payments\.referenceUsed/);
  for (const name of PARTIES) {
    const { json } = await run(name, "ListPayments", { creditor: CREDITOR });
    const { payments, next } = json as unknown as { payments: readonly { amount: number; iban: string }[]; next: null };
    assert.deepEqual([payments.map(({ amount, iban }) => [amount, iban]), next], [[[5, IBAN]], null]);
  }
  await connection.close();
  await worker.stop();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
