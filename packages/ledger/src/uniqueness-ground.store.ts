// Whether the log that a notary finds is the one that it has written. After a failover to a standby that was behind, or the
// restore of a backup, what it had told its clients is gone, and it would let their states be spent again.
//
// Two things are looked at in every batch, in its own transaction: the timeline of the server, which is another one as soon as
// a standby was promoted; and the last entry that this worker has committed. Until an operator has confirmed the log as it
// is there, nothing is decided on. Who confirms names its end, as an audit has told it.

import { BowlineError, type Database, hex, unavailable } from "@bowline/base";

/** The end of the log, as a worker has seen it committed. */
export interface LogEnd {
  readonly seq: number;
  readonly head: Uint8Array;
}

/** Null on a standby, which takes no writes anyhow. */
const TIMELINE = "CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END";

/** Columns of a `GroundRow`, of which `$seq` stands for the entry that is looked for. */
export const groundColumns = (seq: string): string => `
  (SELECT timeline FROM uniqueness_ground) AS known_timeline, ${TIMELINE} AS timeline,
  (SELECT confirmations FROM uniqueness_ground) AS confirmations,
  (SELECT head FROM uniqueness_log WHERE seq = ${seq}) AS head_there`;

export interface GroundRow {
  readonly known_timeline: string;
  readonly timeline: string | null;
  readonly confirmations: number;
  readonly head_there: Uint8Array | null;
}

/** What one worker remembers of the log, and of how often it was confirmed then. */
export class Remembered {
  #end: (LogEnd & { readonly confirmations: number }) | undefined;

  /** Of the entry to look for; before the first there is none. */
  get seq(): number {
    return this.#end?.seq ?? 0;
  }

  keep(end: LogEnd, { confirmations }: Pick<GroundRow, "confirmations">): void {
    if (this.#end === undefined || end.seq > this.#end.seq || confirmations > this.#end.confirmations)
      this.#end = { ...end, confirmations };
  }

  /** Throws `notary.historyLost`. `seq` is the entry that was looked for. */
  check(row: GroundRow, seq: number): void {
    const { known_timeline: known, timeline, confirmations, head_there: there } = row;
    if (timeline !== null && known !== timeline)
      throw lost(
        `its server is on timeline ${timeline}, and the log was written on ${known}: another server took over, or a backup was restored`,
      );
    const end = this.#end;
    if (end === undefined || end.seq !== seq || end.confirmations !== confirmations) return;
    if (there === null || hex(there) !== hex(end.head)) throw lost(`entry ${seq}, which this notary has committed, is no longer there`);
  }
}

const lost = (reason: string) =>
  unavailable(
    "notary.historyLost",
    `The notary decides on nothing: ${reason}. Audit its history, make sure that it continues what was audited before, and confirm it with \`bowline audit confirm\`.`,
  );

/** An operator's word that this is the whole log. Throws `notary.historyOther` where it ends elsewhere. */
export async function confirmHistory({ sql }: Pick<Database, "sql">, { seq, head }: LogEnd): Promise<void> {
  const confirmed = await sql.query(
    `UPDATE uniqueness_ground SET timeline = ${TIMELINE}, confirmations = confirmations + 1
     WHERE EXISTS (SELECT 1 FROM uniqueness_log_head h WHERE h.seq = $1 AND h.head = $2) RETURNING 1`,
    [seq, head],
  );
  if (confirmed.length === 1) return;
  const [there] = await sql.query<{ seq: number; head: Uint8Array }>("SELECT seq, head FROM uniqueness_log_head");
  const end = there === undefined ? "nowhere" : `with ${there.seq}:${hex(there.head)}`;
  throw new BowlineError("conflict", "notary.historyOther", `The log ends ${end}, and not with ${seq}:${hex(head)}: audit it again.`, {
    end,
  });
}
