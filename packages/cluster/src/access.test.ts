import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { accessDecision, type Permission } from "./access.ts";
import { BUILT_IN_ROLES, flowExecutorRole } from "./built-in-roles.ts";
import { checkPassword, hashPassword, NOBODYS_PASSWORD } from "./password.ts";

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
