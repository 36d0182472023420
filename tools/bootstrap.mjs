// Starts everything: any Node.js >= 20 runs this file, and it sees to the rest. In order: the Node.js that Bowline runs on
// (pinned in tools/runtime, from npm, unless this one will do), the packages (npm ci, with that Node.js), the program.
//
// Guarantees: an install that is complete is not touched; two processes at once install once; a failed or killed install
// is begun again. Standard output belongs to the program alone; what happens here is told on standard error.
//
// Plain JavaScript, and nothing from npm: it runs before there is anything.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startProgress } from "./progress.mjs";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const RUNTIME = join(ROOT, "tools", "runtime");

/** What can be asked for: a file of ours, and the arguments that come before the user's. */
const PROGRAMS = {
  start: ["packages/cli/src/main.ts", "dev"],
  cli: ["packages/cli/src/main.ts"],
  bench: ["bench/main.ts"],
  sim: ["sim/main.ts"],
  test: ["tools/test.ts"],
  pack: ["tools/pack.ts"],
  tidy: ["tools/tidy.ts"],
  lint: ["node_modules/@biomejs/biome/bin/biome", "lint"],
  format: ["node_modules/@biomejs/biome/bin/biome", "check", "--write"],
};

/** The first version whose type stripping is final. */
const NODE_MAJOR = 24;
const NODE_MINOR_MIN = 12;
const LOCK = join(RUNTIME, ".install-lock");
const LOCK_POLL_MS = 250;

class Refusal extends Error {}

async function main() {
  const [name, ...args] = process.argv.slice(2);
  const program = PROGRAMS[name];
  if (program === undefined) throw new Refusal(`Say what to run: ${Object.keys(PROGRAMS).join(", ")}.`);
  const node = await ensureRuntime();
  await ensurePackages(node);
  // npm runs scripts in the root of the checkout; paths on a command line are meant from where it was typed.
  if (name === "cli" && process.env.INIT_CWD) process.chdir(process.env.INIT_CWD);
  run(node, program, args);
}

/** The path of a Node.js that Bowline runs on. */
async function ensureRuntime() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major === NODE_MAJOR && minor >= NODE_MINOR_MIN) return process.execPath;
  const name = `node-${process.platform}-${process.arch}`;
  const { optionalDependencies: pinned } = readJson(join(RUNTIME, "package.json"));
  const version = pinned[name];
  if (version === undefined) {
    throw new Refusal(
      `Bowline runs on Node.js ${NODE_MAJOR}, this is ${process.version}, and npm has none to bring for ${process.platform} on ${process.arch}. Install Node.js ${NODE_MAJOR} from https://nodejs.org and try again.`,
    );
  }
  const node = join(RUNTIME, "node_modules", name, "bin", "node");
  const complete = () => isComplete(RUNTIME) && existsSync(node);
  if (!complete()) {
    await locked(complete, async () => {
      // It is an optional package: npm calls it a success when it could not be had.
      const runs = () => spawnSync(node, ["--version"], { stdio: "ignore" }).status === 0;
      await npmCi(process.execPath, RUNTIME, `Node.js ${version}`, () => (runs() ? undefined : `${node} does not run here`));
      markComplete(RUNTIME);
    });
  }
  return node;
}

async function ensurePackages(node) {
  if (isComplete(ROOT)) return;
  await locked(
    () => isComplete(ROOT),
    async () => {
      if (!matchesLockfile(ROOT)) await npmCi(node, ROOT, "the packages");
      markComplete(ROOT);
    },
  );
}

// A folder is complete when the stamp in its node_modules names its lockfile and the platform.

const stampFile = (folder) => join(folder, "node_modules", ".bowline-stamp");

function stampOf(folder) {
  const hash = createHash("sha256")
    .update(readFileSync(join(folder, "package-lock.json")))
    .digest("hex");
  return `${hash} ${process.platform}-${process.arch} node-${NODE_MAJOR}\n`;
}

function isComplete(folder) {
  try {
    return readFileSync(stampFile(folder), "utf8") === stampOf(folder);
  } catch {
    return false;
  }
}

function markComplete(folder) {
  try {
    writeFileSync(stampFile(folder), stampOf(folder));
  } catch {
    // Somebody else's folder, with everything in it. The next start only compares again.
  }
}

/** Whether npm itself last left node_modules as the lockfile wants it: a developer ran `npm install`. */
function matchesLockfile(folder) {
  try {
    const wanted = readJson(join(folder, "package-lock.json")).packages;
    const present = readJson(join(folder, "node_modules", ".package-lock.json")).packages;
    return Object.entries(wanted).every(([path, { version, optional, link }]) => {
      if (path === "" || link || !path.startsWith("node_modules/")) return true;
      return present[path] === undefined ? optional === true : present[path].version === version && existsSync(join(folder, path));
    });
  } catch {
    return false;
  }
}

/** Runs `work` while no other process does, unless `done` says that another has done it meanwhile. */
async function locked(done, work) {
  const release = await takeLock(done);
  if (release === undefined) return;
  try {
    await work();
  } finally {
    release();
  }
}

async function takeLock(done) {
  const mine = `${LOCK}.${process.pid}`;
  let waiting;
  try {
    // Linking is atomic: of two processes that try, one succeeds.
    writeFileSync(mine, identityOf(process.pid));
    for (;;) {
      try {
        linkSync(mine, LOCK);
        if (!done()) return () => rmSync(LOCK, { force: true });
        rmSync(LOCK, { force: true });
        return undefined;
      } catch (error) {
        if (error.code !== "EEXIST") throw error;
      }
      if (!discardDead()) {
        waiting ??= startProgress("Waiting for another Bowline that is installing");
        await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
      }
    }
  } catch (error) {
    throw explainFileError(error);
  } finally {
    waiting?.stop();
    rmSync(mine, { force: true });
  }
}

/** True when all of the lock's holders are gone, and with them the lock. */
function discardDead() {
  const holders = readText(LOCK);
  if (holders.split("\n").some((holder) => holder !== "" && identityOf(holder.split(" ")[0]) === holder)) return false;
  const aside = `${LOCK}.${process.pid}.dead`;
  try {
    renameSync(LOCK, aside);
    // Another process may have replaced the dead lock by its own just before.
    if (readText(aside) !== holders) linkSync(aside, LOCK);
  } catch {
    // Another process was faster.
  }
  rmSync(aside, { force: true });
  return true;
}

/** A process id with its start time where that can be seen, so that an id that was reused is not taken for its former owner. */
function identityOf(pid) {
  const stat = readText(`/proc/${pid}/stat`);
  const [state, started] = [0, 19].map((field) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[field]);
  if (stat !== "") return state === "Z" ? "" : `${pid} ${started}`;
  if (process.platform === "linux") return "";
  try {
    process.kill(Number(pid), 0);
    return `${pid} `;
  } catch (error) {
    return error.code === "EPERM" ? `${pid} ` : "";
  }
}

/**
 * Installs exactly what the lockfile says. Install scripts never run: every package here brings its binaries.
 * `examine` says what is wrong with what was installed, if anything.
 */
async function npmCi(node, folder, what, examine = () => undefined) {
  const npm = findNpm();
  mkdirSync(folder, { recursive: true });
  const args = [npm, "ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=http"];
  const patience = ["--fetch-retries=3", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=5000"];
  const progress = startProgress(`Installing ${what}`, countPackages(folder));
  const child = spawn(node, [...args, ...patience], {
    cwd: folder,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}`, npm_config_globalconfig: globalConfig(npm) },
  });
  // npm may outlive us, if we are killed: the lock is its as well.
  if (child.pid !== undefined) writeFileSync(LOCK, `${identityOf(process.pid)}\n${identityOf(child.pid)}`);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (part) => {
    said += part;
    // One line per tarball, from the network or from npm's cache.
    progress.count((said.match(/\bhttp (fetch|cache) .*\.tgz/g) ?? []).length);
  });
  const stopped = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  const failure = (await stopped) ?? examine();
  if (failure === undefined) return progress.done();
  progress.fail();
  throw new Refusal(explainNpm(said, failure, folder));
}

/** Packages of the lockfile that are for this machine. */
function countPackages(folder) {
  const here = (wanted, own) => wanted === undefined || [wanted].flat().includes(own);
  const { packages } = readJson(join(folder, "package-lock.json"));
  const wanted = Object.entries(packages).filter(([path, entry]) => path.startsWith("node_modules/") && entry.link !== true);
  return wanted.filter(([, { os, cpu }]) => here(os, process.platform) && here(cpu, process.arch)).length;
}

/** The npm that started us, or the one beside this Node.js, or the one on the path. */
function findNpm() {
  const started = process.env.npm_execpath;
  if (started !== undefined && basename(started) === "npm-cli.js") return started;
  const folders = [dirname(process.execPath), ...(process.env.PATH ?? "").split(delimiter)];
  for (const folder of folders.filter((path) => path !== "")) {
    const bundled = join(folder, "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
    if (existsSync(bundled)) return bundled;
    const linked = join(folder, "npm");
    if (existsSync(linked) && basename(realpathSync(linked)) === "npm-cli.js") return realpathSync(linked);
  }
  throw new Refusal("npm was not found. Install Node.js together with npm, and try again.");
}

/** npm finds its global settings (a proxy, a certificate authority) by the Node.js that runs it: keep those of this machine's own. */
function globalConfig(npm) {
  const known = process.env.npm_config_globalconfig;
  if (known !== undefined) return known;
  const { stdout } = spawnSync(process.execPath, [npm, "config", "get", "globalconfig"], { encoding: "utf8", cwd: "/" });
  return (stdout ?? "").trim();
}

/** In one sentence: what npm met, and what to do. The first that fits wins. */
const NPM_FAILURES = [
  [/ENOSPC|EDQUOT/, (folder) => `The disk that holds ${folder} is full. Free about 1 GB and try again.`],
  [/EACCES|EPERM|EROFS/, (folder) => `${folder}, or npm's cache, cannot be written. Use a checkout that belongs to this user.`],
  [
    /SELF_SIGNED_CERT|UNABLE_TO_(GET_ISSUER|VERIFY)|CERT_/,
    () => "The npm registry's certificate is not trusted here. Tell npm the authority of your proxy: npm config set cafile FILE.",
  ],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|FETCH_ERROR|network/,
    () => "The npm registry cannot be reached. Check the network, or npm's proxy and registry settings, and try again.",
  ],
  [
    /EINTEGRITY/,
    () => "A package differs from what the lockfile says. Run npm cache verify and try again; if it stays, do not trust the registry.",
  ],
  [/code E(401|403|404)/, () => "The npm registry refuses a package that the lockfile names. Check npm's registry settings and try again."],
  [/code EUSAGE/, () => "package-lock.json does not fit package.json. Run npm install, and commit what it changes."],
];

function explainNpm(said, failure, folder) {
  const errors = said.split("\n").filter((line) => /^npm (error|ERR!)|failed with|TAR_ENTRY_ERROR/.test(line));
  const text = errors.join("\n");
  const known = NPM_FAILURES.find(([symptom]) => symptom.test(text));
  if (known !== undefined) return known[1](folder);
  const words = errors.map((line) => line.replace(/^npm (error|ERR!) ?/, "")).filter((line) => line !== "");
  return `npm ci failed in ${folder}: ${failure}. ${words.slice(0, 5).join(" / ")}`.trim();
}

function explainFileError(error) {
  if (["EACCES", "EPERM", "EROFS"].includes(error.code)) {
    return new Refusal(`${error.path} cannot be written (${error.code}). Use a checkout that belongs to this user.`);
  }
  if (["ENOSPC", "EDQUOT"].includes(error.code)) return new Refusal(`The disk that holds ${ROOT} is full. Free about 1 GB and try again.`);
  return error;
}

/** Becomes the program as far as Node.js can: its input and output, its signals, its end. */
function run(node, [entry, ...before], args) {
  const child = spawn(node, ["--no-node-snapshot", "--disable-warning=ExperimentalWarning", join(ROOT, entry), ...before, ...args], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ""}` },
  });
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) {
    process.on(name, () => {
      // A terminal sends Ctrl-C to all of us; a second copy would say "at once".
      if (name !== "SIGINT" || !process.stdin.isTTY) child.kill(name);
    });
  }
  child.once("error", (error) => {
    console.error(`bowline: ${node} does not run: ${error.message}.`);
    process.exit(1);
  });
  child.once("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

function readJson(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

function readText(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

try {
  await main();
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  console.error(`bowline: ${error.message}`);
  process.exitCode = 1;
}
