import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { judge, type Permission } from "./access.ts";
import { checkPattern, patternOf } from "./access-patterns.ts";
import { BUILT_IN_ROLES } from "./built-in-roles.ts";

const refused = { code: "access.patternInvalid", kind: "badRequest" };

test("what is no regular expression, or none for an automaton, is refused with the reason", () => {
  for (const bad of ["", "  ", "(", "[a", "a{2,1}", "(?=a)b", "(?!a).*", "(?<=a)b", "(a)\\1", "a++", "x".repeat(1_025)])
    assert.throws(() => checkPattern(bad), refused, bad);
  for (const { permissions } of BUILT_IN_ROLES) for (const { pattern } of permissions) checkPattern(pattern);
  for (const good of ["\\QGET:/a(b\\E.*", "[]a]{2}", "[[:alpha:]]+", "(?i)x|y", "\\p{Lu}{3}", "a*?"]) checkPattern(good);
});

test("an automaton that would be large is not made", () => {
  const begun = process.hrtime.bigint();
  for (const huge of [".{0,1000}".repeat(100), "(.{0,900}a){5}", "(((a{1,9}){1,9}){1,9}){1,9}", `(${"a?".repeat(400)}){900}`])
    assert.throws(() => checkPattern(huge), refused, huge.slice(0, 30));
  assert.ok(process.hrtime.bigint() - begun < 2_000_000_000n);
});

test("expressions that stall a backtracking engine are decided, in bounded time", () => {
  const hostile = ["(a+)+b", "(a|aa)+b", "(.*a){20}b", "([a-z]+)*\\d", "(x+x+)+y", "(.*)*(.*)*(.*)*z"];
  const permissions = hostile.flatMap((pattern): Permission[] => [
    { type: "DENY", pattern },
    { type: "ALLOW", pattern },
  ]);
  const begun = process.hrtime.bigint();
  for (const action of [`${"a".repeat(4_000)}!`, `${"x".repeat(4_000)}!`]) assert.equal(judge(permissions, action).allowed, false);
  assert.ok(process.hrtime.bigint() - begun < 5_000_000_000n);
});

test("work past the bound is refused, also where something would have allowed it", () => {
  const costly = Array.from({ length: 40 }, (_, at): Permission => ({ type: "DENY", pattern: `(.{0,${100 - at}}a){5}z` }));
  const verdict = judge([...costly, { type: "ALLOW", pattern: ".*" }], `z${"a".repeat(4_000)}`);
  assert.deepEqual([verdict.allowed, verdict.because], [false, "tooMuchWork"]);
  assert.equal(judge([...costly, { type: "ALLOW", pattern: ".*" }], "GET:/api/v5_3/cpi").allowed, true);
});

test("what every match has is plain text outside of choices and repetitions", () => {
  const prefix = (text: string) => patternOf(text)?.prefix;
  const inner = (text: string) => patternOf(text)?.inner;
  assert.equal(inner("GET:/api/v[0-9]+/virtualnode/[a-f]{12}/x"), "/virtualnode/");
  assert.equal(inner("a(/long-choice|b)/end?(/longer-than-all)*"), "/en");
  assert.equal(inner("/one/two|/three"), "");
  assert.equal(inner("x[/abcdef]y"), "x");
  assert.equal(prefix("GET:/api/v[0-9]"), "get:/api/v");
  assert.equal(prefix("GET:/ab?"), "get:/a");
  assert.equal(prefix("GET:/ab{0,2}"), "get:/a");
  assert.equal(prefix("GET:/a|POST:/b"), "");
  assert.equal(prefix("GET:/(a|b)"), "get:/");
  assert.equal(prefix("(?i)GET"), "");
});

test("the decision is that of the platform's own engine, where that can be trusted", () => {
  const atom = fc.constantFrom("a", "b", "/", "[ab]", "[^a]", ".", "\\.", "(a|b)", "(?:ab)", "a|b", "x");
  const quantified = fc
    .tuple(atom, fc.constantFrom("", "?", "*", "+", "{2}", "{0,2}"))
    .map(([one, many]) => (one === "a|b" ? one : one + many));
  const pattern = fc.array(quantified, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(""));
  const action = fc.array(fc.constantFrom("a", "B", "/", ".", "x"), { maxLength: 8 }).map((letters) => letters.join(""));
  fc.assert(
    fc.property(pattern, action, (text, asked) => {
      assert.equal(
        judge([{ type: "ALLOW", pattern: text }], asked).allowed,
        new RegExp(`^(?:${text})$`, "is").test(asked),
        `${text} on ${asked}`,
      );
    }),
    { numRuns: 2_000 },
  );
});
