// The databases of one role: asked of the db role when first needed, sealed to this role's boot key, kept while they are used.

import type { Database, Log } from "@bowline/base";
import type { BootKey } from "@bowline/crypto";
import { openDatabase } from "./adapters/postgres.ts";
import { openConnection } from "./sealed-connection.ts";
import type { DbService, LogicalDatabase } from "./services.ts";

export interface RoleDatabases {
  get(database: LogicalDatabase): Promise<Database>;
  close(): Promise<void>;
}

/** Opens at most `connectionsMax` connections per logical database. */
export function createRoleDatabases(options: {
  readonly db: Pick<DbService, "connection">;
  readonly bootKey: BootKey;
  readonly connectionsMax: number;
  /** Of PostgreSQL, for these connections. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Looks at a database before anybody uses it; what it throws is what `get` throws. */
  readonly opened?: (database: Database) => Promise<void>;
  readonly log: Log;
}): RoleDatabases {
  const opened = new Map<string, Promise<Database>>();
  const open = async (database: LogicalDatabase): Promise<Database> => {
    const { sealed } = await options.db.connection({ database, sealTo: options.bootKey.publicKey });
    const { bootKey, connectionsMax, settings = {}, log } = options;
    const opened = openDatabase({ ...openConnection(bootKey, sealed), connectionsMax, settings, log });
    try {
      await options.opened?.(opened);
    } catch (cause) {
      await opened.close();
      throw cause;
    }
    return opened;
  };
  return {
    get(database) {
      const key = "vnode" in database ? `${database.kind} ${database.vnode}` : database.kind;
      let found = opened.get(key);
      if (found === undefined) {
        found = open(database);
        opened.set(key, found);
        found.catch(() => opened.delete(key)); // The next call asks again.
      }
      return found;
    },
    async close() {
      await Promise.allSettled([...opened.values()].map(async (database) => (await database).close()));
      opened.clear();
    },
  };
}
