// One running flow function: what it asks for, what it still waits for, how it ended.

import type { Data } from "@bowline/base";
import type { Delivery, FiberReport, FiberStart, StepPath } from "./activation.ts";
import type { ExternalChannel } from "./external.ts";
import { FlowError, failureOf, type Outcome } from "./failure.ts";
import { plain } from "./plain.ts";
import type { Syscall } from "./syscalls.ts";

type Settle = { readonly resolve: (value: Data) => void; readonly reject: (reason: FlowError) => void };
type Report = { -readonly [K in keyof FiberReport]: FiberReport[K] };

export class Fiber {
  readonly start: FiberStart;
  readonly #pending = new Map<StepPath, Settle>();
  readonly #decisions = new Map<StepPath, Promise<Data>>();
  readonly #over: ReadonlySet<StepPath>;
  #syscalls: { readonly path: StepPath; readonly call: Syscall }[] = [];
  #logs: FiberReport["logs"][number][] = [];
  #finished: Outcome | undefined;
  #thrown: unknown;
  #reported = false;

  /** The external channels that the CorDapp declares. */
  readonly channels: readonly ExternalChannel[];

  constructor(start: FiberStart, channels: readonly ExternalChannel[] = []) {
    this.start = start;
    this.channels = channels;
    this.#over = new Set(start.replayed?.subFlows);
    for (const path of start.replayed?.decisions ?? []) this.#decisions.set(path, this.#settled(path));
  }

  /** Whether the sub-flow at this step is over, in a journal that is run over again. */
  isOver(path: StepPath): boolean {
    return this.#over.has(path);
  }

  /** Runs the function up to its first step. */
  run(body: () => Promise<Data>): void {
    body().then(
      (ok) => this.#finish({ ok }),
      (thrown: unknown) => {
        this.#finish({ error: failureOf(thrown) });
        this.#thrown = thrown;
      },
    );
  }

  ask(path: StepPath, call: Syscall): Promise<Data> {
    // A function that has returned asks nothing more: what it left running never goes on.
    if (this.#finished !== undefined) return never();
    this.#syscalls.push({ path, call });
    return this.#settled(path);
  }

  #settled(path: StepPath): Promise<Data> {
    const promise = new Promise<Data>((resolve, reject) => void this.#pending.set(path, { resolve, reject }));
    // A step that nobody awaits may fail without anyone to hear it.
    promise.catch(() => {});
    return promise;
  }

  /**
   * A step beside the numbered ones: code that did not ask it keeps the numbers of all its steps. Its own number is made of
   * its name, and larger than any of theirs.
   */
  decide(name: string): Promise<Data> {
    const prefix = this.start.path === "" ? "" : `${this.start.path}.`;
    const path = `${prefix}${DECISIONS_FROM + hashOf(name)}`;
    let decision = this.#decisions.get(path);
    if (decision === undefined) {
      decision = this.ask(path, { kind: "patched", name });
      this.#decisions.set(path, decision);
    }
    return decision;
  }

  log(level: FiberReport["logs"][number]["level"], message: string, facts: Record<string, Data>): void {
    this.#logs.push({ level, message: String(message), facts: plain(facts, "facts") });
  }

  deliver({ path, outcome }: Delivery): void {
    const settle = this.#pending.get(path);
    if (settle === undefined) throw new FlowError("fiber.stepUnknown", `Fiber ${this.start.fiber} does not wait for step ${path}.`);
    this.#pending.delete(path);
    if ("ok" in outcome) settle.resolve(outcome.ok);
    else settle.reject(new FlowError(outcome.error.type, outcome.error.message, outcome.error.details));
  }

  /** What happened since the last report; undefined when nothing did. */
  report(): FiberReport | undefined {
    const ended = this.#finished !== undefined && !this.#reported;
    if (this.#syscalls.length === 0 && this.#logs.length === 0 && !ended) return undefined;
    const report: Report = { fiber: this.start.fiber, syscalls: this.#syscalls, logs: this.#logs };
    if (this.#finished !== undefined) {
      // What it asked without waiting for it dies with it.
      report.syscalls = [];
      report.finished = this.#finished;
      if ("error" in this.#finished) report.thrown = this.#thrown;
      this.#reported = true;
    }
    this.#syscalls = [];
    this.#logs = [];
    return report;
  }

  #finish(outcome: Outcome): void {
    this.#finished = outcome;
    this.#pending.clear();
  }
}

export const never = <T>(): Promise<T> => new Promise<T>(() => {});

const DECISIONS_FROM = 10_000_000_000;

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return hash;
}
