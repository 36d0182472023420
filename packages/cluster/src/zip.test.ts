import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@bowline/base";
import fc from "fast-check";
import { ENTRIES_MAX, EXPANSION_MAX, readZip, writeZip } from "./zip.ts";

const refusal = (code: string) => ({ code: `package.${code}`, message: /^The file is refused: / });
const read = (bytes: Uint8Array) => readZip(bytes, "The file");

test("what is written is read again, and the same entries are the same bytes", async () => {
  const name = fc.stringMatching(/^[a-z]{1,8}(\/[a-z]{1,8}){0,2}\.[a-z]{1,3}$/);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.record({ name, bytes: fc.uint8Array() }, { noNullPrototype: true }), { selector: (entry) => entry.name }),
      async (entries) => {
        const bytes = await writeZip(entries);
        assert.deepEqual(await read(bytes), entries);
        assert.deepEqual(await writeZip(entries), bytes);
      },
    ),
    { numRuns: 30 },
  );
});

/** Puts another name of the same length in both places where an archive says it. */
async function renamed(from: string, to: string, names: readonly string[] = [from]): Promise<Uint8Array> {
  const bytes = Buffer.from(await writeZip(names.map((name) => ({ name, bytes: utf8(name) }))));
  for (let at = bytes.indexOf(from); at >= 0; at = bytes.indexOf(from, at + 1)) bytes.write(to, at, "latin1");
  return bytes;
}

for (const name of ["../evil", "/evil-1", "a/../ev", "a//evil", "./evil1", "c:/evil", "a\\evil1", "ev\0il12"])
  test(`the name ${JSON.stringify(name)} is refused`, async () => {
    await assert.rejects(read(await renamed("q".repeat(name.length), name)), refusal("entryPath"));
  });

test("a name that is there twice is refused, also where only case or composition differs", async () => {
  await assert.rejects(read(await renamed("aaa.js", "bbb.js", ["aaa.js", "bbb.js"])), refusal("entryTwice"));
  const twins = [
    ["META-INF/X", "meta-inf/x"],
    ["\u00e9", "e\u0301"],
  ];
  for (const names of twins)
    await assert.rejects(read(await writeZip(names.map((name) => ({ name, bytes: utf8("") })))), refusal("entryTwice"));
});

test("an archive that is none, or cut short, is refused", async () => {
  const bytes = await writeZip([{ name: "a", bytes: utf8("a".repeat(1000)) }]);
  for (const broken of [new Uint8Array(), utf8("hello"), bytes.subarray(0, bytes.length - 1)])
    await assert.rejects(read(broken), refusal("notArchive"));
  const corrupt = bytes.slice();
  corrupt[40] = (corrupt[40] as number) ^ 0xff;
  await assert.rejects(read(corrupt), refusal("notArchive"), "what does not inflate");
});

test("an entry that says another size than it has is refused", async () => {
  const bytes = Buffer.from(await writeZip([{ name: "a", bytes: utf8("a".repeat(1000)) }]));
  const size = bytes.lastIndexOf(Buffer.of(0xe8, 0x03, 0, 0));
  bytes.writeUInt32LE(999, size);
  await assert.rejects(read(bytes), refusal("notArchive"));
});

test("an archive that expands out of all proportion is refused before it does", async () => {
  await assert.rejects(read(await writeZip([{ name: "zeros", bytes: new Uint8Array(4 * 1024 * 1024) }])), refusal("expansion"));
  const small = { name: "zeros", bytes: new Uint8Array(1024 * EXPANSION_MAX) };
  assert.equal((await read(await writeZip([small]))).length, 1);
});

test("an archive that says it has very many entries is refused before one is read", async () => {
  const bytes = Buffer.from(await writeZip([{ name: "a", bytes: utf8("") }]));
  for (const offset of [8, 10]) bytes.writeUInt16LE(ENTRIES_MAX + 1, bytes.length - 22 + offset);
  await assert.rejects(read(bytes), refusal("tooManyEntries"));
});
