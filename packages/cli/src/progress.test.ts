import assert from "node:assert/strict";
import { test } from "node:test";
import { createProgress, renderBar } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

/** A clock that stands at what the test says, and a terminal that remembers what it was sent. */
function watched(interactive: boolean) {
  const seen = { text: "", now: 0 };
  const err = (text: string): void => {
    seen.text += text;
  };
  const terminal = { interactive, columns: { out: 40, err: 40 }, err } as unknown as Terminal;
  return { seen, progress: createProgress(terminal, () => seen.now) };
}

test("a log gets one line when a step begins, one when it ends, and a bar only now and then", () => {
  const { seen, progress } = watched(false);
  progress.step("Importing");
  progress.detail("which no log needs");
  for (let done = 1; done <= 100; done++) progress.bar(done, 100);
  seen.now = 1_500;
  progress.done();
  progress.step("Settling");
  progress.failed("The network is away.");
  assert.equal(
    seen.text,
    "Importing …\n  25 of 100\n  50 of 100\n  75 of 100\nImporting: done in 1.5 s\nSettling …\nSettling: failed\nThe network is away.\n",
  );
});

test("on a terminal a running step stays on one line of its width, and notes stand above it", () => {
  const { seen, progress } = watched(true);
  progress.step("Importing a file with quite a long name");
  progress.bar(10, 100, "3 refused");
  progress.note("A note");
  progress.done("Imported");
  progress.close();
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what moves the cursor is what is looked at.
  const lines = seen.text.split("\n").map((line) => line.split("\r\u001b[2K").map((part) => part.replaceAll(/\u001b\[[0-9;]*m/g, "")));
  for (const part of lines.flat()) assert.ok([...part].length < 40, part);
  assert.deepEqual(
    lines.map((parts) => parts.at(-1)),
    ["A note", "✓ Imported 0.0 s", ""],
  );
});

test("a bar is as full as the work is done", () => {
  assert.equal(renderBar(0, 4), "[························] 0/4");
  assert.equal(renderBar(2, 4), "[████████████············] 2/4");
  assert.equal(renderBar(4, 4), "[████████████████████████] 4/4");
  assert.equal(renderBar(0, 0), "[████████████████████████] 0/0");
});
