import assert from "node:assert/strict";
import { test } from "node:test";
import { BowlineError } from "@bowline/base";
import { explainFailure, explainFileError, isLingering } from "./postgres-failure.ts";

const explained = (output: string) => explainFailure({ output, dataFolder: "/home/data", logFile: "/home/log" });

test("what the server prints is told in one sentence with what to do", () => {
  const cases: readonly (readonly [output: string, code: string, words: RegExp])[] = [
    ['FATAL:  could not write to file "pg_wal/xlogtemp.9": No space left on device', "postgres.diskFull", /is full\. Free some space/],
    ["PANIC:  could not locate a valid checkpoint record at 0/14A2B70", "postgres.dataDamaged", /Restore it from a backup/],
    [
      'LOG:  starting\nFATAL:  could not open file "global/pg_filenode.map": No such file or directory',
      "postgres.dataDamaged",
      /bowline reset/,
    ],
    ["FATAL:  database files are incompatible with server", "postgres.dataVersion", /another version/],
    [
      "postgres: error while loading shared libraries: libicuuc.so.60: cannot open shared object file",
      "postgres.binariesUnusable",
      /BOWLINE_DATABASE_URL/,
    ],
    ["FATAL:  something nobody has seen", "postgres.startFailed", /something nobody has seen\. Its log is \/home\/log\./],
    ["", "postgres.startFailed", /it said nothing/],
  ];
  for (const [output, code, words] of cases) {
    const error = explained(output);
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.ok(!error.message.includes("\n"));
  }
});

test("only a predecessor that is still going away is worth another attempt", () => {
  assert.ok(isLingering('FATAL:  lock file "postmaster.pid" already exists'));
  assert.ok(isLingering("FATAL:  pre-existing shared memory block (key 5432001, ID 3) is still in use"));
  assert.ok(!isLingering("PANIC:  could not locate a valid checkpoint record"));
});

test("our own file operations are told in the same words", () => {
  const failing = (code: string) => Object.assign(new Error(code), { code, path: "/home/x" });
  const code = (error: unknown) => (error instanceof BowlineError ? error.code : undefined);
  assert.equal(code(explainFileError(failing("ENOSPC"), "/home")), "postgres.diskFull");
  assert.equal(code(explainFileError(failing("EROFS"), "/home")), "postgres.folderUnwritable");
  const other = failing("EISDIR");
  assert.equal(explainFileError(other, "/home"), other);
});
