import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { before, describe, test } from "node:test";
import { decode, encode, secureHash } from "@bowline/base";
import { appPreimage } from "@bowline/base/preimage";
import { DEFAULT_SCHEME, deriveRoot, generateBootKey, KeyRing, keyIdOf, memoryKeyStore, parseChain, verifySync } from "@bowline/crypto";
import { decodeSignature, notaryPreimage, togetherOf, transactionPreimage } from "@bowline/ledger/signing";
import type { Answering } from "../calls.ts";
import { openTlsKey } from "../sealed-tls-key.ts";
import type { CryptoService, KeyCategory, RoleName } from "../services.ts";
import { cryptoService } from "./crypto.ts";
import { groupParametersPreimage } from "./signing.ts";

const VNODE = "0123456789AB";
const NOW = 1_790_000_000_000;
const SPEC = "SHA256withECDSA";
const as = (role: RoleName) => ({ role });

let service: Answering<CryptoService>;
let reopened: Answering<CryptoService>;
let finds = 0;

before(async () => {
  const root = await deriveRoot({ purpose: "keys", alias: "root1", passphrase: "a passphrase of the test", salt: "a salt of the test" });
  const store = memoryKeyStore();
  const counted: typeof store = {
    ...store,
    find(tenant, names) {
      finds++;
      return store.find(tenant, names);
    },
  };
  let drawn = 0;
  const random = (length: number) =>
    Uint8Array.from({ length }, () => {
      drawn = (drawn * 31 + 7) % 251;
      return drawn;
    });
  const open = (now: number) => {
    const keys = new KeyRing({ roots: [root], defaultRoot: "root1", storeOf: () => counted, env: () => ({ now, random }) });
    return cryptoService({ keys, clock: { now: () => now }, random, tlsHosts: ["localhost", "127.0.0.1"] });
  };
  service = open(NOW);
  reopened = open(NOW + 1_000_000);
});

const generate = async (alias: string, category: KeyCategory, tenant = VNODE) =>
  (await service.generateKey({ tenant, alias, category, scheme: DEFAULT_SCHEME }, as("db"))).publicKey;

const metadata = { timestamp: NOW, spec: SPEC, platformVersion: 50_200 } as const;
const transactionId = secureHash(new Uint8Array(32).fill(1));
const parts = { transactionId, timestamp: NOW, platformVersion: 50_200 };

describe("keys", () => {
  test("one alias is one key, however often it is asked for", async () => {
    assert.equal(await generate("ledger", "LEDGER"), await generate("ledger", "LEDGER"));
    await assert.rejects(generate("ledger", "NOTARY"), { code: "crypto.aliasTaken" });
  });

  test("only the db and membership roles make them", async () => {
    const request = { tenant: VNODE, alias: "mine", category: "LEDGER", scheme: DEFAULT_SCHEME } as const;
    for (const role of ["flow", "rest", "uniqueness", "verification"] as const)
      await assert.rejects(service.generateKey(request, as(role)), { code: "crypto.callerRefused", kind: "forbidden" });
  });

  test("a tenant's own are told from others, in the order asked, and questions of one tick are one", async () => {
    const [one, two, foreign] = [await generate("k1", "LEDGER"), await generate("k2", "LEDGER"), await generate("k1", "LEDGER", "p2p")];
    const before = finds;
    const ask = (...keys: string[]) => service.filterMyKeys({ tenant: VNODE, keys }, as("flow"));
    const [first, second] = await Promise.all([ask(two, foreign, one), ask(foreign)]);
    assert.deepEqual([first.keys, second.keys], [[two, one], []]);
    assert.equal(finds - before, 1);
  });
});

describe("signatures", () => {
  test("of a transaction: a record with its metadata, by a ledger key, for the flow role", async () => {
    const publicKey = await generate("ledger", "LEDGER");
    const request = { tenant: VNODE, publicKey, purpose: "transaction", parts } as const;
    const record = decodeSignature((await service.sign(request, as("flow"))).signature);
    assert.deepEqual([record.by, record.metadata], [keyIdOf(publicKey), metadata]);
    const bytes = transactionPreimage(transactionId, metadata);
    assert.ok(verifySync({ publicKey, bytes, signature: record.signature, spec: SPEC }));
    for (const role of ["uniqueness", "db", "rest"] as const)
      await assert.rejects(service.sign(request, as(role)), { code: "crypto.callerRefused" });
  });

  test("of several transactions: a tree that is made here, and a record for each that says its place", async () => {
    const publicKey = await generate("ledger", "LEDGER");
    const ids = [1, 2, 3].map((byte) => secureHash(new Uint8Array(32).fill(byte)));
    const { transactionId: _, ...about } = parts;
    const request = { tenant: VNODE, publicKey, purpose: "transactions", parts: { transactionIds: ids, ...about } } as const;
    const records = (decode((await service.sign(request, as("flow"))).signature) as readonly Uint8Array[]).map(decodeSignature);
    const { preimage } = togetherOf(ids, publicKey, metadata);
    assert.deepEqual(
      records.map(({ by, metadata: said, among }) => [by, said, among?.index, among?.count]),
      ids.map((_id, i) => [keyIdOf(publicKey), metadata, i, 3]),
    );
    for (const { signature } of records) assert.ok(verifySync({ publicKey, bytes: preimage, signature, spec: SPEC }));
    await assert.rejects(service.sign(request, as("uniqueness")), { code: "crypto.callerRefused" });
    for (const transactionIds of [[], [...ids, "SHA-256:00"], Array.from({ length: 101 }, () => ids[0] as string)])
      await assert.rejects(service.sign({ ...request, parts: { transactionIds, ...about } }, as("flow")), { kind: "badRequest" });
  });

  test("a key of one category does no work of another", async () => {
    const publicKey = await generate("notary", "NOTARY");
    await assert.rejects(service.sign({ tenant: VNODE, publicKey, purpose: "transaction", parts }, as("flow")), {
      code: "crypto.keyMisused",
    });
  });

  test("a key of another tenant is not there", async () => {
    const publicKey = await generate("ledger", "LEDGER", "BA9876543210");
    await assert.rejects(service.sign({ tenant: VNODE, publicKey, purpose: "transaction", parts }, as("flow")), {
      code: "crypto.keyUnknown",
    });
  });

  test("of a notary: the ledger's own preimage, and nothing made up", async () => {
    const publicKey = await generate("notary", "NOTARY");
    const batch = notaryPreimage(new Uint8Array(32).fill(2), metadata);
    const sign = (bytes: Uint8Array) =>
      service.sign({ tenant: VNODE, publicKey, purpose: "notary", parts: { preimage: bytes } }, as("uniqueness"));
    assert.ok(verifySync({ publicKey, bytes: batch, signature: (await sign(batch)).signature, spec: SPEC }));
    const madeUp = [transactionPreimage(transactionId, metadata), batch.slice(0, -1), new Uint8Array(5), encode({ batch: 1 })];
    for (const bytes of madeUp) await assert.rejects(sign(bytes), { kind: "badRequest" });
  });

  test("of an author's bytes: as such, whatever they say, and by ledger keys alone", async () => {
    const publicKey = await generate("ledger", "LEDGER");
    const bytes = transactionPreimage(transactionId, metadata);
    const request = { tenant: VNODE, publicKey, purpose: "app", parts: { bytes, spec: "SHA512withECDSA" } } as const;
    const { signature } = await service.sign(request, as("flow"));
    assert.ok(verifySync({ publicKey, bytes: appPreimage(VNODE, bytes), signature, spec: "SHA512withECDSA" }));
    assert.ok(!verifySync({ publicKey, bytes: appPreimage("FFFFFFFFFFFF", bytes), signature, spec: "SHA512withECDSA" }));
    for (const spec of ["SHA512withECDSA", SPEC] as const) assert.ok(!verifySync({ publicKey, bytes, signature, spec }));
    const badSpec = { ...request, parts: { bytes, spec: "EdDSA" } };
    await assert.rejects(service.sign(badSpec, as("flow")), { code: "crypto.specRefused" });
    await assert.rejects(service.sign(request, as("uniqueness")), { code: "crypto.callerRefused" });
    const notary = await generate("notary", "NOTARY");
    await assert.rejects(service.sign({ ...request, publicKey: notary }, as("flow")), { code: "crypto.keyMisused" });
  });

  test("of group parameters: under their own purpose", async () => {
    const publicKey = await generate("static", "SESSION_INIT", "p2p");
    const bytes = encode({ epoch: 1 });
    const { signature } = await service.sign({ tenant: "p2p", publicKey, purpose: "group-parameters", parts: { bytes } }, as("db"));
    assert.ok(verifySync({ publicKey, bytes: groupParametersPreimage(bytes), signature, spec: SPEC }));
    assert.ok(!verifySync({ publicKey, bytes, signature, spec: SPEC }));
  });
});

describe("the TLS key", () => {
  test("leaves sealed to the role that serves with it, below an authority", async () => {
    const boot = generateBootKey();
    const { sealed, chainPem } = await service.releaseTls({ tenant: "rest", sealTo: boot.publicKey }, as("rest"));
    const [server, authority] = parseChain(chainPem);
    const key = createPrivateKey(openTlsKey(boot, sealed));
    assert.ok(server?.checkPrivateKey(key));
    assert.ok(server?.checkHost("localhost") && server.checkIP("127.0.0.1"));
    assert.ok(authority?.ca && !authority.checkPrivateKey(key));
    assert.throws(() => openTlsKey(generateBootKey(), sealed), { code: "crypto.sealBroken" });
  });

  test("is another role's never", async () => {
    const { publicKey } = generateBootKey();
    for (const role of ["flow", "db", "persistence", "p2p-gateway"] as const)
      await assert.rejects(service.releaseTls({ tenant: "rest", sealTo: publicKey }, as(role)), { code: "crypto.callerRefused" });
    await assert.rejects(service.releaseTls({ tenant: "p2p", sealTo: publicKey }, as("rest")), { code: "crypto.callerRefused" });
  });

  test("whoever trusts the authority of one start trusts the server of the next", async () => {
    const chain = async (from: Answering<CryptoService>) =>
      parseChain((await from.releaseTls({ tenant: "rest", sealTo: generateBootKey().publicKey }, as("rest"))).chainPem);
    const [, earlier] = await chain(service);
    const [later] = await chain(reopened);
    assert.ok(earlier !== undefined && later?.checkIssued(earlier) && later.verify(earlier.publicKey));
    assert.equal(earlier.serialNumber, (await chain(reopened))[1]?.serialNumber);
  });
});
