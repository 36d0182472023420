// A flow that a test has started: awaited it is its result, or the error that it ended with, as the author threw it.

import type { Data } from "@bowline/base";
import type { FlowRow, StartOutcome } from "@bowline/flow";
import { FlowError } from "@bowline/sdk";
import { isOver } from "./storage.ts";

/** What a started flow needs of its network. */
export interface Progress {
  started: Promise<StartOutcome>;
  row(flowId: string): Promise<FlowRow | undefined>;
  /** Lets time pass until the flow is over; false where it never will be. */
  over(flowId: string): Promise<boolean>;
}

/**
 * Time passes only while somebody waits: a flow that is not awaited runs when something else is, `network.advance` say.
 * Whoever awaits it goes on when all has happened that happens at the instant of its end: what it sent last has arrived.
 */
export class RunningFlow<T> implements Promise<T> {
  readonly [Symbol.toStringTag] = "RunningFlow";
  readonly #progress: Progress;
  #result: Promise<T> | undefined;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  /** The same for every start with one request id. */
  async id(): Promise<string> {
    const outcome = await this.#progress.started;
    if (outcome.kind !== "conflict") return outcome.row.id;
    const message = "A flow was started with this request id, and it is another one, or has another input.";
    throw new FlowError("flow.requestConflict", message);
  }

  async status(): Promise<FlowRow["status"]> {
    const row = await this.#progress.row(await this.id());
    return row?.status ?? "START_REQUESTED";
  }

  // biome-ignore lint/suspicious/noThenProperty: a flow is awaited like what it returns, but only then does time pass.
  then<A = T, B = never>(kept?: ((value: T) => A | PromiseLike<A>) | null, broken?: ((reason: unknown) => B | PromiseLike<B>) | null) {
    this.#result ??= this.#run();
    return this.#result.then(kept, broken);
  }

  catch<B = never>(broken?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<T | B> {
    return this.then(undefined, broken);
  }

  finally(after?: (() => void) | null): Promise<T> {
    return this.then().finally(after);
  }

  async #run(): Promise<T> {
    const id = await this.id();
    await this.#progress.over(id);
    const row = await this.#progress.row(id);
    if (row?.outcome != null && "ok" in row.outcome) return row.outcome.ok as T & Data;
    throw row?.outcome == null ? stuck(id, row) : errorOf(row.outcome.error);
  }
}

const errorOf = ({ type, message, details }: { type: string; message: string; details?: Readonly<Record<string, string>> }) =>
  new FlowError(type, message, details);

function stuck(id: string, row: FlowRow | undefined): FlowError {
  const waiting = (row?.waiting ?? []).map(({ path, kind }) => `${kind} at step ${path}`).join(", ");
  const what = row === undefined || isOver(row) ? "is nowhere" : `is ${row.status} and waits for ${waiting || "a process that runs it"}`;
  const message = `Flow ${row?.flowName ?? ""} ${id} ${what}, which will never come. Is a member crashed, and not restarted?`;
  return new FlowError("testing.flowStuck", message);
}
