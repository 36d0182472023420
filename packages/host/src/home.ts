// The home folder of one installation (`.bowline/`): what a process must find again after a restart, and may keep from others.
//
// - Secrets lie in `secrets/`, in files that only their owner can read; one that others can read is refused.
// - A secret is made once: a process that dies while making it leaves either no file or the whole file.
// - One process at a time serves a home, or several that share a bus. A claim dies with its process, however that dies.

import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { BowlineError, decoder } from "@bowline/base";
import Type from "typebox";
import { claimFolder, type FolderClaim } from "./adapters/folder-claim.ts";

/** A passphrase and a salt (base64): the root of a hierarchy of keys. Never in a database, never an argument. */
export interface RootSecret {
  readonly passphrase: string;
  readonly salt: string;
}

const decodeRoot = decoder(
  Type.Object({ passphrase: Type.String({ minLength: 16 }), salt: Type.String({ minLength: 16 }) }),
  "root secret",
);

export class Home {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes the folder where it is missing. */
  static open(path: string): Home {
    const absolute = resolve(path);
    try {
      for (const folder of [
        absolute,
        join(absolute, "secrets"),
        join(absolute, "logs"),
        join(absolute, "cache"),
        join(absolute, "uploads"),
      ])
        mkdirSync(folder, { recursive: true, mode: 0o700 });
      chmodSync(join(absolute, "secrets"), 0o700);
    } catch (cause) {
      throw new BowlineError(
        "badRequest",
        "home.unusable",
        `The folder ${absolute} cannot be used: ${reason(cause)}. Choose another with --home.`,
      );
    }
    return new Home(realpathSync(absolute));
  }

  file(...parts: readonly string[]): string {
    return join(this.path, ...parts);
  }

  /** The text of a secret file, made by `make` where there is none. */
  secret(name: string, make: () => string): string {
    const path = this.file("secrets", name);
    if (!existsSync(path)) writeOnce(path, make());
    if ((statSync(path).mode & 0o077) !== 0)
      throw new BowlineError("forbidden", "home.secretReadable", `${path} can be read by others than its owner. Run: chmod 600 ${path}`);
    return readFileSync(path, "utf8");
  }

  /** A root secret: from the environment where it is given there, else from a file that is made once. */
  rootSecret(name: "key-root" | "secrets-root", environment: Readonly<Record<string, string | undefined>>): RootSecret {
    const prefix = `BOWLINE_${name.replace("-", "_").toUpperCase()}`;
    const passphrase = environment[`${prefix}_PASSPHRASE`];
    const salt = environment[`${prefix}_SALT`];
    if (passphrase !== undefined || salt !== undefined) {
      if (passphrase === undefined || salt === undefined)
        throw new BowlineError("badRequest", "home.rootIncomplete", `Set both ${prefix}_PASSPHRASE and ${prefix}_SALT, or neither.`);
      return decodeRoot({ passphrase, salt });
    }
    const made = () => JSON.stringify({ passphrase: randomBytes(32).toString("base64"), salt: randomBytes(32).toString("base64") });
    const file = `${name}.json`;
    const text = this.secret(file, made);
    try {
      return decodeRoot(JSON.parse(text));
    } catch {
      throw this.#damaged(file); // Whose message is of its own: another's would quote the secret.
    }
  }

  /** A secret of `length` random bytes, in base64: from the environment where it is given there, else from its file. */
  secretKey(name: string, length: number, environment: Readonly<Record<string, string | undefined>>): Uint8Array {
    const variable = `BOWLINE_${name.replaceAll("-", "_").toUpperCase()}`;
    const given = environment[variable];
    const key = Buffer.from(given ?? this.secret(name, () => randomBytes(length).toString("base64")), "base64");
    if (key.length === length) return new Uint8Array(key);
    if (given === undefined) throw this.#damaged(name);
    throw new BowlineError("badRequest", "home.keyInvalid", `${variable} is not the base64 of ${length} bytes.`);
  }

  #damaged(name: string): BowlineError {
    return new BowlineError(
      "unavailable",
      "home.secretDamaged",
      `${this.file("secrets", name)} does not hold what it held when it was made. Restore it from a backup, or run \`bowline reset\` to begin anew.`,
    );
  }

  /** Where REST may listen, best first: the port used last time, so that addresses stay; else the preferred one; else any. */
  ports(preferred: number): readonly number[] {
    const remembered = Number(existsSync(this.file("port")) ? readFileSync(this.file("port"), "utf8") : "");
    const known = Number.isInteger(remembered) && remembered > 0 && remembered < 65_536 ? [remembered] : [];
    return [...new Set([...known, preferred, 0])];
  }

  rememberPort(port: number): void {
    writeFileSync(this.file("port"), String(port), { mode: 0o600 });
  }

  /** Claims this home for the process, which may then serve it. Throws `folder.inUse` where another live process does. */
  async claim(): Promise<FolderClaim> {
    const claim = await claimFolder(this.file("worker.claim"), `The folder ${this.path}`);
    try {
      for (const name of readdirSync(this.path)) {
        if (!SHARED_CLAIM.test(name)) continue;
        const shared = await claimFolder(this.file(name), `The folder ${this.path}`);
        await shared.release(); // It was a dead process's.
      }
      return claim;
    } catch (cause) {
      await claim.release();
      throw cause;
    }
  }

  /** Claims a place beside other processes that share this home: the first has place 1. */
  async share(): Promise<FolderClaim & { readonly place: number }> {
    for (let place = 1; place <= PLACES_MAX; place++) {
      const mine = await claimFolder(this.file(`worker.${place}.claim`), "").catch((cause: unknown) => {
        if (cause instanceof BowlineError && cause.code === "folder.inUse") return undefined;
        throw cause;
      });
      if (mine === undefined) continue;
      try {
        const alone = await claimFolder(this.file("worker.claim"), `The folder ${this.path}`);
        await alone.release();
        return { place, release: () => mine.release() };
      } catch (cause) {
        await mine.release();
        throw cause;
      }
    }
    throw new BowlineError("conflict", "folder.inUse", `${PLACES_MAX} processes share the folder ${this.path}, and no more may.`);
  }
}

const SHARED_CLAIM = /^worker\.\d+\.claim$/;
const PLACES_MAX = 64;

/** Whole or not at all, and never over what is there: written aside, synced, then linked. */
function writeOnce(path: string, text: string): void {
  const aside = `${path}.${process.pid}.${randomBytes(4).toString("hex")}`;
  try {
    const file = openSync(aside, "wx", 0o600);
    writeSync(file, text);
    fsyncSync(file);
    closeSync(file);
    linkSync(aside, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST")
      throw new BowlineError("badRequest", "home.unusable", `${path} cannot be written: ${reason(cause)}.`);
  } finally {
    rmSync(aside, { force: true });
  }
}

function reason(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "ENOSPC") return "the disk is full; free some room and start again";
  if (code === "EACCES" || code === "EPERM") return "it may not be written by this user";
  return cause instanceof Error ? cause.message : String(cause);
}
