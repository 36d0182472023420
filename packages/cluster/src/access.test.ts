import assert from "node:assert/strict";
import { test } from "node:test";
import type { Sql } from "@bowline/base";
import fc from "fast-check";
import { createAccess } from "./access.store.ts";
import { accessDecision, covers, type Permission, unlimited } from "./access.ts";
import { BUILT_IN_ROLES, flowExecutorRole } from "./built-in-roles.ts";
import { RBAC } from "./config-sections.ts";
import { checkPassword, hashPassword, NOBODYS_PASSWORD } from "./password.ts";
import { checkNewPassword, expiryAfterChange, expiryOf, PASSWORD_POLICY } from "./password-policy.ts";

const allow = (pattern: string): Permission => ({ type: "ALLOW", pattern });
const deny = (pattern: string): Permission => ({ type: "DENY", pattern });
const role = (name: string) => accessDecision(BUILT_IN_ROLES.find((each) => each.name === name)?.permissions ?? []);

test("Nothing is allowed unless something allows it", () => {
  assert.equal(accessDecision([])("GET:/api/v5_2/cpi"), false);
  assert.equal(accessDecision([allow("GET:/api/v5_2/cpi")])("GET:/api/v5_2/cpi"), true);
});

test("A pattern matches the whole action, in either case", () => {
  const decide = accessDecision([allow("GET:/api/v5_2/cpi|StartFlow:com.example.*")]);
  assert.equal(decide("get:/API/v5_2/CPI"), true);
  assert.equal(decide("GET:/api/v5_2/cpi/status/1"), false);
  assert.equal(decide("xGET:/api/v5_2/cpi"), false);
  assert.equal(decide("StartFlow:com.example.Pay"), true);
});

test("A denial wins over every allowance, in whatever order they stand", () => {
  const permissions = [allow(".*"), deny("POST:.*"), allow("POST:/api/v5_2/cpi")];
  fc.assert(
    fc.property(fc.shuffledSubarray(permissions, { minLength: 3 }), (shuffled) => {
      assert.equal(accessDecision(shuffled)("POST:/api/v5_2/cpi"), false);
      assert.equal(accessDecision(shuffled)("GET:/api/v5_2/cpi"), true);
    }),
  );
});

test("A pattern that cannot be read denies everything, or allows nothing", () => {
  assert.equal(accessDecision([allow("(")])("("), false);
  assert.equal(accessDecision([allow(".*"), deny("(")])("GET:/api/v5_2/cpi"), false);
});

test("An action that goes on after a line break is not its beginning", () => {
  assert.equal(accessDecision([allow("GET:/a")])("GET:/a\nb"), false);
});

test("The built-in roles allow what they are for, in every version", () => {
  const creator = role("VNodeCreatorRole");
  const uuid = "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad";
  for (const action of ["POST:/api/v5_2/cpi", `GET:/api/v5_3/cpi/status/${uuid}`, "GET:/api/v5_1/virtualnode/0123456789AB"])
    assert.equal(creator(action), true, action);
  for (const action of ["POST:/api/v5_2/user", "GET:/api/v5_1/virtualnode/0123456789ABC", "StartFlow:com.example.Pay"])
    assert.equal(creator(action), false, action);
  assert.equal(role("UserAdminRole")("GET:/api/v5_2/user/some.body%40example.com"), true);
  assert.equal(role("Default System Admin")("StartFlow:anything"), true);
});

test("Whoever executes flows of one virtual node reaches no other", () => {
  const decide = accessDecision(flowExecutorRole("0123456789AB").permissions);
  const flow = "/api/v5_3/flow/0123456789AB";
  for (const action of [
    "POST:/api/v5_2/flow/0123456789AB",
    `POST:${flow}?waitMs=5000`,
    "POST:/api/v5_3/flowclass/0123456789AB/com.example.Pay?clientRequestId=r-1",
    `GET:${flow}/r-1/result?waitMs=5000`,
    `GET:${flow}/r-1/events`,
    "StartFlow:com.example.Pay",
  ])
    assert.equal(decide(action), true, action);
  for (const action of [
    "POST:/api/v5_2/flow/BA9876543210",
    "POST:/api/v5_3/flowclass/BA9876543210/com.example.Pay",
    `POST:${flow}/r-1/kill`,
    `GET:${flow}/r-1/journal`,
    "ReadJournal:com.example.Pay",
    "GET:/api/v5_2/cpi",
  ])
    assert.equal(decide(action), false, action);
});

test("A password matches its own hash only", async () => {
  const stored = await hashPassword("pässword", new Uint8Array(16).fill(7));
  assert.match(stored, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.equal(await checkPassword("pässword", stored), true);
  assert.equal(await checkPassword("pa\u0308ssword", stored), true, "the same text in another form of Unicode");
  assert.equal(await checkPassword("password", stored), false);
  assert.equal(await checkPassword("pässword", "plain"), false);
  assert.equal(await checkPassword("anything", NOBODYS_PASSWORD), false);
});

test("Nobody gives more than he holds, judged by the texts of permissions", () => {
  const held = [allow("GET:.*"), allow("POST:/a")];
  assert.equal(covers(held, [allow("POST:/a")]), true);
  assert.equal(covers(held, [allow("GET:/a")]), false, "which .* would match, and no machine can say so of any two expressions");
  assert.equal(covers(held, [deny(".*")]), true);
  assert.equal(covers([allow(".*")], [allow("anything")]), true);
  assert.equal(covers([...held, deny("GET:/secret")], [allow("GET:.*")]), false, "it would give what he is denied");
  assert.equal(covers([...held, deny("GET:/secret")], [allow("GET:.*"), deny("GET:/secret")]), true);
  assert.equal(covers([], []), true);
  assert.equal(unlimited([allow(".*")]), true);
  assert.equal(unlimited([allow(".*"), deny("x")]), false);
});

test("What is given is never allowed more than its giver, whatever the permissions", () => {
  const pattern = fc.constantFrom(".*", "a", "b", "a|b", "[ab]", "b.*");
  const permissions = fc.array(fc.record({ type: fc.constantFrom("ALLOW" as const, "DENY" as const), pattern }), { maxLength: 4 });
  fc.assert(
    fc.property(permissions, permissions, fc.constantFrom("a", "b", "bb", "c"), (held, given, action) => {
      if (covers(held, given) && accessDecision(given)(action)) assert.equal(accessDecision(held)(action), true);
    }),
    { numRuns: 2_000 },
  );
});

test("A decision that was asked before is answered as before", () => {
  const decide = accessDecision([allow("GET:/[0-9]+"), deny("GET:/7+")]);
  for (let round = 0; round < 2; round++) for (let at = 0; at < 1_500; at++) assert.equal(decide(`GET:/${at}`), !/^7+$/.test(String(at)));
});

test("A name that nobody has costs the derivation of one that somebody has", async () => {
  const stored = await hashPassword("right", new Uint8Array(16));
  const derived: string[] = [];
  const row = { id: "1", login_name: "there", enabled: true, hashed_password: stored, password_expiry: null, update_ts: new Date(0) };
  const users: Sql = {
    query: async <Row>(_: unknown, [login]: readonly unknown[] = []) =>
      (login === "there" || login === "passwordless" ? [{ ...row, hashed_password: login === "there" ? stored : null }] : []) as Row[],
  };
  const { access } = createAccess(users, {
    now: () => 0,
    policy: async () => PASSWORD_POLICY,
    checkPassword(password, against) {
      derived.push(against.slice(0, against.lastIndexOf("=") + 2));
      return checkPassword(password, against);
    },
  });
  const log = (login: string, password: string) => access.authenticate({ login, password, source: login });
  assert.equal((await log("there", "right")).kind, "known");
  for (const login of ["there", "not-there", "passwordless"]) assert.deepEqual(await log(login, "wrong"), { kind: "unknown" });
  assert.deepEqual(
    derived,
    Array.from({ length: 4 }, () => "$argon2id$v=19$m=19456,t=2,p=1"),
  );
  // Past its failures a name is not looked at, neither with a derivation nor without one that another has.
  for (const login of ["there", "not-there"]) {
    const kinds = [];
    for (let time = 0; time < 8; time++) kinds.push((await log(login, "wrong")).kind);
    assert.deepEqual(kinds, ["unknown", "unknown", "unknown", "unknown", "unknown", "wait", "wait", "wait"], login);
  }
  assert.equal(derived.length, 14);
});

test("Passwords hold as long as the section corda.rbac says", () => {
  const day = 86_400_000;
  const policy = { ...PASSWORD_POLICY, userPasswordChangeExpiry: 40, passwordExpiryWarningWindow: 5 };
  assert.equal(expiryAfterChange(policy, true, 0), 40 * day);
  assert.equal(expiryAfterChange(policy, false, 0), 7 * day);
  assert.deepEqual(expiryOf(40 * day, policy), { from: 40 * day, warnedFrom: 35 * day });
  assert.deepEqual(expiryOf(null, policy), { from: Number.POSITIVE_INFINITY, warnedFrom: Number.POSITIVE_INFINITY });
  checkNewPassword("four", policy, "next");
  assert.throws(() => checkNewPassword("four", policy, "first"), { code: "access.passwordInvalid" });
  for (const bad of ['{"password":{"userPasswordChangeExpiry":29}}', '{"password":{"other":1}}'])
    assert.throws(() => RBAC.read(bad), { code: "input.invalid" }, bad);
});
