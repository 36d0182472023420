// `bowline worker`: one more process of a cluster, beside those that run already.

import { mkdirSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { findHome, HOME_FOLDER } from "./network.ts";
import { whole } from "./options.ts";
import { act, type Register } from "./program.ts";
import { EXIT, type ExitCode, type Terminal, usage } from "./terminal.ts";
import { startWorker, type WorkerOptions } from "./worker.ts";

export const register: Register = (program, shell) => {
  program
    .command("worker")
    .addOption(busOption().default("postgres"))
    .option("--port <n>", "the port of REST (default: the one used last, else 8888, else any that is free)", whole(1, 65_535))
    .summary("run one more process of a cluster")
    .description(
      "Runs a worker of all roles, until Ctrl-C. Several on one PostgreSQL share the flows of one cluster: where one dies, the others go on.\n" +
        "They share a home folder, or have copies of its folder secrets and BOWLINE_DATABASE_URL. Each of them needs --bus postgres.",
    )
    .addHelpText(
      "after",
      "\nExamples:\n  bowline dev --bus postgres\n  bowline worker\n  bowline worker --home /var/lib/bowline --port 9000 --json",
    )
    .action(
      act(shell, (options: Pick<WorkerOptions, "bus" | "port">, command: Command) =>
        runWorker(shell.terminal, options, command.optsWithGlobals<{ home?: string }>().home),
      ),
    );
};

/** How the processes of a cluster meet. */
export const busOption = (): Option =>
  new Option("--bus <kind>", "memory for a process alone, postgres for several on one PostgreSQL").choices(["memory", "postgres"]);

async function runWorker(terminal: Terminal, options: Pick<WorkerOptions, "bus" | "port">, named: string | undefined): Promise<ExitCode> {
  const home = homeOf(terminal, named);
  const asked = new Promise<void>((interrupted) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupted());
  });
  const worker = startWorker({ ...options, home, environment: terminal.environment, onProgress: (text) => terminal.err(`${text} …\n`) });
  try {
    const ready = await Promise.race([worker.ready, asked]);
    if (ready === undefined) return EXIT.interrupted;
    terminal.out(
      terminal.json ? `${JSON.stringify({ ...ready, pid: worker.pid })}\n` : `REST answers at ${ready.url}. Ctrl-C stops this worker.\n`,
    );
    await Promise.race([asked, worker.ended.then(sayThatItDied)]);
    terminal.err("\nStopping …\n");
    return EXIT.done;
  } finally {
    await worker.stop();
  }
}

function sayThatItDied(lastWords: string | undefined): never {
  throw usage("worker", lastWords ?? "The worker has ended. See why: bowline logs.");
}

function homeOf(terminal: Terminal, named: string | undefined): string {
  const home = findHome(terminal.cwd, named) ?? resolve(terminal.cwd, HOME_FOLDER);
  try {
    mkdirSync(home, { recursive: true, mode: 0o700 });
    return realpathSync(home);
  } catch (thrown) {
    throw usage("home", `The folder ${home} cannot be used: ${(thrown as Error).message}. Choose another with --home.`);
  }
}
