// The upload of a CPI, from the file that REST received to rows. Uploads are worked on one after the other; each says
// where it is, and ends as OK or as a refusal that every later question for its status gets again.

import { unlink } from "node:fs/promises";
import { PLATFORM_VERSION, SOFTWARE_VERSION } from "@bowline/api";
import { BowlineError, type Database, type Log, readJson, writeJson } from "@bowline/base";
import {
  type CpkContents,
  failInterruptedUploads,
  failUpload,
  loadCertificates,
  loadUpload,
  readCpi,
  type StoredRefusal,
  saveCpi,
  saveUploadProgress,
  startUpload,
  UPLOAD_DONE,
  type UploadProgress,
} from "@bowline/cluster";
import { parseCertificates } from "@bowline/crypto";
import { type GroupPolicy, parseGroupPolicy, staticManagerInfo } from "@bowline/membership";
import type { CryptoService, DbService } from "../services.ts";
import { ensureStaticNetwork } from "./db-networks.ts";
import type { Queue } from "./queue.ts";

export interface UploadsOptions {
  readonly config: Database;
  readonly crypto: Pick<CryptoService, "generateKey" | "sign">;
  readonly queue: Queue;
  readonly now: () => number;
  /** No other process can be at an upload. */
  readonly alone: boolean;
  readonly log: Log;
}

export interface Uploads {
  readonly service: Pick<DbService, "uploadCpi" | "cpiStatus">;
  /** Uploads that died with another process say so. */
  resume(): Promise<void>;
}

export function createUploads(options: UploadsOptions): Uploads {
  const { config, queue, now, log } = options;
  const service: Uploads["service"] = {
    async uploadCpi({ fileName, path }) {
      const id = await startUpload(config.sql, fileName, now());
      queue.add(async () => {
        try {
          await store(options, id, fileName, path);
          log.info("a CPI was stored", { id, fileName });
        } catch (error) {
          await failUpload(config.sql, id, refusalOf(error, log));
        } finally {
          await unlink(path).catch(() => undefined);
        }
      });
      return { id };
    },
    async cpiStatus({ id }) {
      const upload = UUID.test(id) ? await loadUpload(config.sql, id) : undefined;
      // The original answers 400 here, not 404.
      if (upload === undefined) throw new BowlineError("badRequest", "cpi.uploadUnknown", `There is no upload ${id}.`, { id });
      if (upload.error !== null) {
        const { kind, code, message, details } = upload.error;
        throw new BowlineError(kind, code, message, details);
      }
      const done = upload.status === UPLOAD_DONE;
      return { status: upload.status, cpiFileChecksum: done ? shortChecksum(upload.fileChecksum) : "" };
    },
  };
  return { service, resume: () => failInterruptedUploads(config.sql, INTERRUPTED, now() - (options.alone ? 0 : UPLOAD_MS_MAX)) };
}

/** Who has been at an upload for longer than this is thought dead. One who is not ends it all the same. */
const UPLOAD_MS_MAX = 5 * 60_000;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const INTERRUPTED: StoredRefusal = {
  kind: "internal",
  code: "cpi.uploadInterrupted",
  message: "The server stopped while it worked on this upload. Upload the file again.",
  details: {},
};

const shortChecksum = (checksum: string | null): string => (checksum ?? "").replace(/^SHA-256:/, "").slice(0, 12);

async function store({ config, crypto, now }: UploadsOptions, id: string, fileName: string, path: string): Promise<void> {
  const progress = (status: UploadProgress) => saveUploadProgress(config.sql, id, status);
  await progress("Verifying CPI");
  const trusted = await loadCertificates(config.sql, { usage: "code-signer", vnode: null });
  const cpi = await readCpi(path, { anchors: trusted.flatMap(({ pem }) => parseCertificates(pem)), now: now() });
  await progress("Validating CPI");
  checkPlatform(cpi.cpks);
  checkOwners(cpi.cpks);
  await progress("Checking group policy");
  const policy = parseGroupPolicy(cpi.groupPolicy);
  await progress("Checking group id");
  const groupPolicy = await completePolicy({ config, crypto, now }, policy, cpi.groupPolicy);
  await progress("Checking whether the CPI can be stored");
  const { cpiName: name, cpiVersion: version, signerSummaryHash } = cpi.id;
  await progress("Persisting CPI");
  const groupId = policy.kind === "manager" ? "CREATE_ID" : policy.groupId;
  const { fileChecksum, cpks } = cpi;
  const row = { name, version, signerSummaryHash, fileChecksum, fileName, cpks, groupPolicy, groupId };
  if (!(await config.transaction((sql) => saveCpi(sql, row, id, now()))))
    throw new BowlineError("conflict", "cpi.exists", `A CPI ${name} ${version} of the same signers is there already.`, {
      name,
      version,
      signerSummaryHash,
    });
}

function checkPlatform(cpks: readonly CpkContents[]): void {
  const newer = cpks.find(({ minimumPlatformVersion }) => minimumPlatformVersion > PLATFORM_VERSION);
  if (newer !== undefined)
    throw new BowlineError(
      "badRequest",
      "cpi.platformTooOld",
      `${newer.name} needs platform version ${newer.minimumPlatformVersion}, and this cluster has ${PLATFORM_VERSION}.`,
      { cpk: newer.name },
    );
}

/** One flow or query has one name in a virtual node, and one table one package, whichever of its packages brings it. */
function checkOwners(cpks: readonly CpkContents[]): void {
  const flows = twice(cpks, ({ manifest }) => manifest.flows.map(({ name }) => name));
  if (flows !== undefined)
    throw new BowlineError("badRequest", "cpi.flowTwice", `The flow ${flows.name} stands in ${flows.in}.`, { flow: flows.name });
  const queries = twice(cpks, ({ manifest }) => (manifest.queries ?? []).map(({ name }) => name));
  if (queries !== undefined)
    throw new BowlineError("badRequest", "cpi.queryTwice", `The query ${queries.name} stands in ${queries.in}.`, { query: queries.name });
  const tables = twice(cpks, (cpk) => cpk.tables);
  if (tables !== undefined)
    throw new BowlineError(
      "badRequest",
      "cpi.tableTwice",
      `The table ${tables.name} is made in ${tables.in}: call it otherwise in one of them.`,
      { table: tables.name },
    );
}

function twice(cpks: readonly CpkContents[], namesOf: (cpk: CpkContents) => readonly string[]) {
  const owners = new Map<string, string>();
  for (const cpk of cpks)
    for (const name of namesOf(cpk)) {
      const other = owners.get(name);
      if (other !== undefined) return { name, in: `${other} and in ${cpk.name}` };
      owners.set(name, cpk.name);
    }
  return undefined;
}

/** A static network gets its manager's info, as the original injects it. */
async function completePolicy(
  { config, crypto, now }: Pick<UploadsOptions, "config" | "crypto" | "now">,
  policy: GroupPolicy,
  text: string,
): Promise<string> {
  if (policy.kind !== "static") return text;
  const network = await ensureStaticNetwork(config, crypto, policy, now());
  const versions = { platformVersion: PLATFORM_VERSION, softwareVersion: SOFTWARE_VERSION };
  const value = readJson(text, "group policy");
  return writeJson({ ...(value as object), mgmInfo: staticManagerInfo(policy.groupId, network.signingKey, versions) });
}

/** Validation details carry the original's keys beside ours. */
function refusalOf(error: unknown, log: Log): StoredRefusal {
  if (error instanceof BowlineError)
    return {
      kind: error.kind,
      code: error.code,
      message: error.message,
      details: { ...error.details, errorType: error.code, errorMessage: error.message },
    };
  log.error("an upload broke", { cause: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  return {
    kind: "internal",
    code: "cpi.uploadFailed",
    message: "The upload failed by a fault of the server; its log says more.",
    details: {},
  };
}
