import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveIdentity, shortName } from "./identity.ts";

const nodes = [
  { shortHash: "AAAAAAAAAAAA", x500Name: "O=Alice, L=London, C=GB", groupId: "g" },
  { shortHash: "BBBBBBBBBBBB", x500Name: "O=Alice Holdings, L=London, C=GB", groupId: "g" },
  { shortHash: "CCCCCCCCCCCC", x500Name: 'O="Bob, Sons & Co", L=Paris, C=FR', groupId: "g" },
];
const hashOf = (text: string) => resolveIdentity(text, nodes).shortHash;

test("a virtual node is found by hash in either case, by its name however it is spaced, and by a part of it", () => {
  assert.equal(hashOf("aaaaaaaaaaaa"), "AAAAAAAAAAAA");
  assert.equal(hashOf("C=GB,L=London,O=Alice Holdings"), "BBBBBBBBBBBB");
  assert.equal(hashOf("paris"), "CCCCCCCCCCCC");
  assert.equal(hashOf("holdings"), "BBBBBBBBBBBB");
});

test("a whole organisation's name wins over a part of another's", () => {
  assert.equal(hashOf("alice"), "AAAAAAAAAAAA");
});

test("a part that two names share is refused with both", () => {
  assert.throws(() => hashOf("London"), { code: "cli.identityAmbiguous", message: /AAAAAAAAAAAA.*BBBBBBBBBBBB/ });
});

test("an unknown name is refused with those that there are", () => {
  assert.throws(() => hashOf("Dora"), { code: "cli.identityUnknown", message: /O=Alice, L=London/ });
  assert.throws(() => resolveIdentity("Dora", []), /no virtual nodes yet/);
  assert.throws(() => hashOf(""), { code: "cli.identityUnknown" });
});

test("people call a member by its organisation", () => {
  assert.equal(shortName("O=Alice, L=London, C=GB"), "Alice");
  assert.equal(shortName("nonsense"), "nonsense");
});
