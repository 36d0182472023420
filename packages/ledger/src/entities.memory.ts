// Entities in memory: for tests of CorDapps and for simulations. Texts are in the order of their characters, as in columns
// with the collation "C"; constraints other than the key are PostgreSQL's alone.

import type { Data } from "@bowline/base";
import type { EntityDescription, EntityProperty } from "@bowline/sdk";
import { holds } from "./conditions.ts";
import {
  alreadyThere,
  cursorAt,
  dataOf,
  type EntityRead,
  type EntityRow,
  type EntityWrite,
  keyOf,
  keysOf,
  keyText,
  planOf,
  type QueryPlan,
  runsOf,
} from "./entities.ts";
import { compareValues, type EntityValue } from "./entity-values.ts";
import { PAGE_ENTITIES_BYTES_MAX } from "./limits.ts";

/** The tables of one virtual node. */
export interface MemoryEntities {
  /** Decides; what it returns writes, and cannot fail. So that one commit may hold other writes, which may be refused. */
  prepare(writes: readonly EntityWrite[]): () => void;
  read(read: EntityRead): Promise<Data>;
  /** The row of a key, for what is joined to it. */
  row(entity: EntityDescription, key: EntityRow): EntityRow | undefined;
}

type Table = ReadonlyMap<string, EntityRow>;

export function memoryEntities(): MemoryEntities {
  const tables = new Map<string, Table>();
  const rowsOf = ({ table }: EntityDescription): Table => tables.get(table) ?? new Map();
  return {
    prepare(writes) {
      const changed = new Map<string, Map<string, EntityRow>>();
      for (const { entity, action, rows } of runsOf(writes)) {
        const table = changed.get(entity.table) ?? new Map(rowsOf(entity));
        changed.set(entity.table, table);
        for (const row of rows) {
          const values = action === "remove" ? row : keyOf(entity, row);
          const key = keyText(values);
          if (action === "persist" && table.has(key)) throw alreadyThere(entity, values);
          if (action === "remove") table.delete(key);
          else table.set(key, row);
        }
      }
      return () => {
        for (const [name, table] of changed) tables.set(name, table);
      };
    },
    row: (entity, key) => rowsOf(entity).get(keyText(key)),
    async read(read) {
      const table = rowsOf(read.entity);
      if (read.kind === "query") return page([...table.values()], planOf(read));
      return keysOf(read.entity, read.keys).flatMap((key) => {
        const row = table.get(keyText(key));
        return row === undefined ? [] : [dataOf(read.entity, row)];
      });
    },
  };
}

function page(rows: readonly EntityRow[], plan: QueryPlan): Data {
  const { entity, order, limit, after } = plan;
  const at = (row: EntityRow, { name }: EntityProperty): EntityValue =>
    row[entity.properties.findIndex((property) => property.name === name)] ?? null;
  const placeOf = (row: EntityRow): EntityRow => order.map((property) => at(row, property));
  const compare = (a: EntityRow, b: EntityRow): number => (plan.descending ? -1 : 1) * compareRows(order, a, b);
  const found = rows
    .filter((row) => plan.where.every((any) => any.some((condition) => holds(condition, at(row, condition.property)))))
    .filter((row) => after === null || compare(placeOf(row), after) > 0)
    .sort((a, b) => compare(placeOf(a), placeOf(b)));
  let size = 0;
  const items = found.slice(0, limit).filter((row, i) => {
    size += row.join().length;
    return i === 0 || size <= PAGE_ENTITIES_BYTES_MAX;
  });
  const last = items.at(-1);
  const next = last !== undefined && items.length < found.length ? cursorAt(plan, last) : null;
  return { items: items.map((row) => dataOf(entity, row)), next };
}

function compareRows(order: readonly EntityProperty[], a: EntityRow, b: EntityRow): number {
  for (const [i, { kind }] of order.entries()) {
    const compared = compareValues(kind, a[i] ?? null, b[i] ?? null);
    if (compared !== 0) return compared;
  }
  return 0;
}
