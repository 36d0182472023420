// A database whose clock is the day's: where a statement asks PostgreSQL for the time, it is told what time it is there.

import type { Database, Instant, Sql, Statement } from "@bowline/base";

export function onVirtualClock(database: Database, now: () => Instant): Database {
  const told = (statement: Statement | string): Statement | string => {
    const text = typeof statement === "string" ? statement : statement.text;
    if (!ASKS.test(text)) return statement;
    // Without its name: a prepared statement always has the same text.
    return text.replaceAll(new RegExp(ASKS, "g"), `to_timestamp(${now()} / 1000.0)`);
  };
  const over = (sql: Sql): Sql => ({ query: (statement, values) => sql.query(told(statement), values) });
  return {
    sql: over(database.sql),
    transaction: (work) => database.transaction((sql) => work(over(sql))),
    close: () => database.close(),
  };
}

const ASKS = /\b(?:now|clock_timestamp)\(\)/;
