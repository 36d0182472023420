// What one process at a time may do. The turn is a lock of the database's, and ends with its holder, however that ends.

import type { Database, Sql } from "@bowline/base";

/** Runs `work` when no other process is at work of that name. */
export function inTurn<T>(database: Database, name: string, work: () => Promise<T>): Promise<T> {
  return database.transaction(async (turn) => {
    await turn.query("SELECT pg_advisory_xact_lock(hashtext('turn'), hashtext($1))", [name]);
    await begin(turn);
    return work();
  });
}

/** Runs `work` unless another process is at work of that name. */
export function ifFree(database: Database, name: string, work: () => Promise<void>): Promise<void> {
  return database.transaction(async (turn) => {
    const [lock] = await turn.query<{ mine: boolean }>("SELECT pg_try_advisory_xact_lock(hashtext('turn'), hashtext($1)) AS mine", [name]);
    if (lock?.mine !== true) return;
    await begin(turn);
    await work();
  });
}

/**
 * The transaction waits for the work, which goes on through other connections. A statement without parameters closes the one before it:
 * left open it would keep its snapshot, and an index that is made concurrently waits for every snapshot there is.
 */
const begin = (turn: Sql): Promise<unknown> => turn.query("SET LOCAL idle_in_transaction_session_timeout = 0");
