import assert from "node:assert/strict";
import { test } from "node:test";
import { LoginLimits } from "./login-limits.ts";

const at = (login: string, source: string) => ({ login, source });

function fail(limits: LoginLimits, times: number, login: (time: number) => string, source: (time: number) => string, now = 0): void {
  for (let time = 0; time < times; time++) limits.failed(at(login(time), source(time)), now);
}

test("the wait doubles with each failure past the fifth, up to a quarter of an hour, and ends", () => {
  const limits = new LoginLimits();
  const waits = [];
  for (let time = 0; time < 20; time++) {
    limits.failed(at("a", "here"), 0);
    waits.push(limits.wait(at("a", "here"), 0));
  }
  assert.deepEqual(waits.slice(0, 8), [0, 0, 0, 0, 0, 1_000, 2_000, 4_000]);
  assert.equal(waits.at(-1), 15 * 60_000);
  assert.equal(limits.wait(at("a", "here"), 15 * 60_000), 0);
  assert.equal(limits.wait(at("a", "there"), 0), 0, "another source of that name");
  assert.equal(limits.wait(at("b", "here"), 0), 0, "another name of that source");
});

test("success forgets the failures, and an hour of quiet does", () => {
  const limits = new LoginLimits();
  fail(
    limits,
    5,
    () => "a",
    () => "here",
  );
  limits.succeeded(at("a", "here"));
  fail(
    limits,
    5,
    () => "a",
    () => "here",
  );
  assert.equal(limits.wait(at("a", "here"), 0), 0);
  limits.failed(at("a", "here"), 60 * 60_000);
  assert.equal(limits.wait(at("a", "here"), 60 * 60_000), 0);
});

test("a source that tries many names waits, and so does a name that many sources try", () => {
  const limits = new LoginLimits();
  fail(
    limits,
    51,
    (time) => `name ${time}`,
    () => "here",
  );
  assert.equal(limits.wait(at("new name", "here"), 0), 1_000);
  fail(
    limits,
    51,
    () => "admin",
    (time) => `source ${time}`,
  );
  assert.equal(limits.wait(at("admin", "elsewhere"), 0), 1_000);
});

test("nobody is held up where he has logged in by what others try", () => {
  const limits = new LoginLimits();
  limits.succeeded(at("admin", "office"));
  fail(
    limits,
    200,
    () => "admin",
    (time) => `source ${time % 100}`,
  );
  assert.equal(limits.wait(at("admin", "office"), 0), 0);
  assert.ok(limits.wait(at("admin", "elsewhere"), 0) > 0);
  fail(
    limits,
    6,
    () => "admin",
    () => "office",
  );
  assert.ok(limits.wait(at("admin", "office"), 0) > 0, "but by his own failures there");
});

test("names longer than any user's are one, so that none takes more room", () => {
  const limits = new LoginLimits();
  fail(
    limits,
    6,
    (time) => `${"x".repeat(255)}${time}`,
    () => "here",
  );
  assert.equal(limits.wait(at("x".repeat(300), "here"), 0), 1_000);
});

test("what is counted stays bounded", () => {
  const limits = new LoginLimits();
  fail(
    limits,
    6,
    () => "first",
    () => "here",
  );
  fail(
    limits,
    30_000,
    (time) => `n${time}`,
    (time) => `s${time}`,
  );
  assert.equal(limits.wait(at("first", "here"), 0), 0, "the oldest has made room");
});
