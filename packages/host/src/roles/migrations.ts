// Which packages bring the tables of which logical database.

import { fileURLToPath } from "node:url";
import type { VirtualNodeDatabase } from "@bowline/cluster";
import { type Migration, readMigrations } from "../adapters/migrate.ts";

const sqlFolder = (source: string, database: string): string =>
  fileURLToPath(new URL(`../sql/${database}`, import.meta.resolve(`@bowline/${source}`)));

export interface MigrationSets {
  readonly config: readonly Migration[];
  readonly rbac: readonly Migration[];
  readonly crypto: readonly Migration[];
  readonly bus: readonly Migration[];
  /** Entities' tables are the CorDapps' to make, and tokens' are the vault's. */
  readonly virtualNode: Readonly<Record<Exclude<VirtualNodeDatabase, "entities" | "tokens">, readonly Migration[]>>;
}

export async function loadMigrationSets(): Promise<MigrationSets> {
  const read = (database: string, ...sources: readonly string[]) => readMigrations(sources.map((source) => sqlFolder(source, database)));
  const [config, rbac, crypto, bus, vault, vnodeCrypto, uniqueness] = await Promise.all([
    read("config", "cluster", "membership"),
    read("rbac", "cluster"),
    read("crypto", "crypto"),
    read("bus", "host"),
    read("vault", "flow", "ledger"),
    read("vnode-crypto", "crypto"),
    read("uniqueness", "ledger"),
  ]);
  return { config, rbac, crypto, bus, virtualNode: { vault, crypto: vnodeCrypto, uniqueness } };
}
