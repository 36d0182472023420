// `npm run sim -- --seed N`, or `--seeds A..B --jobs J`: bad days of a whole network, each from one number.

import { parseArgs } from "node:util";
import { startTestPostgres, TEST_POSTGRES_VARIABLE } from "@bowline/host/test-postgres";
import { planOf } from "./plan.ts";
import { liveSeeds, type Range, type SeedOptions, type SeedReport, shareSeeds } from "./seeds.ts";
import { shrink } from "./shrink.ts";

const USAGE = `Bad days of a whole network, from seeds.

  npm run sim -- --seed 7                 one day
  npm run sim -- --seeds 1..500           many
    --flows 3                             flows that clients start, per day
    --jobs 2                              processes
    --postgres every=100                  every hundredth seed also on a real PostgreSQL`;

const FLOWS = 3;
const PROGRESS_MS = 5_000;
const FAILURES_MAX = 20;

class Refusal extends Error {}

interface Settings extends SeedOptions {
  readonly seeds: Range;
  readonly jobs: number;
  /** To the process that asked, not to a person. */
  readonly report: boolean;
}

function settingsOf(args: readonly string[]): Settings {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { seed: text, seeds: text, flows: text, jobs: text, postgres: text, report: { type: "boolean" } },
  });
  const { seed, seeds = seed } = values;
  if (seeds === undefined) throw new Refusal(USAGE);
  const [from, to = from] = seeds.split("..");
  return {
    seeds: { from: integer(from, "--seed"), to: integer(to, "--seeds") },
    flows: integer(values.flows ?? String(FLOWS), "--flows"),
    jobs: integer(values.jobs ?? "1", "--jobs"),
    postgresEvery: integer(values.postgres?.replace(/^every=/, "") ?? "0", "--postgres every"),
    report: values.report ?? false,
  };
}

function integer(text: string | undefined, what: string): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw new Refusal(`${what} takes an integer, not "${text}".\n\n${USAGE}`);
  return Number(text);
}

class Tally {
  readonly #total: number;
  readonly #began = performance.now();
  readonly failures: SeedReport[] = [];
  #said = performance.now();
  #passed = 0;
  #onPostgres = 0;
  #commits = 0;
  #crashes = 0;

  constructor({ from, to }: Range) {
    this.#total = to - from + 1;
  }

  take(report: SeedReport): void {
    if (report.reason !== undefined) this.failures.push(report);
    else if (report.on === "memory") this.#passed++;
    else this.#onPostgres++;
    this.#commits += report.commits;
    this.#crashes += report.crashes;
    if (performance.now() - this.#said < PROGRESS_MS) return;
    this.#said = performance.now();
    console.log(this.toString());
  }

  toString(): string {
    const seconds = (performance.now() - this.#began) / 1_000;
    const seeds = `${this.#passed.toLocaleString("en")} of ${this.#total.toLocaleString("en")} seeds passed`;
    const rate = `${(seconds === 0 ? 0 : this.#passed / seconds).toFixed(1)} a second`;
    const rest = [
      `${this.#onPostgres} on PostgreSQL`,
      `${this.#commits.toLocaleString("en")} commits`,
      `${this.#crashes.toLocaleString("en")} crashes`,
    ];
    return `${seeds} (${rate}), ${rest.join(", ")}, ${this.failures.length} failed`;
  }
}

async function main(): Promise<number> {
  const settings = settingsOf(process.argv.slice(2));
  if (settings.report) {
    await liveSeeds(settings.seeds, settings, (report) => process.send?.(report));
    process.disconnect();
    return 0;
  }
  const stop = settings.postgresEvery > 0 ? await handDownPostgres() : async () => {};
  try {
    return await run(settings);
  } finally {
    await stop();
  }
}

async function run(settings: Settings): Promise<number> {
  const tally = new Tally(settings.seeds);
  const take = (report: SeedReport): void => {
    tally.take(report);
    if (report.reason === undefined) return;
    console.log(`\nSeed ${report.seed} fails on ${report.on}: ${report.reason}`);
    console.log(`Run it again: npm run sim -- --seed ${report.seed} --flows ${settings.flows}\n`);
    if (tally.failures.length >= FAILURES_MAX) throw new Refusal(`${FAILURES_MAX} seeds have failed; the others are not tried.`);
  };
  if (settings.jobs > 1) await shareSeeds(settings.seeds, settings.jobs, settings, take);
  else await liveSeeds(settings.seeds, settings, take);
  console.log(tally.toString());
  const [first] = tally.failures;
  if (first === undefined) return 0;
  await tellSmaller(first, settings.flows);
  return 1;
}

/** The first day that failed, with all left out that it can fail without. */
async function tellSmaller({ seed, reason, on }: SeedReport, flows: number): Promise<void> {
  if (on !== "memory" || reason === undefined) return;
  const { plan, reason: why } = await shrink({ plan: planOf(seed, flows), reason });
  console.log(`\nOf seed ${seed} this is enough to fail:\n${JSON.stringify(plan, undefined, 1)}\n${why}`);
}

/** One server for this process and those that it starts. */
async function handDownPostgres(): Promise<() => Promise<void>> {
  if (process.env[TEST_POSTGRES_VARIABLE] !== undefined) return async () => {};
  const postgres = await startTestPostgres();
  process.env[TEST_POSTGRES_VARIABLE] = JSON.stringify(postgres.connection);
  return () => postgres.stop();
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(error.message);
  process.exitCode = 2;
}
