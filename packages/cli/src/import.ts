// One flow per row of a file: bounded in flight, once per row.
//
// - The client request id of a row derives from the flow, the row's number and its content, so whoever runs the import
//   again asks for the same flows, and the platform starts none of them twice.
// - A network that restarts in the middle is waited for: a start whose answer was lost is asked for again under its id.
// - A refused row is reported with its reason and stops no other row.

import { hash } from "node:crypto";
import { BowlineError } from "@bowline/base";
import { type NamedNode, resolveIdentity } from "./identity.ts";
import { type FieldMapping, inputOf, mapByHeader } from "./mapping.ts";
import type { Row } from "./rows.ts";
import { UsageError } from "./terminal.ts";

/** What an import asks of a network. Refusals are thrown as `BowlineError`, by kind. */
export interface FlowPort {
  /** Whether this call started the flow: false where the id had started it before. */
  start(vnode: string, request: { readonly clientRequestId: string; readonly flow: string; readonly input: unknown }): Promise<boolean>;
  /** Undefined while the flow runs. */
  result(vnode: string, clientRequestId: string): Promise<FlowEnd | undefined>;
}

export type FlowEnd =
  | { readonly kind: "completed"; readonly result: unknown }
  | { readonly kind: "failed"; readonly type: string; readonly message: string };

export interface ImportOptions {
  readonly flow: string;
  /** Every row starts as this virtual node, or as the one that `asColumn` names. */
  readonly as?: NamedNode;
  readonly asColumn?: string;
  readonly nodes: readonly NamedNode[];
  /** None: every column is the field of its name, but for `asColumn`. */
  readonly mappings: readonly FieldMapping[];
  readonly fixed: readonly FieldMapping[];
  readonly prefix: string;
}

export interface PlannedRow {
  readonly row: number;
  readonly line: number;
  readonly clientRequestId: string;
  readonly plan: { readonly node: NamedNode; readonly input: unknown } | { readonly code: string; readonly reason: string };
}

export interface RowOutcome {
  readonly row: number;
  readonly line: number;
  readonly clientRequestId: string;
  readonly identity?: string;
  readonly outcome:
    | { readonly kind: "completed"; readonly result: unknown /** Whether an earlier run had started it. */; readonly resumed: boolean }
    | { readonly kind: "refused"; readonly code: string; readonly reason: string }
    | { readonly kind: "unfinished"; readonly code: string; readonly reason: string };
}

export interface ImportReport {
  readonly flow: string;
  readonly rows: number;
  readonly completed: number;
  readonly refused: number;
  readonly unfinished: number;
  /** Of the completed: those that an earlier run had started. */
  readonly resumed: number;
  readonly seconds: number;
  readonly outcomes: readonly RowOutcome[];
}

export interface ImportWorld {
  readonly concurrency: number;
  /** How long a network may be away before the import gives up, counted from the last answer. */
  readonly patienceMs: number;
  now(): number;
  sleep(durationMs: number): Promise<void>;
  onOutcome(outcome: RowOutcome): void;
  /** The network did not answer, and is asked again. */
  onTrouble(problem: string): void;
  readonly signal?: AbortSignal;
}

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 2_000;
const HASH_DIGITS = 20;

/** What each row asks for, decided before anything is sent. */
export function planImport(rows: readonly Row[], options: ImportOptions): readonly PlannedRow[] {
  return rows.map((row) => ({
    row: row.number,
    line: row.line,
    clientRequestId: requestIdOf(row, options),
    plan: planRow(row, options),
  }));
}

/** Runs the plan to its end. Throws only when the network refuses the user, or nobody answers for longer than the patience. */
export async function runImport(plan: readonly PlannedRow[], flow: string, port: FlowPort, world: ImportWorld): Promise<ImportReport> {
  const startedAt = world.now();
  const run = new ImportRun(flow, port, world);
  const outcomes: RowOutcome[] = [];
  const queue = plan.values(); // One iterator for all lanes: each row is taken once.
  const lane = async () => {
    for (const planned of queue) {
      const outcome = await run.row(planned);
      outcomes.push(outcome);
      world.onOutcome(outcome);
    }
  };
  await Promise.all(Array.from({ length: Math.min(world.concurrency, plan.length) }, lane));
  outcomes.sort((a, b) => a.row - b.row);
  const count = (kind: RowOutcome["outcome"]["kind"]) => outcomes.filter(({ outcome }) => outcome.kind === kind).length;
  return {
    flow,
    rows: plan.length,
    completed: count("completed"),
    refused: count("refused"),
    unfinished: count("unfinished"),
    resumed: outcomes.filter(({ outcome }) => outcome.kind === "completed" && outcome.resumed).length,
    seconds: Math.round(world.now() - startedAt) / 1_000,
    outcomes,
  };
}

function requestIdOf(row: Row, { flow, prefix }: ImportOptions): string {
  const content = "values" in row.content ? Object.entries(row.content.values) : row.content.text;
  return `${prefix}.${row.number}.${hash("sha256", JSON.stringify([flow, row.number, content])).slice(0, HASH_DIGITS)}`;
}

function planRow({ content }: Row, options: ImportOptions): PlannedRow["plan"] {
  if ("problem" in content) return { code: "import.malformedRow", reason: content.problem };
  const { asColumn, mappings, fixed, nodes } = options;
  const node = options.as ?? nodeOf(asColumn === undefined ? undefined : content.values[asColumn], asColumn, nodes);
  if ("reason" in node) return node;
  const columns = Object.keys(content.values).filter((column) => column !== asColumn);
  const mapped = inputOf(content.values, [...(mappings.length > 0 ? mappings : mapByHeader(columns)), ...fixed]);
  return "problem" in mapped ? { code: "import.fieldInvalid", reason: mapped.problem } : { node, input: mapped.input };
}

function nodeOf(value: unknown, column: string | undefined, nodes: readonly NamedNode[]): NamedNode | { code: string; reason: string } {
  if (typeof value !== "string" || value.trim() === "")
    return { code: "import.identityMissing", reason: `the column "${column}" does not say who starts the flow` };
  try {
    return resolveIdentity(value, nodes);
  } catch (thrown) {
    if (thrown instanceof UsageError && thrown.code === "cli.identityUnknown")
      return { code: thrown.code, reason: `no virtual node is called "${value}"` };
    if (thrown instanceof UsageError) return { code: thrown.code, reason: thrown.message };
    throw thrown;
  }
}

class ImportRun {
  readonly #flow: string;
  readonly #port: FlowPort;
  readonly #world: ImportWorld;
  readonly #pace = new Pace();
  #answeredAt: number;
  /** Set when the import cannot go on: rows that are not done end unfinished. */
  #stopped: BowlineError | undefined;

  constructor(flow: string, port: FlowPort, world: ImportWorld) {
    this.#flow = flow;
    this.#port = port;
    this.#world = world;
    this.#answeredAt = world.now();
  }

  async row({ row, line, clientRequestId, plan }: PlannedRow): Promise<RowOutcome> {
    if (!("node" in plan)) return { row, line, clientRequestId, outcome: { kind: "refused", ...plan } };
    const known = { row, line, clientRequestId, identity: plan.node.x500Name };
    try {
      return { ...known, outcome: await this.#once(plan.node.shortHash, clientRequestId, plan.input) };
    } catch (thrown) {
      if (!(thrown instanceof BowlineError)) throw thrown;
      const { code, message: reason } = thrown;
      if (isRowsFault(thrown) && this.#stopped === undefined) return { ...known, outcome: { kind: "refused", code, reason } };
      this.#stopped ??= thrown;
      return { ...known, outcome: { kind: "unfinished", code, reason } };
    }
  }

  async #once(vnode: string, clientRequestId: string, input: unknown): Promise<RowOutcome["outcome"]> {
    const startedAt = this.#world.now();
    const resumed = !(await this.#patiently(() => this.#port.start(vnode, { clientRequestId, flow: this.#flow, input })));
    for (let polls = 0; ; polls++) {
      if (!resumed || polls > 0) await this.#world.sleep(this.#pace.delayMs(polls));
      const end = await this.#patiently(() => this.#port.result(vnode, clientRequestId));
      if (end === undefined) continue;
      if (!resumed) this.#pace.took(this.#world.now() - startedAt);
      if (end.kind === "completed") return { kind: "completed", result: end.result, resumed };
      return { kind: "refused", code: end.type, reason: end.message };
    }
  }

  async #patiently<T>(ask: () => Promise<T>): Promise<T> {
    const { now, sleep, onTrouble, patienceMs, signal } = this.#world;
    for (let delayMs = RETRY_FIRST_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)) {
      if (this.#stopped !== undefined) throw this.#stopped;
      if (signal?.aborted) throw interrupted();
      try {
        const answer = await ask();
        this.#answeredAt = now();
        return answer;
      } catch (thrown) {
        if (!(thrown instanceof BowlineError) || !isPassing(thrown)) throw thrown;
        if (signal?.aborted) throw interrupted();
        if (now() - this.#answeredAt > patienceMs) throw thrown;
        onTrouble(thrown.message);
        await sleep(delayMs);
      }
    }
  }
}

const interrupted = () => new BowlineError("unavailable", "cli.interrupted", "The import was interrupted. Run it again to continue.");

const isPassing = ({ kind }: BowlineError): boolean => kind === "unavailable" || kind === "tooMany";

/** A refusal of this row. What concerns the user or the platform ends the import instead. */
const isRowsFault = ({ kind }: BowlineError): boolean =>
  kind === "badRequest" || kind === "notFound" || kind === "notAllowed" || kind === "conflict" || kind === "tooLarge";

/** When to ask next: not before most flows of this import were done, so that asking does not keep them from it. */
class Pace {
  #typicalMs = 50;

  took(durationMs: number): void {
    this.#typicalMs += (Math.min(durationMs, 30_000) - this.#typicalMs) / 8;
  }

  delayMs(polls: number): number {
    const share = polls === 0 ? 0.7 : 0.2;
    return Math.min(1_000, Math.max(10, this.#typicalMs * share * 1.3 ** Math.max(0, polls - 4)));
  }
}
