// A worker inside this process.

import { createLog } from "../packages/host/src/adapters/system.ts";
import { compose, ROLES_HERE, type Worker } from "../packages/host/src/compose.ts";

/** All roles, in the environment of this process, where nothing else is said. */
export function embedWorker(
  home: string,
  change: Partial<Pick<Parameters<typeof compose>[0], "roles" | "environment" | "through">> = {},
): Promise<Worker> {
  return compose({
    roles: ROLES_HERE,
    home,
    listen: { host: "127.0.0.1" },
    environment: process.env,
    log: createLog({ level: "error" }),
    progress: () => {},
    onUnstoppable: broken("an isolate cannot be stopped"),
    onDatabaseLost: broken("the database has ended"),
    ...change,
  });
}

const broken = (what: string) => () => {
  throw new Error(what);
};
