import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError, parseName, parseShortHash, type ShortHash } from "@bowline/base";
import { holdingIdentity } from "@bowline/crypto";
import { checkCreation, failureState, type Operation, operationStatus, userName, virtualNodeDatabase } from "./index.ts";

const alice = holdingIdentity(parseName("O=Alice, L=London, C=GB"), "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad");
const operation = (state: Operation["state"], errors: string | null = null): Operation => ({
  requestId: alice.shortHash,
  type: "CREATE_VIRTUAL_NODE",
  data: { x500Name: alice.x500Name, groupId: alice.groupId, cpiFileChecksum: alice.fullHash },
  state,
  errors,
  updatedAt: 0,
});
const refusal = (there: Parameters<typeof checkCreation>[1]): string | undefined => {
  try {
    checkCreation(alice, there);
    return undefined;
  } catch (error) {
    return error instanceof BowlineError ? error.code : String(error);
  }
};

test("An identity may be created when it is new, and again after a failure", () => {
  const known = { fullHash: alice.fullHash, exists: false } as const;
  assert.equal(refusal(undefined), undefined);
  assert.equal(refusal({ ...known, operation: "MIGRATIONS_FAILED" }), undefined);
  assert.equal(refusal({ ...known, operation: "ACCEPTED" }), "vnode.inProgress");
  assert.equal(refusal({ ...known, operation: "IN_PROGRESS" }), "vnode.inProgress");
  assert.equal(refusal({ ...known, exists: true, operation: "COMPLETED" }), "vnode.exists");
  assert.equal(refusal({ ...known, fullHash: `${alice.fullHash.slice(0, -1)}0`, operation: undefined }), "vnode.hashCollision");
});

test("A status tells the resource after success only, and the reason after failure only", () => {
  assert.deepEqual(operationStatus(operation("COMPLETED")).resourceId, alice.shortHash);
  assert.equal(operationStatus(operation("IN_PROGRESS")).resourceId, null);
  const failed = operationStatus(operation("MIGRATIONS_FAILED", "why"));
  assert.deepEqual([failed.status, failed.processingStage, failed.errorReason], ["FAILED", "Migration", "why"]);
});

test("A failure is named by what threw", () => {
  assert.equal(failureState(new BowlineError("unavailable", "migration.newer", "x")), "MIGRATIONS_FAILED");
  assert.equal(failureState(new BowlineError("conflict", "membership.notaryServiceTaken", "x")), "VALIDATION_FAILED");
  assert.equal(failureState(new BowlineError("unavailable", "database.unavailable", "x")), "UNEXPECTED_FAILURE");
  assert.equal(failureState(new TypeError("x")), "UNEXPECTED_FAILURE");
});

test("Schemas and users have the original's names, and fit PostgreSQL whatever the database is called", () => {
  const plan = virtualNodeDatabase("uniqueness", parseShortHash("0123456789AB") as ShortHash);
  assert.equal(plan.schema, "vnode_uniq_0123456789ab");
  assert.equal(userName("bowline", plan.schema, "dml"), "bowline_vnode_uniq_0123456789ab_dml");
  for (const database of ["Weird name", "x".repeat(63), "ünï"])
    assert.match(userName(database, plan.schema, "ddl"), /^db_[0-9a-f]{12}_vnode_uniq_0123456789ab_ddl$/);
});
