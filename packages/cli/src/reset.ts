// `bowline reset`: stops the network here and deletes all that it holds.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { findHome, isWorker, readNetwork } from "./network.ts";
import { runEntry } from "./platform-entry.ts";
import { act, type Register } from "./program.ts";
import { EXIT, type ExitCode, print, type Terminal, usage } from "./terminal.ts";

const STOP_MS = 30_000;
const POLL_MS = 100;
/** What every home has from its first moment: nothing else is ever deleted. */
const MARK = "secrets";

export const register: Register = (program, shell) => {
  program
    .command("reset")
    .option("-y, --yes", "do not ask")
    .summary("stop the network here and delete all that it holds")
    .description("Stops the network that runs from the nearest .bowline folder (or --home) and deletes it: ledgers, keys, logs.")
    .action(
      act(shell, async (options: { yes?: true }, command: Command) => {
        const { terminal } = shell;
        const home = findHome(terminal.cwd, command.optsWithGlobals<{ home?: string }>().home);
        return home === undefined || !existsSync(home) ? nothing(terminal) : reset(terminal, home, options.yes === true);
      }),
    );
};

function nothing(terminal: Terminal): ExitCode {
  print(terminal, { removed: null }, () => "There is nothing to reset: no network was started in this folder or above.");
  return EXIT.done;
}

async function reset(terminal: Terminal, home: string, yes: boolean): Promise<ExitCode> {
  if (!existsSync(join(home, MARK))) throw usage("noHome", `${home} is no home folder of Bowline; it is left as it is.`);
  if (!yes && !terminal.canAsk) throw usage("unconfirmed", `This deletes ${home} with all ledgers and keys in it. Say --yes to do it.`);
  if (!yes && !(await terminal.askYes(`Delete ${home} with all ledgers and keys in it?`))) return EXIT.refused;
  await stopNetwork(home);
  await removeHome(home);
  print(terminal, { removed: home }, () => `Deleted ${home}`);
  return EXIT.done;
}

async function stopNetwork(home: string): Promise<void> {
  const network = readNetwork(home);
  if (network === undefined) return;
  process.kill(network.pid, "SIGTERM");
  for (let waitedMs = 0; isWorker(network.pid); waitedMs += POLL_MS) {
    if (waitedMs > STOP_MS) throw usage("notStopped", `The network (process ${network.pid}) does not stop. See why: bowline logs.`);
    await sleep(POLL_MS);
  }
}

/** The host knows what it has put where; it refuses while another process uses the home. */
async function removeHome(home: string): Promise<void> {
  const entry = fileURLToPath(import.meta.resolve("@bowline/host/remove-home"));
  const answer = await runEntry([entry, "--home", home], () => usage("notRemoved", `${home} could not be deleted.`));
  if (answer["event"] !== "removed") throw usage("notRemoved", String(answer["message"]));
}
