import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { BowlineError, type Data, decode, encode, fromHex, hex } from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import fc from "fast-check";
import { decodeFiltered, verifyFiltered } from "./filter.ts";
import { decodeTransaction } from "./transaction.ts";
import { ledgerVectors } from "./vectors.ts";

interface Published {
  readonly encoding: readonly { readonly cbor: string }[];
  readonly refused: readonly { readonly reason: string; readonly cbor: string }[];
  readonly transactions: readonly {
    readonly digest: string;
    readonly bytes: string;
    readonly groupId: string;
    readonly id: string;
    readonly groups: readonly { readonly top: string }[];
    readonly filtered: readonly { readonly what: string; readonly bytes: string }[];
  }[];
}
const published: Published = JSON.parse(await readFile(new URL("../../../docs/ledger-vectors.json", import.meta.url), "utf8"));
const bytesOf = (text: string) => fromHex(text) as Uint8Array;

test("the published numbers are ours", () => {
  assert.deepEqual(published, JSON.parse(JSON.stringify(ledgerVectors())));
});

test("the published transaction has the published id, computed by hand", () => {
  const bytes = (text: string) => Buffer.from(text, "hex");
  const u32 = (value: number) => {
    const four = Buffer.alloc(4);
    four.writeUInt32BE(value);
    return four;
  };
  const [first] = published.transactions;
  assert.ok(first?.digest === "SHA-256");
  // Ten tops: four pairs and one more at depth 3, two at depth 2 with one lifted, one at depth 1 with that one lifted, the root.
  const node = (depth: number, left: Buffer, right: Buffer) =>
    bytes(secureHashOf(Buffer.concat([Buffer.of(0x01, depth), left, right])).slice("SHA-256:".length));
  const tops = first.groups.map(({ top }) => bytes(top));
  const at = (i: number) => tops[i] as Buffer;
  const pairs = [0, 2, 4, 6, 8].map((i) => node(3, at(i), at(i + 1))) as [Buffer, Buffer, Buffer, Buffer, Buffer];
  const root = node(0, node(1, node(2, pairs[0], pairs[1]), node(2, pairs[2], pairs[3])), pairs[4]);
  const preimage = Buffer.concat([Buffer.of(0x03), u32(1), u32(first.groupId.length), Buffer.from(first.groupId), u32(10), root]);
  assert.equal(secureHashOf(preimage), first.id);
});

test("the published bytes decode to the published ids, whole and in part, under every digest", () => {
  for (const { bytes, id, digest, filtered } of published.transactions) {
    assert.equal(decodeTransaction(bytesOf(bytes)).id, id);
    assert.ok(id.startsWith(`${digest}:`));
    for (const { what, bytes: view } of filtered) assert.equal(verifyFiltered(decodeFiltered(bytesOf(view))).id, id, what);
  }
});

test("what is published as refused is refused, and nothing that is not canonical is read as if it were", () => {
  for (const { reason, cbor } of published.refused) assert.throws(() => decode(bytesOf(cbor)), { code: "codec.malformed" }, reason);
});

describe("a decoder in another language", { skip: spawnSync("python3", ["--version"]).status !== 0 && "there is no python3" }, () => {
  const script = fileURLToPath(new URL("../vectors/decode.py", import.meta.url));

  test("computes all that is published", () => {
    const { status, stdout, stderr } = spawnSync("python3", [script], { encoding: "utf8" });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /5 transactions are what was published/);
  });

  test("accepts and refuses the same bytes as ours, however they are changed", () => {
    const seeds = [...published.encoding.map(({ cbor }) => cbor), ...published.refused.map(({ cbor }) => cbor)].map(bytesOf);
    const leaves = [...(decode(bytesOf(published.transactions[0]?.bytes ?? "")) as unknown as { groups: Uint8Array[][] }).groups.flat()];
    const lines = fc.sample(changed([...seeds, ...leaves]), { numRuns: 3_000, seed: 7 }).map(hex);
    const { status, stdout, stderr } = spawnSync("python3", [script, "--stdin"], { encoding: "utf8", input: `${lines.join("\n")}\n` });
    assert.equal(status, 0, stderr);
    const answers = stdout.trimEnd().split("\n");
    assert.equal(answers.length, lines.length);
    const differing = lines.filter((line, i) =>
      ours(line) === undefined ? !answers[i]?.startsWith("no ") : answers[i] !== `ok ${line.toLowerCase()}`,
    );
    assert.deepEqual(differing, []);
    assert.ok(answers.filter((answer) => answer.startsWith("ok")).length > 100, "some are accepted");
    assert.ok(answers.filter((answer) => answer.startsWith("no")).length > 100, "some are refused");
  });
});

/** The value, where the bytes are canonical: then they are also what it is encoded to. */
function ours(line: string): Data | undefined {
  try {
    const value = decode(bytesOf(line));
    assert.equal(hex(encode(value)), line);
    return value;
  } catch (error) {
    if (error instanceof BowlineError) return undefined;
    throw error;
  }
}

/** Canonical bytes with a few of them replaced, left out or put in. */
function changed(seeds: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const edit = fc.record({ at: fc.nat(400), kind: fc.constantFrom("replace", "remove", "insert"), byte: fc.nat(255) });
  return fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 3 })).map(([seed, edits]) => {
    const bytes = [...seed];
    for (const { at, kind, byte } of edits)
      bytes.splice(at % (bytes.length + 1), kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
    return Uint8Array.from(bytes);
  });
}
