// Runs the flows of authors' bundles: `Fibers` over isolates, one isolate per bundle for all its flows.
//
// Guarantees: what is reported has been checked. A run that breaks a limit rejects the activation, and this object is of
// no more use: the engine replays the bundle's flows in the next one, and finds who broke the limit by running them one by
// one. After a memory breach that is not enough, for a heap remembers all its flows: there each flow that lived in the
// broken heap gets a heap of its own, so that only the culprit breaks it.

import { BowlineError, type Log } from "@bowline/base";
import type { Fibers } from "@bowline/flow";
import type { Delivery, FiberReport, FiberStart } from "@bowline/sdk";
import { checkReports } from "./answers.ts";
import { type BundleIsolate, gone } from "./isolate.ts";
import type { Warm } from "./isolate-pool.ts";
import { QUARANTINE_ISOLATES_MAX } from "./limits.ts";

export interface BundleFibersOptions {
  /** How the bundle is called in messages: its checksum. */
  readonly name: string;
  /** Flows that lived in a heap of this bundle that broke its limit; shared with those that come after this one. */
  readonly suspected: Set<string>;
  readonly log: Log;
  readonly isolate: () => Promise<BundleIsolate>;
}

/** A heap and the fibers that live in it, each with the prefix of its steps' paths. */
class Cell {
  readonly live = new Map<string, string>();
  readonly #isolate: Promise<BundleIsolate>;

  constructor(isolate: Promise<BundleIsolate>) {
    this.#isolate = isolate;
    isolate.catch(() => {}); // Heard by the activation that needs it.
  }

  async activate(starts: readonly FiberStart[], deliveries: readonly Delivery[]): Promise<readonly FiberReport[]> {
    const isolate = await this.#isolate;
    for (const { fiber, path } of starts) this.live.set(fiber, path);
    const { reports: collected, apart } = await isolate.activate(starts, deliveries);
    const { reports, refused } = checkReports(collected, this.live, apart);
    for (const { fiber, finished } of reports) if (finished !== undefined) this.live.delete(fiber);
    // The bundle has forgotten those that have ended, and believes that these go on.
    for (const fiber of refused) isolate.drop(fiber);
    return reports;
  }

  async drop(fiber: string): Promise<void> {
    if (this.live.delete(fiber)) (await this.#isolate).drop(fiber);
  }

  dispose(): void {
    void this.#isolate.then((isolate) => isolate.dispose()).catch(() => {});
  }
}

/** Who a fiber belongs to: `<flow id>/<path>`. */
const flowOf = (fiber: string): string => fiber.slice(0, fiber.indexOf("/"));

interface Batch {
  readonly starts: FiberStart[];
  readonly deliveries: Delivery[];
}

export class BundleFibers implements Fibers, Warm {
  readonly #options: BundleFibersOptions;
  #shared: Cell | undefined;
  /** By flow, in order of their making. */
  readonly #quarantine = new Map<string, Cell>();
  #running = 0;
  #isAlive = true;

  constructor(options: BundleFibersOptions) {
    this.#options = options;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isBusy(): boolean {
    return this.#running > 0;
  }

  async activate(request: {
    readonly starts: readonly FiberStart[];
    readonly deliveries: readonly Delivery[];
  }): Promise<readonly FiberReport[]> {
    if (!this.#isAlive) throw gone(this.#options.name);
    this.#running++;
    try {
      const reports: FiberReport[] = [];
      for (const [flow, batch] of this.#batches(request)) reports.push(...(await this.#run(flow, batch)));
      return reports;
    } catch (cause) {
      this.dispose();
      throw cause;
    } finally {
      this.#running--;
    }
  }

  drop(fiber: string): void {
    const flow = flowOf(fiber);
    const cell = this.#quarantine.get(flow) ?? this.#shared;
    void cell?.drop(fiber).catch(() => {}); // A heap that is gone has forgotten it.
    if (cell !== this.#shared && cell?.live.size === 0) this.#release(flow, cell);
  }

  dispose(): void {
    this.#isAlive = false;
    this.#shared?.dispose();
    for (const cell of this.#quarantine.values()) cell.dispose();
  }

  /** By flow for those that run alone; together, under undefined, for the rest. */
  #batches(request: { readonly starts: readonly FiberStart[]; readonly deliveries: readonly Delivery[] }): Map<string | undefined, Batch> {
    const batches = new Map<string | undefined, Batch>();
    const batchOf = (fiber: string): Batch => {
      const flow = flowOf(fiber);
      const key = this.#options.suspected.has(flow) ? flow : undefined;
      const batch = batches.get(key) ?? { starts: [], deliveries: [] };
      batches.set(key, batch);
      return batch;
    };
    for (const start of request.starts) batchOf(start.fiber).starts.push(start);
    for (const delivery of request.deliveries) batchOf(delivery.fiber).deliveries.push(delivery);
    return batches;
  }

  async #run(flow: string | undefined, { starts, deliveries }: Batch): Promise<readonly FiberReport[]> {
    const { name, suspected, log } = this.#options;
    const cell = flow === undefined ? this.#sharedCell() : this.#quarantineOf(flow);
    const started = new Set(starts.map(({ fiber }) => fiber));
    if (deliveries.some(({ fiber }) => !cell.live.has(fiber) && !started.has(fiber))) throw gone(name);
    try {
      const reports = await cell.activate(starts, deliveries);
      if (flow !== undefined && cell.live.size === 0) this.#release(flow, cell);
      return reports;
    } catch (cause) {
      log.warn("an isolate broke a limit", { bundle: name, cause: String(cause), alone: flow ?? null, fibers: cell.live.size });
      const flows = new Set([...cell.live.keys()].map(flowOf));
      const isMemory = cause instanceof BowlineError && cause.code === "sandbox.memoryLimit";
      if (!isMemory || flows.size <= 1) throw cause;
      // Who filled the heap is not who happened to run when it was full.
      for (const each of flows) suspected.add(each);
      throw gone(name);
    }
  }

  #sharedCell(): Cell {
    this.#shared ??= new Cell(this.#options.isolate());
    return this.#shared;
  }

  #quarantineOf(flow: string): Cell {
    const known = this.#quarantine.get(flow);
    if (known !== undefined) return known;
    for (const [oldest, cell] of this.#quarantine) {
      if (this.#quarantine.size < QUARANTINE_ISOLATES_MAX) break;
      // It has run alone and broken nothing. When it is asked for next, the flows of this bundle are replayed, it among the rest.
      this.#release(oldest, cell);
    }
    const cell = new Cell(this.#options.isolate());
    this.#quarantine.set(flow, cell);
    return cell;
  }

  #release(flow: string, cell: Cell): void {
    cell.dispose();
    this.#quarantine.delete(flow);
    this.#options.suspected.delete(flow);
  }
}
