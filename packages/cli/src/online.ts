// Actions over a connection. What they need of the platform's packages is loaded when they run, so that help is not slow.

import type { Command } from "commander";
import type { Connection } from "./connection.ts";
import { chooseTarget, type TargetOptions } from "./network.ts";
import { act, type Shell } from "./program.ts";
import type { ExitCode } from "./terminal.ts";

/**
 * An action over a connection to the network that the command's options mean; it is closed when the action ends.
 * Commander hands an action its arguments, its options and its command, in this order.
 */
export function online<Args extends readonly unknown[]>(
  shell: Shell,
  work: (connection: Connection, ...args: Args) => Promise<ExitCode | undefined>,
): (...args: Args) => Promise<void> {
  return act<Args>(shell, async (...args) => {
    const command = args.at(-1) as Command;
    const target = await chooseTarget(shell.terminal, command.optsWithGlobals<TargetOptions>());
    const { connectTo } = await import("./connection.ts");
    const connection = connectTo(target);
    try {
      return await work(connection, ...args);
    } finally {
      await connection.close();
    }
  });
}
