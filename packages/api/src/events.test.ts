import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createEventReader, HEARTBEAT, type ServerEvent, writeEvent, writeRetry } from "./events.ts";

test("Events are read as they were written, however the stream is cut into pieces", () => {
  const word = fc.string({ maxLength: 8 }).map((text) => text.replaceAll(/[\r\n\0]/g, ""));
  const event = fc.record({ id: fc.nat().map(String), type: word.filter((text) => text !== ""), data: fc.string({ unit: "grapheme" }) });
  fc.assert(
    fc.property(fc.array(event), fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1 }), (events, sizes) => {
      const text = writeRetry(5) + events.map((each) => HEARTBEAT + writeEvent(each)).join("");
      const read = createEventReader();
      const found: ServerEvent[] = [];
      for (let at = 0, turn = 0; at < text.length; turn++) {
        const size = sizes[turn % sizes.length] as number;
        found.push(...read(text.slice(at, at + size)));
        at += size;
      }
      assert.deepEqual(
        found,
        events.map((each) => ({ ...each, data: each.data.replaceAll(/\r\n|\r/g, "\n") })),
      );
    }),
  );
});

test("Streams of other servers are read too: any line end, no space, an id that stays, an end that is missing", () => {
  const read = createEventReader();
  assert.deepEqual(read("id:7\rdata:a\r\rdata: b\r\n\r\n: comment\nretry: 5\n\ndata\n\ndata: lost"), [
    { id: "7", type: "message", data: "a" },
    { id: "7", type: "message", data: "b" },
    { id: "7", type: "message", data: "" },
  ]);
});
