// `bowline dev`, which `npm start` runs: a whole network on this machine, an example in it, and all that is needed to try it.

import { randomUUID } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { Connection } from "./connection.ts";
import { NOTARY_TYPES, type NotaryType } from "./group-policy.ts";
import { treePssMb } from "./memory.ts";
import { findHome, HOME_FOLDER, readNetwork } from "./network.ts";
import { whole } from "./options.ts";
import { act, type Register } from "./program.ts";
import { createProgress, type Progress } from "./progress.ts";
import { busOption } from "./run-worker.ts";
import { EXIT, type ExitCode, type Terminal, usage } from "./terminal.ts";
import { startWorker, type Worker, type WorkerReady } from "./worker.ts";

interface Options {
  readonly cordapp?: string;
  readonly once?: true;
  readonly port?: number;
  readonly bus?: "memory" | "postgres";
  readonly notaryType?: NotaryType;
}

export const register: Register = (program, shell) => {
  program
    .command("dev")
    .argument("[cordapp]", "the folder of a CorDapp of yours, to run in place of the example")
    .option("--once", "end when everything has run, instead of staying up")
    .option("--port <n>", "the port of REST (default: the one used last, else 8888, else any that is free)", whole(1, 65_535))
    .addOption(busOption().default("memory"))
    .addOption(
      new Option("--notary-type <type>", "what the notary of a new network does: contract-verifying spares the companies the past").choices(
        NOTARY_TYPES,
      ),
    )
    .summary("run a whole network here, with an example or a CorDapp of yours")
    .description(
      "Runs a network of a notary and three companies. With the obligation example, where no CorDapp is named: imports its sample file " +
        "and shows what everyone owes.\n" +
        "All of it lives in .bowline (or --home): the next start continues where this one ends. Ctrl-C stops it.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  bowline dev\n  bowline dev ./my-cordapp\n  bowline dev --once --json\n  bowline dev --home /tmp/another --port 9000",
    )
    .action(
      act(shell, async (cordapp: string | undefined, options: Options, command: Command) =>
        dev(
          shell.terminal,
          { ...options, ...(cordapp === undefined ? {} : { cordapp }) },
          command.optsWithGlobals<{ home?: string }>().home,
        ),
      ),
    );
};

async function dev(terminal: Terminal, options: Options, named: string | undefined): Promise<ExitCode> {
  const cordapp = options.cordapp === undefined ? undefined : resolve(terminal.cwd, options.cordapp);
  if (cordapp !== undefined) (await import("./package-files.ts")).readProject(cordapp); // Whatever is wrong with it is said before anything starts.
  const home = openHome(terminal, named);
  const running = readNetwork(home);
  if (running !== undefined)
    throw usage("running", `A network runs here already: ${running.url}. Stop it with Ctrl-C where it was started.`);
  const progress = createProgress(terminal, () => performance.now());
  const stop = new AbortController();
  const interrupted = interruption().then(() => stop.abort());
  progress.step("Starting the network");
  const onProgress = (text: string) => progress.detail(text);
  const worker = startWorker({ home, environment: terminal.environment, onProgress, ...startOptions(options) });
  try {
    const work = run(terminal, options, { home, cordapp, worker, progress, signal: stop.signal });
    work.catch(() => {}); // Looked at below, unless the user has had enough first.
    const ended = await Promise.race([work, interrupted.then(() => EXIT.interrupted), diedEarly(worker, work)]);
    if (ended === EXIT.interrupted) progress.note("Stopping …");
    if (ended !== EXIT.done || options.once) return ended;
    await Promise.race([interrupted, worker.ended.then(sayThatItDied)]);
    terminal.err("\nStopping …\n");
    return EXIT.done;
  } finally {
    progress.close();
    await worker.stop();
  }
}

/** Everything from the first byte to the last line; the network stays up after it. */
async function run(
  terminal: Terminal,
  options: Options,
  {
    home,
    cordapp,
    worker,
    progress,
    signal,
  }: {
    readonly home: string;
    readonly cordapp: string | undefined;
    readonly worker: Worker;
    readonly progress: Progress;
    readonly signal: AbortSignal;
  },
): Promise<ExitCode> {
  // Loaded while the worker starts, which is where the time goes.
  const [{ connectTo }, { devPackages, EXAMPLE, prepareNetwork }, { renderPositions, runSample }] = await Promise.all([
    import("./connection.ts"),
    import("./dev-network.ts"),
    import("./dev-sample.ts"),
  ]);
  const packages = await devPackages(home, cordapp ?? EXAMPLE, options.notaryType);
  if (packages.changed) packages.cordapp().catch(() => {}); // Looked at when it is uploaded; what fails before comes first.
  const ready = await worker.ready;
  const readySeconds = performance.now() / 1_000;
  progress.done(`REST answers at ${ready.url}`);
  const password = readFileSync(join(home, "secrets", "admin-password"), "utf8").trim();
  const connection = connectTo({ url: ready.url, user: ready.user, password, ca: readFileSync(ready.caFile, "utf8") });
  try {
    const companies = await prepareNetwork(connection, packages, progress);
    const result = cordapp === undefined ? await runSample(connection, companies, progress, signal) : undefined;
    const ours = companies[0]?.shortHash ?? "";
    const flows = await startableFlows(connection, ours);
    if (terminal.json) {
      const summary = {
        ...(result === undefined ? { flows } : { ...result, agrees: result.agrees ?? null, sample_seconds: round(result.seconds) }),
        seconds: round(performance.now() / 1_000),
        ready_seconds: round(readySeconds),
        pss_mb: treePssMb(process.pid, home) ?? null,
        url: ready.url,
      };
      terminal.out(`${JSON.stringify(summary)}\n`);
    } else {
      if (result !== undefined) terminal.out(`\n${renderPositions(result.positions)}\n\n${verdict(result)}\n`);
      if (!options.once) terminal.out(`\n${howToTry(ready, home, ours, result === undefined ? flows : undefined)}\n`);
    }
    return result?.agrees === false ? EXIT.refused : EXIT.done;
  } finally {
    await connection.close();
  }
}

function verdict({ agrees, transactions, refused }: { agrees: boolean | undefined; transactions: number; refused: number }): string {
  const counted = `${transactions} notarised transactions, ${refused} rows refused`;
  if (agrees === undefined) return `${counted}. The ledger has moved on since the file was imported.`;
  return agrees ? `${counted}. The ledger agrees with the file.` : `${counted}. THE LEDGER DISAGREES WITH THE FILE: see above.`;
}

async function startableFlows(connection: Connection, vnode: string): Promise<readonly string[]> {
  return (await connection.call("listFlowClasses", { params: { holdingidentityshorthash: vnode } })).flowClassNames;
}

/** `flows` are those of a CorDapp that is not the example. */
function howToTry({ url, caFile, user }: WorkerReady, home: string, vnode: string, flows: readonly string[] | undefined): string {
  const address = [
    `REST      ${url}/api/v5_3        described at ${url}/api/v5_3/swagger`,
    `user      ${user}, password in ${join(home, "secrets", "admin-password")}`,
    "",
  ];
  if (flows !== undefined) {
    return [
      ...address,
      flows.length === 0 ? "This CorDapp has no flow that clients may start." : "Start a flow (--help says more):",
      ...flows.map((name) => `  bowline flow start ${name} --as Alice --home ${home} --set NAME=VALUE …`),
      "",
      "Ctrl-C stops the network; the same command continues it; bowline reset deletes it.",
    ].join("\n");
  }
  const body = JSON.stringify({
    clientRequestId: `try-${randomUUID()}`,
    flowClassName: "com.example.obligation.ListPositions",
    requestBody: {},
  });
  return [
    ...address,
    "Try:",
    `  curl --cacert ${caFile} -u "${user}:$(cat ${join(home, "secrets", "admin-password")})" \\`,
    `    -H 'content-type: application/json' -d '${body}' ${url}/api/v5_3/flow/${vnode}`,
    "  bin/bowline vault list Alice",
    "",
    "Ctrl-C stops the network; npm start continues it; bin/bowline reset deletes it.",
  ].join("\n");
}

/** A worker that dies while the example is being set up explains more than the connection that it breaks. */
async function diedEarly(worker: Worker, work: Promise<ExitCode>): Promise<ExitCode> {
  await worker.ready; // Its own words, when it never was ready.
  const lastWords = await worker.ended;
  const outcome = await Promise.race([work, Promise.resolve(undefined)]).catch(() => undefined); // It broke because the worker did.
  return outcome ?? sayThatItDied(lastWords);
}

function sayThatItDied(lastWords: string | undefined): never {
  throw usage("worker", lastWords ?? "The worker has ended. See why: bowline logs.");
}

/** Resolves at the first SIGINT or SIGTERM; from then on they are ours to answer. */
function interruption(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => resolve());
  });
}

function openHome(terminal: Terminal, named: string | undefined): string {
  const home = findHome(terminal.cwd, named) ?? resolve(terminal.cwd, HOME_FOLDER);
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    return realpathSync(home);
  } catch (thrown) {
    throw usage("home", `The folder ${home} cannot be used: ${(thrown as Error).message}. Choose another with --home.`);
  }
}

const startOptions = ({ port, bus }: Options): Pick<Options, "port" | "bus"> => ({
  ...(port === undefined ? {} : { port }),
  ...(bus === undefined ? {} : { bus }),
});
const round = (seconds: number): number => Math.round(seconds * 1_000) / 1_000;
