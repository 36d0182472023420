// Uploads and packages, in the config database. A CPI and all that belongs to it are stored in one transaction; a CPK
// that several CPIs share is stored once.

import type { BowlineError, Instant, SecureHash, Sql } from "@bowline/base";
import type { CordappManifest } from "@bowline/sdk";
import { type CpkMigration, MIGRATION_FILE } from "./migrations.ts";

/** What `GET /cpi/status` says while an upload runs, in this order. */
export const UPLOAD_PROGRESS = [
  "Receiving upload",
  "Verifying CPI",
  "Validating CPI",
  "Checking group policy",
  "Checking group id",
  "Checking whether the CPI can be stored",
  "Checking external channels",
  "Persisting CPI",
  "Notifying workers",
] as const;
export type UploadProgress = (typeof UPLOAD_PROGRESS)[number];
export const UPLOAD_DONE = "OK";

/** A refusal, as it is kept and thrown again at each question for the status. */
export type StoredRefusal = Pick<BowlineError, "kind" | "code" | "message" | "details">;

export interface Upload {
  readonly status: string;
  readonly fileChecksum: string | null;
  readonly error: StoredRefusal | null;
}

export async function startUpload(sql: Sql, fileName: string, now: Instant): Promise<string> {
  const [row] = await sql.query<{ request_id: string }>(
    {
      name: "upload_start",
      text: "INSERT INTO cpi_upload (file_name, status, insert_ts) VALUES ($1, $2, $3) RETURNING request_id",
    },
    [fileName, UPLOAD_PROGRESS[0], new Date(now)],
  );
  return (row as { request_id: string }).request_id;
}

export async function saveUploadProgress(sql: Sql, id: string, status: UploadProgress): Promise<void> {
  await sql.query({ name: "upload_progress", text: "UPDATE cpi_upload SET status = $2 WHERE request_id = $1" }, [id, status]);
}

export async function failUpload(sql: Sql, id: string, { kind, code, message, details }: StoredRefusal): Promise<void> {
  await sql.query({ name: "upload_fail", text: "UPDATE cpi_upload SET status = 'FAILED', error = $2 WHERE request_id = $1" }, [
    id,
    JSON.stringify({ kind, code, message, details }),
  ]);
}

/** Uploads that a process which died was working on. They cannot go on: their file was its own. */
export async function failInterruptedUploads(sql: Sql, refusal: StoredRefusal, begunBefore: Instant): Promise<void> {
  await sql.query("UPDATE cpi_upload SET status = 'FAILED', error = $1 WHERE status NOT IN ($2, 'FAILED') AND insert_ts <= $3", [
    JSON.stringify(refusal),
    UPLOAD_DONE,
    new Date(begunBefore),
  ]);
}

export async function loadUpload(sql: Sql, id: string): Promise<Upload | undefined> {
  const [row] = await sql.query<{ status: string; file_checksum: string | null; error: StoredRefusal | null }>(
    { name: "upload_get", text: "SELECT status, file_checksum, error FROM cpi_upload WHERE request_id = $1" },
    [id],
  );
  return row === undefined ? undefined : { status: row.status, fileChecksum: row.file_checksum, error: row.error };
}

export interface StoredCpk {
  readonly name: string;
  readonly version: string;
  readonly signerSummaryHash: SecureHash;
  readonly fileChecksum: SecureHash;
  readonly type: "contract" | "workflow";
  readonly manifest: CordappManifest;
  readonly timestamp: Instant;
}

export interface StoredCpi {
  readonly name: string;
  readonly version: string;
  readonly signerSummaryHash: SecureHash;
  readonly fileName: string;
  readonly fileChecksum: SecureHash;
  readonly groupId: string;
  readonly groupPolicy: string;
  readonly timestamp: Instant;
  readonly cpks: readonly StoredCpk[];
}

export interface NewCpk extends Omit<StoredCpk, "timestamp"> {
  readonly fileName: string;
  readonly bytes: Uint8Array;
  readonly script: string;
  readonly migrations: readonly CpkMigration[];
}

/** False where a CPI of this name, version and signer is there; then nothing is written. */
export async function saveCpi(
  sql: Sql,
  cpi: Omit<StoredCpi, "cpks" | "timestamp"> & { readonly cpks: readonly NewCpk[] },
  uploadId: string,
  now: Instant,
): Promise<boolean> {
  const at = new Date(now);
  const id = [cpi.name, cpi.version, cpi.signerSummaryHash];
  const made = await sql.query(
    `INSERT INTO cpi (name, version, signer_summary_hash, file_name, file_checksum, group_policy, group_id, file_upload_request_id, insert_ts)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING name`,
    [...id, cpi.fileName, cpi.fileChecksum, cpi.groupPolicy, cpi.groupId, uploadId, at],
  );
  if (made.length === 0) return false;
  for (const [ordinal, cpk] of cpi.cpks.entries()) {
    await saveCpk(sql, cpk, at);
    await sql.query(
      `INSERT INTO cpi_cpk (cpi_name, cpi_version, cpi_signer_summary_hash, cpk_file_checksum, cpk_file_name, ordinal)
       VALUES ($1, $2, $3, $4, $5, $6)`,
      [...id, cpk.fileChecksum, cpk.fileName, ordinal],
    );
  }
  await sql.query("UPDATE cpi_upload SET status = $2, file_checksum = $3 WHERE request_id = $1", [uploadId, UPLOAD_DONE, cpi.fileChecksum]);
  return true;
}

async function saveCpk(sql: Sql, cpk: NewCpk, at: Date): Promise<void> {
  await sql.query(
    `INSERT INTO cpk_metadata (file_checksum, cpk_name, cpk_version, cpk_signer_summary_hash, format_version, cpk_type, metadata, insert_ts)
     VALUES ($1, $2, $3, $4, '2.0', $5, $6, $7) ON CONFLICT DO NOTHING`,
    [cpk.fileChecksum, cpk.name, cpk.version, cpk.signerSummaryHash, cpk.type, JSON.stringify(cpk.manifest), at],
  );
  await sql.query("INSERT INTO cpk_file (file_checksum, data, script) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", [
    cpk.fileChecksum,
    cpk.bytes,
    cpk.script,
  ]);
  if (cpk.migrations.length > 0)
    await sql.query(
      `INSERT INTO cpk_migration (file_checksum, file_name, content)
       SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING`,
      [cpk.fileChecksum, cpk.migrations.map(({ fileName }) => fileName), cpk.migrations.map(({ text }) => text)],
    );
}

export interface StoredMigration {
  /** The CPK's name. */
  readonly source: string;
  readonly number: number;
  readonly name: string;
  readonly text: string;
}

/** The migrations of every CPK of a CPI, in the CPI's order of CPKs and their own. */
export async function loadCpiMigrations(sql: Sql, cpiChecksum: SecureHash): Promise<readonly StoredMigration[]> {
  const rows = await sql.query<{ source: string; file: string; text: string }>(
    {
      name: "cpi_migrations",
      text: `SELECT m.cpk_name AS source, s.file_name AS file, s.content AS text FROM cpi c
             JOIN cpi_cpk l ON (l.cpi_name, l.cpi_version, l.cpi_signer_summary_hash) = (c.name, c.version, c.signer_summary_hash)
             JOIN cpk_metadata m ON m.file_checksum = l.cpk_file_checksum JOIN cpk_migration s ON s.file_checksum = m.file_checksum
             WHERE c.file_checksum = $1 ORDER BY l.ordinal, s.file_name COLLATE "C"`,
    },
    [cpiChecksum],
  );
  return rows.map(({ source, file, text }) => {
    const [, number = "", name = ""] = MIGRATION_FILE.exec(file) ?? [];
    return { source, number: Number(number), name, text };
  });
}

interface CpiRow {
  readonly name: string;
  readonly version: string;
  readonly signer_summary_hash: SecureHash;
  readonly file_name: string;
  readonly file_checksum: SecureHash;
  readonly group_id: string;
  readonly group_policy: string;
  readonly insert_ts: Date;
}

interface CpkRow {
  readonly cpi_checksum: string;
  readonly cpk_name: string;
  readonly cpk_version: string;
  readonly cpk_signer_summary_hash: SecureHash;
  readonly file_checksum: SecureHash;
  readonly cpk_type: "contract" | "workflow";
  readonly metadata: CordappManifest;
  readonly insert_ts: Date;
}

export async function loadCpis(sql: Sql): Promise<readonly StoredCpi[]> {
  const cpis = await sql.query<CpiRow>({ name: "cpi_list", text: "SELECT * FROM cpi ORDER BY insert_ts, name, version" });
  const cpks = await sql.query<CpkRow>({
    name: "cpk_list",
    text: `SELECT c.file_checksum AS cpi_checksum, m.* FROM cpi c
           JOIN cpi_cpk l ON (l.cpi_name, l.cpi_version, l.cpi_signer_summary_hash) = (c.name, c.version, c.signer_summary_hash)
           JOIN cpk_metadata m ON m.file_checksum = l.cpk_file_checksum ORDER BY l.ordinal`,
  });
  return cpis.map((cpi) => ({
    name: cpi.name,
    version: cpi.version,
    signerSummaryHash: cpi.signer_summary_hash,
    fileName: cpi.file_name,
    fileChecksum: cpi.file_checksum,
    groupId: cpi.group_id,
    groupPolicy: cpi.group_policy,
    timestamp: cpi.insert_ts.getTime(),
    cpks: cpks.filter(({ cpi_checksum }) => cpi_checksum === cpi.file_checksum).map(cpkOf),
  }));
}

const cpkOf = (row: CpkRow): StoredCpk => ({
  name: row.cpk_name,
  version: row.cpk_version,
  signerSummaryHash: row.cpk_signer_summary_hash,
  fileChecksum: row.file_checksum,
  type: row.cpk_type,
  manifest: row.metadata,
  timestamp: row.insert_ts.getTime(),
});

export async function loadBundle(sql: Sql, fileChecksum: string): Promise<{ script: string; manifest: CordappManifest } | undefined> {
  const [row] = await sql.query<{ script: string; metadata: CordappManifest }>(
    { name: "bundle_get", text: "SELECT script, metadata FROM cpk_file JOIN cpk_metadata USING (file_checksum) WHERE file_checksum = $1" },
    [fileChecksum],
  );
  return row === undefined ? undefined : { script: row.script, manifest: row.metadata };
}
