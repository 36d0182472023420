// Whether a server may be a notary's memory. A notary that forgets one commit may let a state be spent twice, and nobody can
// tell: so a server that may forget what it has said is committed is refused.

import { BowlineError, badRequest, type Database, type Log } from "@bowline/base";

/** Whether databases are served too that may forget what they committed: for tests and demonstrations. Throws `notary.settingsInvalid`. */
export function readAllowForgetful(environment: Readonly<Record<string, string | undefined>>): boolean {
  const name = "BOWLINE_NOTARY_FORGETFUL_DATABASE";
  const text = environment[name] ?? "refuse";
  if (text === "allow" || text === "refuse") return text === "allow";
  throw badRequest("notary.settingsInvalid", `${name} is "${text}", and allow or refuse is meant.`, { name });
}

/** Throws `notary.databaseForgetful`, unless that is allowed. Either way it is said in the log: clients only see that they wait. */
export async function requireDurable({ sql }: Pick<Database, "sql">, allowed: boolean, log: Log): Promise<void> {
  const settings = await sql.query<{ name: string; setting: string }>(
    "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting <> 'on' ORDER BY name",
  );
  if (settings.length === 0) return;
  const off = settings.map(({ name, setting }) => `${name} = ${setting}`).join(", ");
  if (allowed) {
    log.warn("a notary's database may forget what it has committed: states may be spent twice after a crash", { settings: off });
    return;
  }
  log.error("a notary refuses its database, which may forget what it has committed", { settings: off });
  throw new BowlineError(
    "unavailable",
    "notary.databaseForgetful",
    `The notary's PostgreSQL has ${off}: after a crash it may have forgotten what it committed, and a state could be spent twice. Turn it on, or set BOWLINE_NOTARY_FORGETFUL_DATABASE=allow where nothing is at stake.`,
    { settings: off },
  );
}
