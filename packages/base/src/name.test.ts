import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nameAttributes, parseName } from "./name.ts";

test("equal names are equal strings, however they were written", () => {
  const canonical = "CN=Desk 1, OU=Trading, O=Alice, L=London, ST=England, C=GB";
  assert.equal(parseName(canonical), canonical);
  assert.equal(parseName("c=GB,st=England,l=London,o=Alice,ou=Trading,cn=Desk 1"), canonical);
});

// As `X500Principal.toString()` of Java prints them, of which Corda hashes the text.
const CANONICAL: readonly (readonly [written: string, canonical: string])[] = [
  ["C=GB, L=London, O=Alice", "O=Alice, L=London, C=GB"],
  ["C=GB,ST=Kent,L=London,O=R3 Ltd.,OU=Eng,CN=Node 1", "CN=Node 1, OU=Eng, O=R3 Ltd., L=London, ST=Kent, C=GB"],
  ["O=Foo\\, Inc, L=New York, C=US", 'O="Foo, Inc", L=New York, C=US'],
  ['O="Foo, Inc",L=New York;C=US', 'O="Foo, Inc", L=New York, C=US'],
  ["O=A=B, L=Oslo, C=ZZ", 'O="A=B", L=Oslo, C=ZZ'],
  ["O=No#1, L=Oslo, C=NO", 'O="No#1", L=Oslo, C=NO'],
  ["O=Two  spaces, L=Oslo, C=NO", 'O="Two  spaces", L=Oslo, C=NO'],
  ['O=Say \\"hi\\" \\\\, L=Oslo, C=NO', 'O="Say \\"hi\\" \\\\", L=Oslo, C=NO'],
  ["O=Zo\\C3\\AB, L=Z\u00fcrich, C=CH", "O=Zo\u00eb, L=Z\u00fcrich, C=CH"],
  ['O=" Alice ", L=Oslo\\ , C=NO', "O=Alice, L=Oslo, C=NO"],
];
for (const [written, canonical] of CANONICAL)
  test(`${written} is ${canonical}`, () => {
    assert.equal(parseName(written), canonical);
    assert.equal(parseName(canonical), canonical);
  });

test("an attribute is shorter than its limit in Corda, a country one of ISO 3166", () => {
  for (const [attribute, longest] of [
    ["O", 127],
    ["L", 63],
    ["CN", 63],
    ["OU", 63],
    ["ST", 63],
  ] as const) {
    const name = (length: number) => {
      const values = { O: "A", L: "B", C: "GB", [attribute]: "x".repeat(length) };
      return Object.entries(values)
        .map(([key, value]) => `${key}=${value}`)
        .join(", ");
    };
    parseName(name(longest));
    assert.throws(() => parseName(name(longest + 1)), {
      code: "name.invalid",
      message: new RegExp(`${attribute} is longer than ${longest}`),
    });
  }
  for (const country of ["GB", "AX", "ZW", "ZZ"]) parseName(`O=A, L=B, C=${country}`);
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
  ["O=Alice, L=London, C=gb", /not a country code/],
  ["O=Alice, O=Bob, L=London, C=GB", /stands twice/],
  ["O=Alice+CN=x, L=London, C=GB", /several values/],
  ["O=Alice, L= , C=GB", /is blank/],
  ["DC=Alice, O=A, L=London, C=GB", /not one of/],
  ["O=Alice, L=London, C=UK", /not a country code/],
  ["O=Alice, L=London, C=GBR", /longer than 2/],
  ["O=#0401, L=London, C=GB", /hexadecimal/],
  ["O=A<B, L=London, C=GB", /< stands inside/],
  ['O=A"B", L=London, C=GB', /" stands inside/],
  ["O=\\Alice, L=London, C=GB", /escapes nothing/],
  ["O=\\FF, L=London, C=GB", /not UTF-8/],
  ["O=Alice, L=London, C=GB\\", /backslash/],
  ['O="Alice, L=London, C=GB', /not closed/],
];
for (const [name, reason] of REFUSED)
  test(`refuses ${JSON.stringify(name.slice(0, 40))}`, () => {
    assert.throws(() => parseName(name), { code: "name.invalid", message: reason });
  });
