// Which network a command speaks to: the one that `--target` names, or the one that runs here, found through
// `.bowline/network.json` in this folder or above. The password comes from the environment, the local network's own
// secrets, or a question; never from an argument, where other users of the machine could read it.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { type Terminal, usage } from "./terminal.ts";

/** The options that every command which speaks to a network has. */
export interface TargetOptions {
  readonly target?: string;
  readonly user?: string;
  readonly ca?: string;
  readonly home?: string;
}

export interface Target {
  readonly url: string;
  readonly user: string;
  readonly password: string;
  /** The certificate authorities to trust, as PEM, in place of the machine's own. */
  readonly ca: string | undefined;
}

export const HOME_FOLDER = ".bowline";
/** Of the first worker of a home; others that share it have `network.2.json` and so on. */
const NETWORK_FILE = "network.json";
const OTHER_NETWORK_FILE = /^network\.\d+\.json$/;
/** Stands in the command line of every worker, of the sources and of an installed package. */
const WORKER_ENTRY = "host/src/main.";

/** What a running network says of itself. */
export interface RunningNetwork {
  readonly url: string;
  readonly caFile: string;
  readonly user: string;
  readonly pid: number;
  readonly home: string;
}

/** Throws `cli.noNetwork` where none is named and none runs here. */
export async function chooseTarget(terminal: Terminal, options: TargetOptions): Promise<Target> {
  if (options.target !== undefined) return remoteTarget(terminal, options.target, options);
  const network = findRunningNetwork(terminal.cwd, options.home);
  if (network === undefined) {
    const where = options.home === undefined ? `in ${terminal.cwd} or above` : `from ${resolve(terminal.cwd, options.home)}`;
    throw usage("noNetwork", `No network runs ${where}. Start one with: bowline dev. Or name one: --target URL --user NAME --ca FILE.`);
  }
  const user = options.user ?? network.user;
  return {
    url: network.url,
    user,
    ca: readCa(options.ca ?? (isAbsolute(network.caFile) ? network.caFile : join(network.home, network.caFile)), terminal),
    password: terminal.environment.BOWLINE_PASSWORD ?? localPassword(network, user) ?? (await askPassword(terminal, user, network.url)),
  };
}

/** The home folder that a command means: the named one, else the nearest at or above `cwd`. */
export function findHome(cwd: string, named?: string): string | undefined {
  if (named !== undefined) return resolve(cwd, named);
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, HOME_FOLDER))) return join(folder, HOME_FOLDER);
    if (folder === dirname(folder)) return undefined;
  }
}

export function findRunningNetwork(cwd: string, named?: string): RunningNetwork | undefined {
  const home = findHome(cwd, named);
  return home === undefined ? undefined : readNetwork(home);
}

/** Undefined when nothing runs from this home: a file that a dead process left behind counts for nothing. */
export function readNetwork(home: string): RunningNetwork | undefined {
  if (!existsSync(home)) return undefined;
  const others = readdirSync(home).filter((name) => OTHER_NETWORK_FILE.test(name));
  for (const name of [NETWORK_FILE, ...others]) {
    const network = readNetworkFile(home, join(home, name));
    if (network !== undefined) return network;
  }
  return undefined;
}

function readNetworkFile(home: string, file: string): RunningNetwork | undefined {
  if (!existsSync(file)) return undefined;
  const network = decodeNetwork(readJson(file), home);
  if (network === undefined)
    throw usage("networkFile", `${file} does not say where the network runs. Stop the network and start it again.`);
  return isWorker(network.pid) ? network : undefined;
}

/** By hand: a schema library takes longer to load than most commands to run. */
function decodeNetwork(value: unknown, home: string): RunningNetwork | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { url, caFile, user, pid } = value as Readonly<Record<string, unknown>>;
  if (typeof url !== "string" || !/^https?:\/\//.test(url) || typeof caFile !== "string" || typeof user !== "string") return undefined;
  return typeof pid === "number" && Number.isInteger(pid) && pid > 0 ? { url, caFile, user, pid, home } : undefined;
}

/** Whether this process is a worker of ours: ids are reused, and a process that nobody has buried is dead all the same. */
export function isWorker(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EPERM") return false; // EPERM: it lives, and is another user's.
  }
  if (process.platform !== "linux") return true;
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(WORKER_ENTRY); // Empty when it is dead and not buried.
  } catch {
    return false;
  }
}

async function remoteTarget(terminal: Terminal, url: string, options: TargetOptions): Promise<Target> {
  const parsed = URL.parse(url);
  if (parsed === null || (parsed.protocol !== "https:" && parsed.protocol !== "http:"))
    throw usage("target", `--target takes an address such as https://bowline.example.com:8888, and not "${url}".`);
  if (parsed.username !== "" || parsed.password !== "")
    throw usage("target", "--target takes no user or password: give --user NAME, and the password by BOWLINE_PASSWORD or when asked.");
  if (options.user === undefined)
    throw usage("user", "--target needs --user NAME. The password is asked for, or read from BOWLINE_PASSWORD.");
  return {
    url: parsed.origin,
    user: options.user,
    ca: options.ca === undefined ? undefined : readCa(options.ca, terminal),
    password: terminal.environment.BOWLINE_PASSWORD ?? (await askPassword(terminal, options.user, parsed.origin)),
  };
}

function readCa(file: string, { cwd }: Terminal): string {
  const path = resolve(cwd, file);
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    throw usage("ca", `The certificate authority ${path} cannot be read: ${(thrown as Error).message}.`);
  }
}

function localPassword({ home, user }: RunningNetwork, wanted: string): string | undefined {
  if (wanted !== user) return undefined;
  try {
    return readFileSync(join(home, "secrets", "admin-password"), "utf8").trim();
  } catch {
    return undefined; // Another user's network: ask.
  }
}

async function askPassword(terminal: Terminal, user: string, url: string): Promise<string> {
  if (!terminal.canAsk) throw usage("password", `The password of ${user} at ${url} is needed: set BOWLINE_PASSWORD.`);
  const password = await terminal.askSecret(`Password of ${user} at ${url}`);
  if (password === undefined) throw usage("password", "No password was given.");
  return password;
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as unknown;
  } catch (thrown) {
    throw usage("networkFile", `${file} cannot be read: ${(thrown as Error).message}. Stop the network and start it again.`);
  }
}
