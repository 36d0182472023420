import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, hex, parseName, utf8 } from "@bowline/base";
import { hmacSha256, holdingIdentity, secureHashOf, sha256 } from "./digest.ts";

test("SHA-256 and HMAC-SHA-256 answer the published vectors", () => {
  assert.equal(hex(sha256(utf8("abc"))), "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
  assert.equal(hex(sha256()), "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855");
  // RFC 4231, test case 1.
  const key = new Uint8Array(20).fill(0x0b);
  assert.equal(hex(hmacSha256(key, utf8("Hi "), utf8("There"))), "B0344C61D8DB38535CA8AFCEAF0BF12B881DC200C9833DA726E9376C2E32CFF7");
});

test("parts are hashed one after the other, and the answer is plain bytes", () => {
  assert.deepEqual(sha256(utf8("a"), utf8("bc")), sha256(utf8("abc")));
  assert.equal(Object.getPrototypeOf(sha256(utf8("abc"))), Uint8Array.prototype);
  assert.equal(sha256(utf8("abc")).buffer.byteLength, 32, "memory of its own");
  assert.equal(secureHashOf(utf8("abc")), `SHA-256:${hex(sha256(utf8("abc")))}`);
});

const IDENTITIES: readonly (readonly [name: string, groupId: string, fullHash: string])[] = [
  ["O=Alice, L=London, C=GB", "test", "2771DB5298765FDE648C495DEDA17B7AA76CE962EF07504AFB60A404108DCF9C"],
  [
    "CN=Node 1, OU=Eng, O=R3 Ltd., L=London, ST=Kent, C=GB",
    "00000000-0000-0000-0000-000000000000",
    "ECF5949D8A8ACFF2FEDF093A4175561A15E460179E8AAD90FF6A4EE4FE5DAA96",
  ],
  [
    'O="Foo, Inc", L=New York, C=US',
    "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad",
    "956775FB63128E280F5E10BE3CEE5F0542F30ECDD9A4755E4D4CEDC5BC158A88",
  ],
  ["O=Zoë, L=Zürich, C=CH", "test", "E3B7F62756EB61A941F852BCF16D562EAA60A0F904D059E5ECBE62EE648A0F02"],
];

for (const [name, groupId, fullHash] of IDENTITIES)
  test(`the holding identity of ${name} in ${groupId} is the one that Corda computes`, () => {
    const identity = holdingIdentity(parseName(name), groupId);
    assert.equal(identity.fullHash, `SHA-256:${fullHash}`);
    assert.equal(identity.shortHash, fullHash.slice(0, 12));
    assert.ok(fromHex(identity.shortHash));
  });
