// The CorDapps' own tables, as the persistence role reaches them: written by the vault's user inside step commits, read
// through a user who may do nothing else. What an entity is called and made of is said by the package's manifest, never by
// the flow that asks.

import { type Data, invariant, type SecureHash, type ShortHash, type Sql } from "@bowline/base";
import { virtualNodeDatabase } from "@bowline/cluster";
import { type EntityDescriptions, type EntityStore, entityReadOf, entityStore, entityWritesOf, isEntityWrite } from "@bowline/ledger";
import type { RoleDatabases } from "../role-databases.ts";
import type { DbService, PersistenceService } from "../services.ts";

export interface Entities {
  /** Before a commit joins its group: no transaction waits for another role. */
  prepare(writes: readonly Data[]): Promise<void>;
  /** Inside a step commit; of packages that were prepared. */
  apply(vnode: ShortHash, sql: Sql, writes: readonly Data[]): Promise<void>;
  read: PersistenceService["readEntities"];
}

export function createEntities(db: Pick<DbService, "bundle">, databases: RoleDatabases): Entities {
  const known = new Map<SecureHash, EntityDescriptions>();
  const stores = new Map<ShortHash, EntityStore>();

  /** A package never changes: what is known of one stays true. */
  async function entitiesOf(bundle: SecureHash): Promise<EntityDescriptions> {
    const found = known.get(bundle);
    if (found !== undefined) return found;
    const { entities = [] } = (await db.bundle({ fileChecksum: bundle })).manifest;
    known.set(bundle, entities);
    return entities;
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
      for (const { bundle } of writes.filter(isEntityWrite)) await entitiesOf(bundle);
    },
    async apply(vnode, sql, writes) {
      const named = entityWritesOf(writes.filter(isEntityWrite), (bundle) => {
        const entities = known.get(bundle);
        invariant(entities !== undefined, `package ${bundle} was looked at before its commit`);
        return entities;
      });
      if (named.length > 0) await storeOf(vnode).apply(sql, named);
    },
    async read({ vnode, bundle, call }) {
      const read = entityReadOf(await entitiesOf(bundle), call);
      const { sql } = await databases.get({ kind: "entities", vnode });
      return storeOf(vnode).read(sql, read);
    },
  };
}
