import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError } from "@bowline/base";
import type { TokenCriteria } from "@bowline/sdk/tokens";
import { NOW } from "./sample.memory.ts";
import { testTokens } from "./tokens.contract.ts";
import { claimRequest, tagPatternFault } from "./tokens.ts";
import { memoryVault } from "./vault.memory.ts";

testTokens("in memory", async (_, macKey) => {
  let now = NOW;
  const ended = new Set<string>();
  const vault = memoryVault({ macKey, now: () => now, ended: async (flow) => ended.has(flow) });
  return {
    apply: async (commits) => vault.apply(commits),
    workers: [vault.tokens],
    async elapse(ms) {
      now += ms;
    },
    async endFlow(flow) {
      ended.add(flow);
    },
  };
});

const CRITERIA: TokenCriteria = { tokenType: "T", issuer: "", symbol: "S", notary: "O=N, L=L, C=GB", amount: "1" };

test("criteria that make no sense are refused, with what is wrong", () => {
  const bad: readonly (readonly [object, RegExp])[] = [
    [{ amount: "0" }, /above zero/],
    [{ amount: "-1" }, /above zero/],
    [{ amount: "1e3" }, /above zero/],
    [{ amount: "" }, /above zero/],
    [{ amount: 1 }, /above zero/],
    [{ amount: `0.${"1".repeat(25)}` }, /24 behind/],
    [{ amount: "1".repeat(31) }, /30 digits/],
    [{ strategy: "best" }, /no strategy best/],
    [{ holdMs: 0 }, /1 to 86400000/],
    [{ holdMs: 86_400_001 }, /1 to 86400000/],
    [{ symbol: "\0" }, /symbol/],
    [{ owner: "x".repeat(256) }, /owner/],
    [{ tagPattern: "(a" }, /leaves a group open/],
  ];
  for (const [change, message] of bad)
    assert.throws(
      () => claimRequest("flow", "1", { ...CRITERIA, ...change } as TokenCriteria),
      (error: unknown) => error instanceof BowlineError && error.code === "tokens.badCriteria" && message.test(error.message),
      JSON.stringify(change),
    );
});

test("patterns that could take long, or mean two things, are not taken", () => {
  const refused = [
    "(a)\\1",
    "(?=a)",
    "(?<n>a)",
    "(?i)a",
    "***a",
    "a**",
    "a{1000}",
    "((a{20}){20})",
    "[[:alpha:]]",
    "[z-a]",
    "\\w",
    "a\\",
    ")",
    "(",
    "[a",
    "*a",
    "é",
    "a{3,1}",
    "^*",
    "x".repeat(101),
  ];
  for (const pattern of refused) assert.ok(tagPatternFault(pattern), pattern);
  for (const pattern of ["a{0,200}", "((a{10}){20})", "(?:a|b)+c?", "[+]", "a-b", "x{2}"])
    assert.equal(tagPatternFault(pattern), undefined, pattern);
});
