// What runs inside an isolate, between the bundle and the host. It never runs here: only the text of these
// functions is used, so that each may name nothing outside itself.
//
// Guarantees: whatever the bundle answers leaves as one string, made while the run's time limit counts. Getters, proxies and
// classes of author code therefore run in here, in time, or not at all; the host parses text and never touches an object.

import type { ContractViolation, CordappBundle, Delivery, FiberStart, StateDescription } from "@bowline/sdk";

/** Answers are JSON text in the notation of `wire.ts`. */
export interface Inside {
  manifest(): string;
  activate(starts: readonly FiberStart[], deliveries: readonly Delivery[]): string;
  collect(): string;
  drop(fiber: string): void;
  check(transaction: never, contracts: readonly string[], outputs: readonly { readonly type: string; readonly data: never }[]): string;
}

export interface Answers {
  /** In the notation; throws on what cannot be said in it. */
  text(value: unknown): string;
  /** What `work` answers, or why it threw: always JSON. */
  attempt(work: () => string): string;
}

export function answersWithin(depthMax: number, charsMax: number): Answers {
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

  /** A fresh tree of what JSON can say. */
  const wire = (value: unknown, depth: number): unknown => {
    if (depth > depthMax) throw new TypeError(`it nests deeper than ${depthMax} levels`);
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value === "bigint") return { "#": `n${value}` };
    if (typeof value !== "object") throw new TypeError(`it holds a ${typeof value}`);
    if (Array.isArray(value)) return value.map((item) => wire(item, depth + 1));
    if (value instanceof Uint8Array) {
      const bytes = new Uint8Array(value.length);
      bytes.set(value);
      return { "#": `b${base64(bytes)}` };
    }
    // Pairs, and not members: a key such as __proto__ stays a key.
    const pairs: [string, unknown][] = [];
    for (const [key, member] of Object.entries(value))
      if (member !== undefined) pairs.push([key.startsWith("#") ? `#${key}` : key, wire(member, depth + 1)]);
    return Object.fromEntries(pairs);
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
    text(value) {
      const written = JSON.stringify(wire(value, 0));
      if (written.length > charsMax) throw new TypeError(`it takes ${written.length} characters, more than ${charsMax}`);
      return written;
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

export function inside(bundle: ReturnType<CordappBundle["handOver"]>, { text, attempt }: Answers): Inside {
  return {
    manifest: () => attempt(() => text(bundle.manifest)),
    activate: (starts, deliveries) =>
      attempt(() => {
        for (const start of starts) bundle.start(start);
        bundle.deliver(deliveries);
        return "null";
      }),
    collect: () =>
      attempt(() => {
        // Each by itself, so that one flow's unsayable answer is that flow's failure alone.
        const reports = [...bundle.collect()].map((report) => {
          const fiber = JSON.stringify(String(report.fiber));
          return `{"fiber":${fiber},"report":${attempt(() => text(report))}}`;
        });
        return `[${reports.join(",")}]`;
      }),
    drop: (fiber) => bundle.drop(fiber),
    check: (transaction, contracts, outputs) =>
      attempt(() => {
        const violations: ContractViolation[] = [...bundle.verify(transaction, contracts)];
        const descriptions: StateDescription[] = violations.length === 0 ? outputs.map((output) => bundle.describeState(output)) : [];
        return text({ violations, outputs: descriptions });
      }),
  };
}
