import assert from "node:assert/strict";
import { test } from "node:test";
import { Lru } from "./lru.ts";

test("the bound holds, and what was used longest ago goes first", () => {
  const map = new Lru<string, number>(2);
  map.set("a", 1);
  map.set("b", 2);
  assert.equal(map.get("a"), 1);
  map.set("c", 3);
  assert.deepEqual([map.get("a"), map.get("b"), map.get("c"), map.size], [1, undefined, 3, 2]);
  map.set("a", 4);
  map.set("d", 5);
  assert.deepEqual([map.get("a"), map.get("c"), map.get("d")], [4, undefined, 5]);
});

test("entries go one by one or by a test of their keys", () => {
  const map = new Lru<string, number>(3);
  for (const key of ["x/1", "x/2", "y/1"]) map.set(key, 1);
  map.deleteWhere((key) => key.startsWith("x/"));
  assert.deepEqual([map.get("x/1"), map.get("y/1")], [undefined, 1]);
  map.delete("y/1");
  assert.equal(map.size, 0);
});
