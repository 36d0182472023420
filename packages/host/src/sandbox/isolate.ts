// One bundle in a heap of its own: an isolate of isolated-vm, and inside it Hardened JavaScript (SES).
//
// Guarantees: the bundle has no clock, randomness, timer, input, output, time zone or shared mutable intrinsic, and only what
// it is handed; each virtual node has its modules to itself. Each run has a time limit, the heap a memory limit. A run that breaks one, or answers what is no answer,
// ends the isolate: from then on every call rejects. Runs happen on isolated-vm's threads, so that author code never holds
// up this one; those of one isolate happen one after another, in the order of the calls.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { BowlineError, type Data, type Log } from "@bowline/base";
import type { CordappManifest, Delivery, FiberStart } from "@bowline/sdk";
import ivm from "isolated-vm";
import { type Apart, answerInvalid, parseAnswer, parseCollected, WIRE_DEPTH_MAX } from "./answers.ts";
import { domainsWithin, type Inside, inside } from "./inside.ts";
import { type AnswerLimits, answersWithin, apartWithin, notationWithin, tracesWithin } from "./inside-answers.ts";
import type { Warm } from "./isolate-pool.ts";
import {
  ACTIVATION_BYTES_MAX,
  ANSWER_CHARS_MAX,
  APART_BYTES_MIN,
  DOMAINS_KEPT_MAX,
  EVALUATE_MS_MAX,
  type IsolateLimits,
  PAYLOADS_BYTES_MAX,
  PIECE_BYTES_MAX,
  STACK_CHARS_MAX,
} from "./limits.ts";
import { boundNativeLoops, datesInUtc } from "./tame.ts";

/** A bundle as its package holds it. */
export interface BundleSource {
  /** Assigns the global `__cordapp`, whose member `cordapp` is a `CordappBundle`. */
  readonly script: string;
  readonly manifest: CordappManifest;
}

export interface IsolateOptions {
  /** How the bundle is called in messages: its checksum. */
  readonly name: string;
  readonly limits: IsolateLimits;
  readonly log: Log;
  /**
   * A native loop of V8 could not be stopped: its thread is suspended and its memory is lost until the process ends.
   * The process should finish what it does and call `process.exit`, which works, but with the status of a killed process.
   */
  readonly onUnstoppable: (name: string) => void;
}

export interface ContractCheck {
  /** For whom: nothing that the package keeps is another's. */
  readonly vnode: string;
  readonly transaction: Data;
  readonly contracts: readonly string[];
  readonly outputs: readonly { readonly type: string; readonly data: Data }[];
}

export type LimitHit = "memory" | "time" | "starved" | "bounds";

type Call = ivm.Reference<(...values: never[]) => unknown>;

const LOCKDOWN = `lockdown(${JSON.stringify({
  errorTaming: "safe",
  errorTrapping: "none",
  unhandledRejectionTrapping: "none",
  reporting: "none",
  overrideTaming: "severe",
  consoleTaming: "unsafe",
  evalTaming: "safe-eval",
  localeTaming: "safe",
  stackFiltering: "concise",
})});`;

/**
 * Compartments share the hardened intrinsics and nothing else. Nothing is added to a compartment's globals, and nothing can be: flows of one
 * virtual node share no variable by accident. What the bundle defines is frozen through and through, and its runtime is the host's alone: no
 * flow changes another's code, or settles its steps.
 */
const ENTER = `(script, keptMax, limits) => {
  const evaluate = () => {
    const compartment = new Compartment({ globals: {}, __options__: true });
    Object.freeze(compartment.globalThis);
    return harden(harden(compartment.evaluate(script + "\\n;__cordapp.cordapp\\n//# sourceURL=cordapp.js")).handOver());
  };
  const apart = (${apartWithin})(limits);
  const say = (${notationWithin})(limits, apart);
  const traceOf = (${tracesWithin})(limits, getStackString);
  const answers = (${answersWithin})(limits, { say, apart, traceOf });
  return (${inside})((${domainsWithin})(evaluate, keptMax), answers, apart);
}`;

const ANSWER_LIMITS: AnswerLimits = {
  depthMax: WIRE_DEPTH_MAX,
  charsMax: ANSWER_CHARS_MAX,
  apartBytesMin: APART_BYTES_MIN,
  stepBytesMax: PAYLOADS_BYTES_MAX,
  activationBytesMax: ACTIVATION_BYTES_MAX,
  pieceBytesMax: PIECE_BYTES_MAX,
  stackCharsMax: STACK_CHARS_MAX,
};

/** SES loaded once per process. Lockdown cannot be part of it: V8 adds to intrinsics when a context is made, and they would be frozen. */
let snapshot: ivm.ExternalCopy<ArrayBuffer> | undefined;

function sesSnapshot(): ivm.ExternalCopy<ArrayBuffer> {
  if (snapshot !== undefined) return snapshot;
  const ses = readFileSync(join(dirname(createRequire(import.meta.url).resolve("ses")), "ses.umd.min.js"), "utf8");
  // SES wants a console to tame; this one is deaf.
  const console = `globalThis.console = new Proxy({}, { get: () => () => {} });`;
  snapshot = ivm.Isolate.createSnapshot([{ code: `"use strict";(${datesInUtc})();(${boundNativeLoops})();${console}${ses}` }]);
  return snapshot;
}

export class BundleIsolate implements Warm {
  readonly #options: IsolateOptions;
  readonly #isolate: ivm.Isolate;
  readonly #calls: Readonly<Record<keyof Inside, Call>>;
  #running = 0;
  #isDismissed = false;
  /** Why it ended, once it has. isolated-vm ends one by itself only where its heap has outgrown its limit. */
  #reason: BowlineError | undefined;
  readonly #end: End;

  private constructor(options: IsolateOptions, isolate: ivm.Isolate, calls: Readonly<Record<keyof Inside, Call>>, end: End) {
    this.#options = options;
    this.#isolate = isolate;
    this.#calls = calls;
    this.#end = end;
  }

  /** Throws `sandbox.bundleRefused` where the script does not evaluate, and `sandbox.manifestMismatch` where it says other than its package. */
  static async create(source: BundleSource, options: IsolateOptions): Promise<BundleIsolate> {
    const end = new End();
    const isolate = new ivm.Isolate({
      memoryLimit: options.limits.memoryMb,
      snapshot: sesSnapshot(),
      onCatastrophicError: (message) => {
        options.log.error("an isolate could not be stopped; end this process soon", { bundle: options.name, message });
        end.come(limitHit(options.name, "time"));
        // Node would wait for the suspended thread for ever.
        process.once("exit", () => process.kill(process.pid, "SIGKILL"));
        options.onUnstoppable(options.name);
      },
    });
    try {
      const entered = await end.orAnswer(enter(isolate, source.script));
      const created = new BundleIsolate(options, isolate, entered, end);
      await created.#checkManifest(source.manifest);
      return created;
    } catch (cause) {
      if (!isolate.isDisposed) isolate.dispose();
      if (cause instanceof BowlineError) throw cause;
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BowlineError("internal", "sandbox.bundleRefused", `Bundle ${options.name} cannot be evaluated: ${reason}`, { reason });
    }
  }

  get isAlive(): boolean {
    return !this.#isolate.isDisposed;
  }

  get isBusy(): boolean {
    return this.#running > 0;
  }

  /** Starts fibers, delivers results, lets the microtasks drain, and answers the reports as parsed JSON, with the bytes that are not in it. */
  async activate(
    starts: readonly FiberStart[],
    deliveries: readonly Delivery[],
  ): Promise<{ readonly reports: unknown; readonly apart: Apart }> {
    // Queued together: nothing of this isolate runs between them but the microtasks of the first.
    const started = this.#run("activate", [starts, deliveries] as never);
    const collected = this.#run("collect", [] as never, Number.MAX_SAFE_INTEGER);
    collected.catch(() => {}); // Where the first failed, its reason is the one that counts.
    this.#required(await started);
    const { reports, sizes } = parseCollected(this.#required(await collected));
    const apart: Apart = new Map();
    for (const [id, size] of sizes) apart.set(id, await this.#takeApart(id, size));
    return { reports, apart };
  }

  /** In pieces, so that neither the isolate's memory nor a run's time must have room for all of it again. */
  async #takeApart(id: number, size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    for (let from = 0; from < size; from += PIECE_BYTES_MAX) {
      const piece = await this.#call("piece", [id, from] as never, { copy: true });
      if (!(piece instanceof Uint8Array) || piece.length !== Math.min(PIECE_BYTES_MAX, size - from)) {
        this.dispose();
        throw answerInvalid("announced other bytes than it has");
      }
      bytes.set(piece, from);
    }
    return bytes;
  }

  /** These contracts' violations and the outputs' descriptions, as parsed JSON; or what `verify` or `describeState` threw. */
  check({ vnode, transaction, contracts, outputs }: ContractCheck) {
    return this.#run("check", [vnode, transaction, contracts, outputs] as never);
  }

  /** Forgets a fiber. */
  drop(fiber: string): void {
    if (this.isAlive) this.#calls.drop.applyIgnored(undefined, [fiber] as never, { timeout: this.#options.limits.runMs });
  }

  dispose(): void {
    if (this.#isolate.isDisposed) return;
    this.#isDismissed = true;
    this.#isolate.dispose();
  }

  async #run(method: keyof Inside, values: never, charsMax = ANSWER_CHARS_MAX) {
    return this.#call(method, values, {}, (answer) => parseAnswer(answer, charsMax));
  }

  async #call(method: keyof Inside, values: never, result: ivm.TransferOptions): Promise<unknown>;
  async #call<T>(method: keyof Inside, values: never, result: ivm.TransferOptions, read: (answer: unknown) => T): Promise<T>;
  async #call(method: keyof Inside, values: never, result: ivm.TransferOptions, read = (answer: unknown) => answer): Promise<unknown> {
    const { name, limits } = this.#options;
    if (!this.isAlive) throw gone(name);
    const before = this.#isolate.cpuTime;
    this.#running++;
    const call = this.#calls[method].apply(undefined, values, { arguments: { copy: true }, result, timeout: limits.runMs });
    try {
      return read(await this.#end.orAnswer(call));
    } catch (cause) {
      call.catch(() => {});
      const cpuMs = this.isAlive ? Number(this.#isolate.cpuTime - before) / 1e6 : 0;
      // Of calls that were queued together, any may be told of the end first, and only one is told why.
      const endedByItself = !this.isAlive && !this.#isDismissed;
      this.#reason ??= endedByItself ? limitHit(name, "memory") : reasonOf(name, cause, cpuMs < limits.runCpuMsBlamed);
      this.dispose();
      throw this.#reason;
    } finally {
      this.#running--;
    }
  }

  #required(answer: ReturnType<typeof parseAnswer>): unknown {
    if ("ok" in answer) return answer.ok;
    this.dispose();
    throw new BowlineError(
      "internal",
      "sandbox.bundleFailed",
      `Bundle ${this.#options.name} failed outside of any flow: ${answer.thrown}`,
      {
        reason: answer.thrown,
      },
    );
  }

  async #checkManifest(expected: CordappManifest): Promise<void> {
    const reported = this.#required(await this.#run("manifest", [] as never));
    if (sorted(reported) === sorted(JSON.parse(JSON.stringify(expected)))) return;
    throw new BowlineError(
      "internal",
      "sandbox.manifestMismatch",
      `Bundle ${this.#options.name} has other flows, states or contracts than its package says. Build the package again.`,
    );
  }
}

/**
 * No answer can come any more: whoever waits for one is told. Not a promise that all calls race, for that would remember every
 * one of them, with its answer, for as long as the isolate lives.
 */
class End {
  readonly #waiting = new Set<(reason: BowlineError) => void>();
  #reason: BowlineError | undefined;

  come(reason: BowlineError): void {
    this.#reason ??= reason;
    for (const reject of this.#waiting) reject(reason);
  }

  orAnswer<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#reason !== undefined) reject(this.#reason);
      this.#waiting.add(reject);
      const settled = () => this.#waiting.delete(reject);
      answer.then(
        (value) => {
          settled();
          resolve(value);
        },
        (cause: unknown) => {
          settled();
          reject(cause);
        },
      );
    });
  }
}

async function enter(isolate: ivm.Isolate, script: string): Promise<Readonly<Record<keyof Inside, Call>>> {
  const context = await isolate.createContext();
  await context.eval(LOCKDOWN);
  const entered: ivm.Reference<Inside> = await context.evalClosure(
    `return (${ENTER})($0, $1, $2)`,
    [script, DOMAINS_KEPT_MAX, ANSWER_LIMITS],
    { arguments: { copy: true }, result: { reference: true }, timeout: EVALUATE_MS_MAX },
  );
  const method = (name: keyof Inside): Call => entered.getSync(name, { reference: true }) as Call;
  return {
    manifest: method("manifest"),
    activate: method("activate"),
    collect: method("collect"),
    piece: method("piece"),
    drop: method("drop"),
    check: method("check"),
  };
}

/** isolated-vm tells its errors apart by their words only. */
function reasonOf(name: string, cause: unknown, isStarved: boolean): BowlineError {
  if (cause instanceof BowlineError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  // The second is how bytes are refused for which there is no room.
  if (message.includes("memory limit") || message.includes("Array buffer allocation failed")) return limitHit(name, "memory");
  if (message.includes("timed out")) return limitHit(name, isStarved ? "starved" : "time");
  return gone(name);
}

const WORDS: Readonly<Record<LimitHit, string>> = {
  memory: "used more memory than it may",
  time: "ran longer than it may without a pause",
  starved: "was given too little of the processor",
  bounds: "outgrew what V8 gives to a stack or to one value",
};

/** What broke a limit could not be run: nothing is said of what it would have answered. */
export function limitHit(name: string, limit: LimitHit): BowlineError {
  const message = `Code of package ${name} could not be run to its end: it ${WORDS[limit]}.`;
  return new BowlineError(limit === "starved" ? "unavailable" : "internal", `sandbox.${limit}Limit`, message, { bundle: name, limit });
}

export const gone = (name: string): BowlineError =>
  new BowlineError("unavailable", "sandbox.gone", `The isolate of package ${name} is gone; its flows are replayed in another.`);

/** The same text for the same JSON, whatever the order of its members. */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === "object" && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
