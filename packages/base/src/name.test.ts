import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nameAttributes, parseName } from "./name.ts";

test("equal names are equal strings, however they were written", () => {
  const canonical = "CN=Desk 1, OU=Trading, O=Alice, L=London, ST=England, C=GB";
  assert.equal(parseName(canonical), canonical);
  assert.equal(parseName("c=GB,st=England,l=London,o=Alice,ou=Trading,cn=Desk 1"), canonical);
  assert.equal(parseName('O="Smith, Jones",L=Oslo,C=NO'), "O=Smith\\, Jones, L=Oslo, C=NO");
});

test("a name is read back as it was written", () => {
  const value = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
    .filter((text) => text.trim() === text && text !== "" && !text.includes("\0"));
  fc.assert(
    fc.property(value, value, (organisation, locality) => {
      const quoted = (text: string) => text.replaceAll(/[,+"\\<>;=]/g, "\\$&").replace(/^#/, "\\#");
      const name = parseName(`O=${quoted(organisation)}, L=${quoted(locality)}, C=DE`);
      assert.deepEqual(nameAttributes(name), { O: organisation, L: locality, C: "DE" });
      assert.equal(parseName(name), name);
    }),
  );
});

const REFUSED: readonly (readonly [name: string, reason: RegExp])[] = [
  ["", /is not ATTRIBUTE=value/],
  ["Alice", /is not ATTRIBUTE=value/],
  ["O=Alice, L=London", /attribute C is missing/],
  ["O=Alice, L=London, C=gb", /two capital letters/],
  ["O=Alice, O=Bob, L=London, C=GB", /stands twice/],
  ["O=Alice+CN=x, L=London, C=GB", /several values/],
  ["O=Alice, L= , C=GB", /is blank/],
  ["DC=Alice, O=A, L=London, C=GB", /not one of/],
  [`O=${"x".repeat(129)}, L=London, C=GB`, /longer than 128/],
  ["O=Alice, L=London, C=GB\\", /backslash/],
  ['O="Alice, L=London, C=GB', /not closed/],
];
for (const [name, reason] of REFUSED)
  test(`refuses ${JSON.stringify(name.slice(0, 40))}`, () => {
    assert.throws(() => parseName(name), { code: "name.invalid", message: reason });
  });
