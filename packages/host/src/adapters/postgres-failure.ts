// Why the embedded PostgreSQL did not start, in one sentence that says what to do.

import { BowlineError, unavailable } from "@bowline/base";

export interface FailureContext {
  /** What the server or initdb printed in this attempt. */
  readonly output: string;
  readonly dataFolder: string;
  readonly logFile: string;
}

/** The previous server's processes or lock files are still going away: worth another attempt. */
export const isLingering = (output: string): boolean =>
  /lock file ".*" already exists|pre-existing shared memory block|Address already in use/.test(output);

const CAUSES: readonly (readonly [symptom: RegExp, explain: (context: FailureContext) => BowlineError])[] = [
  [/No space left on device|Disk quota exceeded/, ({ dataFolder }) => diskFull(dataFolder)],
  [/error while loading shared libraries|version `GLIBC|cannot execute/, ({ output }) => doesNotRun(lastLine(output))],
  [
    /incompatible with server|database files are incompatible/,
    ({ dataFolder, output }) => otherVersion(dataFolder, `PostgreSQL says: ${lastLine(output)}`),
  ],
  [
    /is not a valid data directory|checkpoint record|control file|pg_control|PANIC|could not (open|read) file "(base|global|pg_wal|pg_xact)|configuration file .* (could not be|contains errors)|could not access the server configuration file|database system identifier/,
    ({ dataFolder, output }) => damaged(dataFolder, lastLine(output)),
  ],
  [
    /could not (create|resize|map) .*shared memory/,
    ({ output }) =>
      unavailable(
        "postgres.startFailed",
        `PostgreSQL has too little shared memory (${lastLine(output)}). Give the machine or container more, at least 128 MB.`,
      ),
  ],
];

export function explainFailure(context: FailureContext): BowlineError {
  const cause = CAUSES.find(([symptom]) => symptom.test(context.output));
  if (cause !== undefined) return cause[1](context);
  return unavailable("postgres.startFailed", `PostgreSQL did not start: ${lastLine(context.output)}. Its log is ${context.logFile}.`);
}

/** For errors of our own file operations. Others pass unchanged. */
export function explainFileError(error: unknown, dataFolder: string): unknown {
  if (error instanceof BowlineError || !(error instanceof Error)) return error;
  const { code, path } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") return diskFull(path ?? dataFolder);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS") {
    return unavailable(
      "postgres.folderUnwritable",
      `${path ?? dataFolder} cannot be written (${code}). Give this user access to it, or choose another home folder.`,
    );
  }
  return error;
}

export const diskFull = (folder: string): BowlineError =>
  unavailable("postgres.diskFull", `The disk that holds ${folder} is full. Free some space and start again; nothing is lost.`);

export const doesNotRun = (reason: string): BowlineError =>
  unavailable(
    "postgres.binariesUnusable",
    `The PostgreSQL that Bowline brings does not run on this machine (${reason}). Install PostgreSQL 14 or newer and set BOWLINE_DATABASE_URL.`,
  );

export const otherVersion = (dataFolder: string, why: string): BowlineError =>
  unavailable(
    "postgres.dataVersion",
    `The data folder ${dataFolder} belongs to another version of PostgreSQL: ${why}. Start the Bowline that made it, or run \`bowline reset\` to begin anew.`,
  );

export const damaged = (dataFolder: string, why: string): BowlineError =>
  unavailable(
    "postgres.dataDamaged",
    `The data folder ${dataFolder} is damaged (${why}). Restore it from a backup, or run \`bowline reset\` to begin anew.`,
  );

/** The line that names the cause: the last that is an error, or else the last. Without PostgreSQL's time stamp. */
function lastLine(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const line = lines.findLast((candidate) => /FATAL|PANIC|error:/.test(candidate)) ?? lines.at(-1) ?? "it said nothing";
  return line.replace(/^.*?(FATAL|PANIC|error):\s*/, "").replace(/\.$/, "");
}
