// What runs inside an isolate, between the bundle and the host. It never runs here: only the text of these
// functions is used, so that each may name nothing outside itself.
//
// Guarantees: whatever the bundle answers leaves as one string, made while the run's time limit counts. Getters, proxies and
// classes of author code therefore run in here, in time, or not at all; the host parses text and never touches an object. Where a
// step hands over many bytes the string says only how many, and the host takes them piece by piece, as fresh copies.
// Each virtual node has the bundle's modules to itself, evaluated in a compartment of its own: what code of one keeps, code of
// another never meets, and what it says of another's flow is not heard.

import type { ContractViolation, CordappBundle, Delivery, FiberReport, FiberStart, StateDescription } from "@bowline/sdk";

/** Answers are JSON text in the notation of `answers.ts`. */
export interface Inside {
  manifest(): string;
  activate(starts: readonly FiberStart[], deliveries: readonly Delivery[]): string;
  /** What fibers report, and the bytes that wait to be taken apart from it. */
  collect(): string;
  /** The next piece of such bytes; null where there is none. The last one forgets them. */
  piece(id: number, from: number): Uint8Array | null;
  drop(fiber: string): void;
  check(
    domain: string,
    transaction: never,
    contracts: readonly string[],
    outputs: readonly { readonly type: string; readonly data: never }[],
  ): string;
}

export interface Answers {
  /** In the notation; throws on what cannot be said in it. */
  text(value: unknown): string;
  /** Of a report, in the notation; steps that are too large are named with what is too much about them. */
  reportText(report: FiberReport): string;
  /** What `work` answers, or why it threw: always JSON. */
  attempt(work: () => string): string;
  /** Bytes that were said since the last call and are not in the text: by number, how many. */
  apart(): readonly (readonly [id: number, size: number])[];
  /** See `Inside`. */
  piece(id: number, from: number): Uint8Array | null;
}

export interface AnswerLimits {
  readonly depthMax: number;
  readonly charsMax: number;
  readonly apartBytesMin: number;
  readonly stepBytesMax: number;
  readonly activationBytesMax: number;
  readonly pieceBytesMax: number;
}

export function answersWithin(limits: AnswerLimits): Answers {
  const { depthMax, charsMax, apartBytesMin, stepBytesMax, activationBytesMax, pieceBytesMax } = limits;
  const { apply } = Reflect;
  /** Of bytes as V8 has them, whatever their object says of itself; throws on what only pretends to be any. */
  const own = (name: "byteLength" | "byteOffset" | "buffer") => {
    const getter = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), name)?.get as () => never;
    return (bytes: Uint8Array): never => apply(getter, bytes, []);
  };
  const [sizeOf, offsetOf, bufferOf] = [own("byteLength"), own("byteOffset"), own("buffer")];
  const held = new Map<number, Uint8Array>();
  let apartIds = 0;
  /** Of this activation. */
  let waiting: (readonly [id: number, size: number])[] = [];
  let waitingBytes = 0;

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

  /** Of what waits, all from place `from` on was never said. */
  const forget = (from: number): void => {
    for (const [id, size] of waiting.splice(from)) {
      waitingBytes -= size;
      held.delete(id);
    }
  };

  const bytesText = (value: Uint8Array, mayLeaveApart: boolean): string => {
    const size: number = sizeOf(value);
    if (mayLeaveApart && size >= apartBytesMin) {
      const id = ++apartIds;
      held.set(id, value);
      waiting.push([id, size]);
      waitingBytes += size;
      return `a${id}`;
    }
    const bytes = new Uint8Array(size);
    bytes.set(value);
    return `b${base64(bytes)}`;
  };

  /** A fresh tree of what JSON can say. */
  const wire = (value: unknown, depth: number, apart: boolean): unknown => {
    if (depth > depthMax) throw new TypeError(`it nests deeper than ${depthMax} levels`);
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    if (typeof value === "bigint") return { "#": `n${value}` };
    if (typeof value !== "object") throw new TypeError(`it holds a ${typeof value}`);
    if (Array.isArray(value)) return value.map((item) => wire(item, depth + 1, apart));
    if (value instanceof Uint8Array) return { "#": bytesText(value, apart) };
    // Pairs, and not members: a key such as __proto__ stays a key.
    const pairs: [string, unknown][] = [];
    for (const [key, member] of Object.entries(value))
      if (member !== undefined) pairs.push([key.startsWith("#") ? `#${key}` : key, wire(member, depth + 1, apart)]);
    return Object.fromEntries(pairs);
  };

  /** What is said and how, or what is too much about it; of that nothing is kept. */
  const fit = (value: unknown, charsLeft: number): { readonly text: string } | { readonly excess: string } => {
    const from = waiting.length;
    const bytesBefore = waitingBytes;
    try {
      const written = JSON.stringify(wire(value, 0, true));
      const bytes = waitingBytes - bytesBefore;
      if (written.length <= charsLeft && bytes <= stepBytesMax && waitingBytes <= activationBytesMax) return { text: written };
      forget(from);
      return { excess: written.length > charsLeft ? `${written.length} characters` : `${bytes} bytes` };
    } catch (thrown) {
      forget(from);
      throw thrown;
    }
  };

  const text = (value: unknown): string => {
    const written = JSON.stringify(wire(value, 0, false));
    if (written.length > charsMax) throw new TypeError(`it takes ${written.length} characters, more than ${charsMax}`);
    return written;
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
      const { finished, ...rest } = report;
      if (finished !== undefined) return text({ ...rest, syscalls: [], finished });
      const whole = fit(rest, charsMax);
      if ("text" in whole) return whole.text;
      // Each step by itself: one that asks too much fails, and what else the fiber did goes on.
      const steps: string[] = []; // Our own list: one of author code's might join as it likes.
      let charsLeft = charsMax;
      for (const { path, call } of rest.syscalls) {
        const step = fit({ path, call }, charsLeft);
        steps.push("text" in step ? step.text : text({ path, kind: call.kind, excess: step.excess }));
        if ("text" in step) charsLeft -= step.text.length;
      }
      return `{"logs":${text(rest.logs)},"syscalls":[${steps.join(",")}]}`;
    },
    apart() {
      const announced = waiting;
      waiting = [];
      waitingBytes = 0;
      return announced;
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
    attempt(work) {
      try {
        return `{"ok":${work()}}`;
      } catch (thrown) {
        return JSON.stringify({ thrown: String(reason(thrown)).slice(0, 1_000) });
      }
    },
  };
}

type Bundle = ReturnType<CordappBundle["handOver"]>;

/** What code of one virtual node lives in. */
interface Domain {
  readonly bundle: Bundle;
  readonly fibers: Set<string>;
}

export interface Domains {
  readonly first: Bundle;
  of(vnode: string): Domain;
  /** Of a fiber that lives here. */
  home(fiber: string): Domain | undefined;
  settle(fiber: string, domain: Domain): void;
  forget(fiber: string): void;
}

/** `evaluate` gives the bundle's modules anew, so that nothing of them is anybody else's; `keptMax` stay so, and all that have flows. */
export function domainsWithin(evaluate: () => Bundle, keptMax: number): Domains {
  /** By virtual node, the one that was used longest ago first. */
  const domains = new Map<string, Domain>();
  const homes = new Map<string, Domain>();
  const first = evaluate();
  let spare: Bundle | undefined = first;
  return {
    first,
    of(vnode) {
      const domain = domains.get(vnode) ?? { bundle: spare ?? evaluate(), fibers: new Set<string>() };
      spare = undefined;
      domains.delete(vnode);
      domains.set(vnode, domain);
      for (const [other, { fibers }] of domains) {
        if (domains.size <= keptMax) break;
        if (fibers.size === 0 && other !== vnode) domains.delete(other);
      }
      return domain;
    },
    home: (fiber) => homes.get(fiber),
    settle(fiber, domain) {
      homes.set(fiber, domain);
      domain.fibers.add(fiber);
    },
    forget(fiber) {
      homes.get(fiber)?.fibers.delete(fiber);
      homes.delete(fiber);
    },
  };
}

export function inside(domains: Domains, { text, reportText, attempt, apart, piece }: Answers): Inside {
  /** Whose code has run since the last `collect`. */
  const touched = new Set<Domain>();

  const begin = (start: FiberStart): void => {
    const domain = domains.of(`${start.identity.groupId} ${start.identity.me}`);
    domains.settle(start.fiber, domain);
    touched.add(domain);
    domain.bundle.start(start);
  };
  const deliver = (deliveries: readonly Delivery[]): void => {
    const parts = new Map<Domain, Delivery[]>();
    for (const delivery of deliveries) {
      const domain = domains.home(delivery.fiber);
      if (domain === undefined) throw new TypeError("there is no such fiber here");
      const part = parts.get(domain) ?? [];
      parts.set(domain, part);
      part.push(delivery);
    }
    for (const [domain, part] of parts) {
      touched.add(domain);
      domain.bundle.deliver(part);
    }
  };
  /** Each by itself, so that one flow's unsayable answer is that flow's failure alone. */
  const reportsOf = (domain: Domain): string[] =>
    [...domain.bundle.collect()].flatMap((report) => {
      const fiber = String(report.fiber);
      // What one virtual node's code says of another's flow is not heard.
      if (domains.home(fiber) !== domain) return [];
      const written = `{"fiber":${JSON.stringify(fiber)},"report":${attempt(() => reportText(report))}}`;
      if (report.finished !== undefined) domains.forget(fiber);
      return [written];
    });
  return {
    manifest: () => attempt(() => text(domains.first.manifest)),
    activate: (starts, deliveries) =>
      attempt(() => {
        for (const start of starts) begin(start);
        deliver(deliveries);
        return "null";
      }),
    collect: () =>
      attempt(() => {
        const reports = [...touched].flatMap(reportsOf);
        touched.clear();
        return `{"reports":[${reports.join(",")}],"apart":${JSON.stringify(apart())}}`;
      }),
    piece,
    drop: (fiber) => {
      const domain = domains.home(fiber);
      domains.forget(fiber);
      domain?.bundle.drop(fiber);
    },
    check: (vnode, transaction, contracts, outputs) =>
      attempt(() => {
        const { bundle } = domains.of(vnode);
        const violations: ContractViolation[] = [...bundle.verify(transaction, contracts)];
        const descriptions: StateDescription[] = violations.length === 0 ? outputs.map((output) => bundle.describeState(output)) : [];
        return text({ violations, outputs: descriptions });
      }),
  };
}
