import { BowlineError, type Sql } from "@bowline/base";

/** The oldest major version whose SQL our statements may use. */
export const POSTGRES_MAJOR_MIN = 14;

/** Throws `database.tooOld` for a server that our statements would fail on in the middle of something. `version` as in `SHOW server_version`. */
export function refuseOldServer(version: string): void {
  const major = Number.parseInt(version, 10);
  if (major >= POSTGRES_MAJOR_MIN) return;
  throw new BowlineError(
    "unavailable",
    "database.tooOld",
    `PostgreSQL ${version.split(" ")[0]} is too old; Bowline needs PostgreSQL ${POSTGRES_MAJOR_MIN} or newer. Upgrade the server, or leave BOWLINE_DATABASE_URL unset to use the one that Bowline brings.`,
    { version },
  );
}

export async function checkServerVersion(sql: Sql): Promise<void> {
  const [row] = await sql.query<{ server_version: string }>("SHOW server_version");
  refuseOldServer(row?.server_version ?? "of an unknown version");
}
