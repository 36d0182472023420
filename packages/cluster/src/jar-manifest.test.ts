import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "@bowline/base";
import fc from "fast-check";
import { parseManifest, writeSection } from "./jar-manifest.ts";

const MAIN = "Manifest-Version: 1.0\r\n\r\n";
const value = fc.string({ unit: "grapheme", maxLength: 300 }).filter((text) => !/\p{Cc}/u.test(text) && text.isWellFormed());

test("what is written is read again, in lines that no tool refuses", () => {
  fc.assert(
    fc.property(value, value, (name, version) => {
      const text = writeSection([["A", version]]) + writeSection([["Name", name]]);
      for (const line of text.split("\r\n")) assert.ok(utf8(line).length <= 70);
      const { main, sections } = parseManifest(utf8(text), "manifest");
      assert.equal(main.get("a"), version);
      assert.deepEqual([...sections.keys()], [name]);
    }),
  );
});

test("lines may end and be broken as other tools do it", () => {
  for (const end of ["\n", "\r\n", "\r"]) {
    const text = ["Manifest-Version: 1.0", "", "Name: a/lo", " ng name", "SHA-256-Digest: x=", "", ""].join(end);
    assert.deepEqual([...parseManifest(utf8(text), "manifest").sections.keys()], ["a/long name"]);
  }
  const [head, tail] = [utf8("Name: Zo"), utf8("ë")];
  const broken = Buffer.concat([utf8(MAIN), head, tail.subarray(0, 1), utf8("\n "), tail.subarray(1), utf8("\n\n")]);
  assert.deepEqual([...parseManifest(broken, "manifest").sections.keys()], ["Zoë"], "within a character");
});

const MALFORMED: Readonly<Record<string, string>> = {
  "an attribute twice": "Manifest-Version: 1.0\r\nmanifest-version: 2.0\r\n\r\n",
  "an entry twice": `${MAIN}Name: a\r\n\r\nName: a\r\n\r\n`,
  "a section without a name": `${MAIN}SHA-256-Digest: x\r\n\r\n`,
  "a line that is no attribute": "Manifest-Version 1.0\r\n\r\n",
  "a continuation of nothing": ` x\r\n${MAIN}`,
  "a continuation of an empty line": `${MAIN} x\r\n\r\n`,
  "no end": "Manifest-Version: 1.0",
  "a null character": "Manifest-Version: 1\0\r\n\r\n",
  "no UTF-8": "Manifest-Version: \u00ff\r\n\r\n",
};
for (const [what, text] of Object.entries(MALFORMED))
  test(`a manifest with ${what} is refused`, () => {
    assert.throws(() => parseManifest(Buffer.from(text, "latin1"), "manifest"), { code: "package.manifestMalformed" });
  });

test("an attribute that would begin another line is not written", () => {
  for (const text of ["a\r\nName: b", "a\nb", "\0"]) assert.throws(() => writeSection([["A", text]]), { code: "package.attributeInvalid" });
});
