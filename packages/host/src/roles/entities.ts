// The CorDapps' own tables, as the persistence role reaches them: written by the vault's user inside step commits, read
// through a user who may do nothing else. What an entity is called and made of is said by the package's manifest, never by
// the flow that asks.

import { type Data, invariant, type SecureHash, type ShortHash, type Sql } from "@bowline/base";
import { virtualNodeDatabase } from "@bowline/cluster";
import { type EntityStore, entityReadOf, entityStore, entityWritesOf, isEntityWrite } from "@bowline/ledger";
import { explainStates, type QueryDescriptions, readStates, stateQueryPlan } from "@bowline/ledger/queries";
import type { RoleDatabases } from "../role-databases.ts";
import type { DbService, PersistenceService } from "../services.ts";

export interface Entities {
  /** Before a commit joins its group: no transaction waits for another role. */
  prepare(writes: readonly Data[]): Promise<void>;
  /** Inside a step commit; of packages that were prepared. */
  apply(vnode: ShortHash, sql: Sql, writes: readonly Data[]): Promise<void>;
  read: PersistenceService["readEntities"];
  /** Over states, joined to rows: as the vault's user, who may read both, on connections that cannot write. */
  query: PersistenceService["queryVault"];
  explain: PersistenceService["explainQuery"];
}

export function createEntities(db: Pick<DbService, "bundle">, databases: RoleDatabases, questions: RoleDatabases): Entities {
  const known = new Map<SecureHash, Required<QueryDescriptions>>();
  const stores = new Map<ShortHash, EntityStore>();

  /** A package never changes: what is known of one stays true. */
  async function knownOf(bundle: SecureHash): Promise<Required<QueryDescriptions>> {
    const found = known.get(bundle);
    if (found !== undefined) return found;
    const { entities = [], queries = [] } = (await db.bundle({ fileChecksum: bundle })).manifest;
    known.set(bundle, { entities, queries });
    return { entities, queries };
  }

  function storeOf(vnode: ShortHash): EntityStore {
    let store = stores.get(vnode);
    if (store === undefined) {
      store = entityStore(virtualNodeDatabase("entities", vnode).schema);
      stores.set(vnode, store);
    }
    return store;
  }

  return {
    async prepare(writes) {
      for (const { bundle } of writes.filter(isEntityWrite)) await knownOf(bundle);
    },
    async apply(vnode, sql, writes) {
      const named = entityWritesOf(writes.filter(isEntityWrite), (bundle) => {
        const found = known.get(bundle);
        invariant(found !== undefined, `package ${bundle} was looked at before its commit`);
        return found.entities;
      });
      if (named.length > 0) await storeOf(vnode).apply(sql, named);
    },
    async read({ vnode, bundle, call }) {
      const read = entityReadOf((await knownOf(bundle)).entities, call);
      const { sql } = await databases.get({ kind: "entities", vnode });
      return storeOf(vnode).read(sql, read);
    },
    async query({ vnode, bundle, call }) {
      const plan = stateQueryPlan(call, await knownOf(bundle));
      const { sql } = await questions.get({ kind: "vault", vnode });
      return readStates(sql, plan, virtualNodeDatabase("entities", vnode).schema);
    },
    async explain({ vnode, bundle, query, large }) {
      const database = await questions.get({ kind: "vault", vnode });
      return explainStates(database, query, await knownOf(bundle), { entities: virtualNodeDatabase("entities", vnode).schema, large });
    },
  };
}
