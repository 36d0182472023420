// The PostgreSQL server that this installation works on, and the user that may make roles and schemas there: the embedded
// one, or the one that BOWLINE_DATABASE_URL names.

import { badRequest, type Log } from "@bowline/base";
import type { ConnectionDetails } from "../services.ts";
import { joinEmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";
import { openDatabase } from "./postgres.ts";
import { checkServerVersion } from "./server-version.ts";

const DEFAULT_PORT = 5432;

export async function administratorConnection(options: {
  readonly home: string;
  readonly url: string | undefined;
  readonly log: Log;
  readonly progress: (text: string) => void;
  /** Whether another process of this home may run the embedded server: then it is used, and not run a second time. */
  readonly shares: boolean;
  /** The embedded server has ended, and nobody asked it to. */
  readonly onLost: () => void;
}): Promise<{ readonly details: ConnectionDetails; close(): Promise<void> }> {
  if (options.url === undefined) {
    const server = options.shares ? await joinEmbeddedPostgres(options) : await startEmbeddedPostgres(options);
    if ("attached" in server) return { details: { ...server.attached, schema: "public" }, close: async () => undefined };
    let asked = false;
    server.ended.then(() => {
      if (!asked) options.onLost();
    });
    const close = (): Promise<void> => {
      asked = true;
      return server.stop();
    };
    return { details: { ...server.connection, schema: "public" }, close };
  }
  const details = parseDatabaseUrl(options.url);
  options.progress(`Connecting to PostgreSQL at ${details.host}`);
  const database = openDatabase({ ...details, connectionsMax: 1 });
  try {
    await checkServerVersion(database.sql);
  } finally {
    await database.close();
  }
  return { details, close: async () => undefined };
}

/** `postgresql://user:password@host:port/database`, or `…@/database?host=/folder/of/the/socket`. The message never repeats the URL: it holds a password. */
export function parseDatabaseUrl(text: string): ConnectionDetails {
  const wrong = (reason: string) =>
    badRequest("database.urlInvalid", `BOWLINE_DATABASE_URL ${reason}. Write it like postgresql://user:password@host:5432/database.`);
  // The URL parser wants a host, which the form with a socket folder leaves out.
  const url = URL.parse(text.replace(/@\//, "@socket/"));
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol)) throw wrong("is no PostgreSQL address");
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  const database = decodeURIComponent(url.pathname.slice(1));
  if (host === "" || host === "socket") throw wrong("names no host");
  if (url.username === "") throw wrong("names no user");
  if (database === "") throw wrong("names no database");
  return {
    host,
    port: Number(url.searchParams.get("port") ?? (url.port || DEFAULT_PORT)),
    database,
    schema: "public",
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
}
