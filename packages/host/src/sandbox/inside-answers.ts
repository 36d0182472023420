// How code inside an isolate says what leaves it. Nothing here ever runs outside: only the text of these functions is used, so that each
// may name nothing but its arguments.
//
// Guarantees: what is said is JSON in the notation of `answers.ts`, made of strings of our own; bytes that leave apart are bytes as V8
// has them, whatever their object says of itself; of what is too large nothing is kept.

import type { FiberReport } from "@bowline/sdk";

export interface AnswerLimits {
  readonly depthMax: number;
  readonly charsMax: number;
  readonly apartBytesMin: number;
  readonly stepBytesMax: number;
  readonly activationBytesMax: number;
  readonly pieceBytesMax: number;
  readonly stackCharsMax: number;
}

// --- Bytes ---

/** Bytes that leave apart from the text: announced with it, and taken piece by piece. */
export interface Apart {
  /** Throws on what only pretends to be bytes. */
  sizeOf(bytes: Uint8Array): number;
  /** The number that stands for them in the text. */
  hold(bytes: Uint8Array): number;
  /** How many bytes are to be announced. */
  waiting(): number;
  /** All that was held since so many waited was never said. */
  forgetFrom(waiting: number): void;
  /** What was held since the last call: by number, how many bytes. */
  announce(): readonly (readonly [id: number, size: number])[];
  /** A fresh copy of the next piece; null where there is none. The last one forgets them. */
  piece(id: number, from: number): Uint8Array | null;
}

export function apartWithin({ pieceBytesMax }: AnswerLimits): Apart {
  const { apply } = Reflect;
  const own = (name: "byteLength" | "byteOffset" | "buffer") => {
    const getter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name)?.get as () => never;
    return (bytes: Uint8Array): never => apply(getter, bytes, []);
  };
  const [sizeOf, offsetOf, bufferOf] = [own("byteLength"), own("byteOffset"), own("buffer")];
  const held = new Map<number, Uint8Array>();
  let ids = 0;
  let announced: (readonly [id: number, size: number])[] = [];
  let waiting = 0;
  return {
    sizeOf,
    hold(bytes) {
      const size: number = sizeOf(bytes);
      held.set(++ids, bytes);
      announced.push([ids, size]);
      waiting += size;
      return ids;
    },
    waiting: () => waiting,
    forgetFrom(before) {
      while (waiting > before) {
        const [id, size] = announced.pop() as readonly [number, number];
        held.delete(id);
        waiting -= size;
      }
    },
    announce() {
      const said = announced;
      announced = [];
      waiting = 0;
      return said;
    },
    piece(id, from) {
      const bytes = held.get(id);
      const left = bytes === undefined ? 0 : sizeOf(bytes) - from;
      if (bytes === undefined || left <= 0) return null;
      if (left <= pieceBytesMax) held.delete(id);
      const piece = new Uint8Array(Math.min(left, pieceBytesMax));
      piece.set(new Uint8Array(bufferOf(bytes), offsetOf(bytes) + from, piece.length));
      return piece;
    },
  };
}

// --- The notation ---

/** A value as text; throws on what cannot be said. Where bytes may leave apart, many of them do. */
export type Say = (value: unknown, mayLeaveApart: boolean) => string;

export function notationWithin({ depthMax, apartBytesMin }: AnswerLimits, apart: Apart): Say {
  const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  const base64 = (bytes: Uint8Array): string => {
    let text = "";
    for (let i = 0; i < bytes.length; i += 3) {
      const a = bytes[i] as number;
      const b = bytes[i + 1] ?? 0;
      const c = bytes[i + 2] ?? 0;
      text += `${BASE64[a >> 2]}${BASE64[((a & 3) << 4) | (b >> 4)]}`;
      text += i + 1 < bytes.length ? BASE64[((b & 15) << 2) | (c >> 6)] : "=";
      text += i + 2 < bytes.length ? BASE64[c & 63] : "=";
    }
    return text;
  };

  const bytesText = (value: Uint8Array, mayLeaveApart: boolean): string => {
    const size = apart.sizeOf(value);
    if (mayLeaveApart && size >= apartBytesMin) return `a${apart.hold(value)}`;
    const bytes = new Uint8Array(size);
    bytes.set(value);
    return `b${base64(bytes)}`;
  };

  /** A fresh tree of what JSON can say. */
  const wire = (value: unknown, depth: number, mayLeaveApart: boolean): unknown => {
    if (depth > depthMax) throw new TypeError(`it nests deeper than ${depthMax} levels`);
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value === "bigint") return { "#": `n${value}` };
    if (typeof value !== "object") throw new TypeError(`it holds a ${typeof value}`);
    if (Array.isArray(value)) return value.map((item) => wire(item, depth + 1, mayLeaveApart));
    if (value instanceof Uint8Array) return { "#": bytesText(value, mayLeaveApart) };
    // Pairs, and not members: a key such as __proto__ stays a key.
    const pairs: [string, unknown][] = [];
    for (const [key, member] of Object.entries(value))
      if (member !== undefined) pairs.push([key.startsWith("#") ? `#${key}` : key, wire(member, depth + 1, mayLeaveApart)]);
    return Object.fromEntries(pairs);
  };
  return (value, mayLeaveApart) => JSON.stringify(wire(value, 0, mayLeaveApart));
}

// --- Answers ---

export interface Answers {
  /** In the notation; throws on what cannot be said in it. */
  text(value: unknown): string;
  /** Of a report, in the notation; steps that are too large are named with what is too much about them. */
  reportText(report: FiberReport): string;
  /** What `work` answers, or why it threw: always JSON. */
  attempt(work: () => string): string;
}

/** Where in the bundle an error was made: of its stack, which author code cannot see, what lies there. */
export type TraceOf = (thrown: unknown) => { readonly stack?: string };

export function tracesWithin({ stackCharsMax }: AnswerLimits, stackOf: (error: Error) => string): TraceOf {
  return (thrown) => {
    try {
      if (!(thrown instanceof Error)) return {};
      const places = String(stackOf(thrown)).match(/^ *at .*\bcordapp\.js:\d+:\d+\)?$/gm) ?? [];
      return places.length === 0 ? {} : { stack: places.join("\n").slice(0, stackCharsMax) };
    } catch {
      return {};
    }
  };
}

export function answersWithin(
  { charsMax, stepBytesMax, activationBytesMax }: AnswerLimits,
  { say, apart, traceOf }: { readonly say: Say; readonly apart: Apart; readonly traceOf: TraceOf },
): Answers {
  /** What is said and how, or what is too much about it; of that nothing is kept. */
  const fit = (value: unknown, charsLeft: number): { readonly text: string } | { readonly excess: string } => {
    const before = apart.waiting();
    try {
      const written = say(value, true);
      const bytes = apart.waiting() - before;
      if (written.length <= charsLeft && bytes <= stepBytesMax && apart.waiting() <= activationBytesMax) return { text: written };
      apart.forgetFrom(before);
      return { excess: written.length > charsLeft ? `${written.length} characters` : `${bytes} bytes` };
    } catch (thrown) {
      apart.forgetFrom(before);
      throw thrown;
    }
  };
  const text = (value: unknown): string => {
    const written = say(value, false);
    if (written.length > charsMax) throw new TypeError(`it takes ${written.length} characters, more than ${charsMax}`);
    return written;
  };
  /** Each step by itself: one that asks too much fails, and what else the fiber did goes on. */
  const stepByStep = ({ syscalls, logs }: FiberReport): string => {
    const steps: string[] = []; // Our own list: one of author code's might join as it likes.
    let charsLeft = charsMax;
    for (const { path, call } of syscalls) {
      const step = fit({ path, call }, charsLeft);
      steps.push("text" in step ? step.text : text({ path, kind: call.kind, excess: step.excess }));
      if ("text" in step) charsLeft -= step.text.length;
    }
    return `{"logs":${text(logs)},"syscalls":[${steps.join(",")}]}`;
  };
  /** Whatever was thrown, as words. */
  const reason = (thrown: unknown): string => {
    try {
      return thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    } catch {
      return "something that cannot be described";
    }
  };
  return {
    text,
    reportText(report) {
      const { finished, thrown, ...rest } = report;
      if (finished !== undefined) return text({ ...rest, syscalls: [], finished, ...traceOf(thrown) });
      const whole = fit(rest, charsMax);
      return "text" in whole ? whole.text : stepByStep(rest);
    },
    attempt(work) {
      try {
        return `{"ok":${work()}}`;
      } catch (thrown) {
        return JSON.stringify({ thrown: String(reason(thrown)).slice(0, 1_000) });
      }
    },
  };
}
