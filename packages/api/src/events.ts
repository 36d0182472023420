// Server-sent events (the WHATWG's `text/event-stream`): how they are written, and how they are read again piece by piece.

export { followVault } from "./vault.ts";

export interface ServerEvent {
  /** Undefined where the stream gave none. */
  readonly id: string | undefined;
  readonly type: string;
  readonly data: string;
}

/** Neither `id` nor `type` holds a line end. */
export function writeEvent({ id, type, data }: ServerEvent): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `${id === undefined ? "" : `id: ${id}\n`}event: ${type}\n${lines.join("")}\n`;
}

/** A line that readers skip: it keeps a quiet connection open. */
export const HEARTBEAT = ":\n\n";

/** How long a reader waits before it connects again. */
export const writeRetry = (durationMs: number): string => `retry: ${durationMs}\n\n`;

/** The longest event that a reader takes. */
const EVENT_LENGTH_MAX = 32 * 1024 * 1024;

/** Takes the text of a stream as it arrives; answers the events that are whole now. An event without an end is none. */
export function createEventReader(): (text: string) => readonly ServerEvent[] {
  let rest = "";
  let event: { id: string | undefined; type: string; data: string[] } = { id: undefined, type: "message", data: [] };

  function take(line: string): ServerEvent | undefined {
    if (line === "") {
      const { id, type, data } = event;
      event = { id, type: "message", data: [] }; // The last id stays until another is given.
      return data.length === 0 ? undefined : { id, type, data: data.join("\n") };
    }
    const [, field = "", value = ""] = /^([^:]*)(?::\x20?(.*))?$/s.exec(line) ?? [];
    if (field === "data") event.data.push(value);
    else if (field === "event") event.type = value;
    else if (field === "id" && !value.includes("\0")) event.id = value;
    return undefined;
  }

  return (text) => {
    const events: ServerEvent[] = [];
    rest += text;
    // A carriage return at the very end may be the first half of a line end.
    for (
      let found = LINE_END.exec(rest);
      found !== null && !(found[0] === "\r" && found.index === rest.length - 1);
      found = LINE_END.exec(rest)
    ) {
      const taken = take(rest.slice(0, found.index));
      rest = rest.slice(found.index + found[0].length);
      if (taken !== undefined) events.push(taken);
    }
    if (rest.length > EVENT_LENGTH_MAX) throw new RangeError(`An event has at most ${EVENT_LENGTH_MAX} characters.`);
    return events;
  };
}

const LINE_END = /\r\n|\r|\n/;
