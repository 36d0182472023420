// `npm run pack [-- FOLDER]`: every package of ours as npm would install it: JavaScript, types, and what it reads at run
// time. Node.js strips types of the checkout's own files, but of nothing below a node_modules; so packages are stripped here.
// Lines keep their numbers: a stack trace of an installed package is one of the source.

import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const PACKAGES = join(ROOT, "packages");
const STAGE = join(ROOT, "tools", "dist", "packed");
/** What the command line starts and copies, which it does not import: installed beside it, and in it. */
const CLI_DEPENDENCIES = ["host"];
const CLI_EXAMPLES = ["obligation", "starter"];

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function main(): void {
  const target = resolve(process.argv[2] ?? join(ROOT, "dist"));
  run(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-b", ...packages().map((name) => join(PACKAGES, name))]);
  rmSync(STAGE, { recursive: true, force: true });
  const staged = packages().map(stage);
  mkdirSync(target, { recursive: true });
  const packed = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", target, ...staged]);
  for (const { filename } of JSON.parse(packed.stdout) as readonly { readonly filename: string }[]) console.log(join(target, filename));
}

const packages = (): readonly string[] => readdirSync(PACKAGES).filter((name) => existsSync(join(PACKAGES, name, "package.json")));

/** A folder that is the package as it will be installed. */
function stage(name: string): string {
  const source = join(PACKAGES, name);
  const folder = join(STAGE, name);
  mkdirSync(folder, { recursive: true });
  for (const file of filesOf(join(source, "src"))) stageScript(join(source, "src", file), join(folder, "src", file));
  for (const file of filesOf(join(source, "dist")).filter((file) => file.endsWith(".d.ts") && !isTest(file)))
    write(join(folder, "src", file), importing(readFileSync(join(source, "dist", file), "utf8")));
  for (const part of ["README.md", "sql"])
    if (existsSync(join(source, part))) cpSync(join(source, part), join(folder, part), { recursive: true });
  cpSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  const manifest: Manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
  write(join(folder, "package.json"), JSON.stringify(name === "cli" ? commandLine(manifest, folder) : published(manifest), null, 2));
  return folder;
}

function stageScript(file: string, target: string): void {
  if (!file.endsWith(".ts") || isTest(file)) return;
  write(target.replace(/\.ts$/, ".js"), importing(stripTypeScriptTypes(readFileSync(file, "utf8"))));
}

/** Neighbours by the names that they have now. */
const importing = (text: string): string => text.replace(/(["'])(\.{1,2}\/[^"'\n]*)\.ts\1/g, "$1$2.js$1");

function published(manifest: Manifest): object {
  const { exports, ...rest } = manifest;
  const doors = Object.entries(exports).map(([door, file]) => [
    door,
    { types: file.replace(/\.ts$/, ".d.ts"), default: file.replace(/\.ts$/, ".js") },
  ]);
  return { ...rest, exports: Object.fromEntries(doors), engines: { node: ">=24" } };
}

/** The command line is installed with all that its commands start. */
function commandLine(manifest: Manifest, folder: string): object {
  const started = CLI_DEPENDENCIES.map((name) => [`@bowline/${name}`, manifest.version]);
  write(join(folder, "bin", "bowline.js"), '#!/usr/bin/env node\nimport "../src/main.js";\n');
  for (const example of CLI_EXAMPLES)
    for (const file of filesOf(join(ROOT, "examples", example)))
      cpSync(join(ROOT, "examples", example, file), join(folder, "examples", example, file));
  const dependencies = { ...manifest.dependencies, ...Object.fromEntries(started) };
  return { ...published({ ...manifest, dependencies }), bin: { bowline: "bin/bowline.js" } };
}

const isTest = (file: string): boolean => /\.test\.(ts|d\.ts)$/.test(file);

function filesOf(folder: string): readonly string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((file) => !/(^|\/)(node_modules|dist)\//.test(file) && !file.endsWith(".tsbuildinfo"));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

function run(command: string, args: readonly string[]): SpawnSyncReturns<string> {
  const result = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (result.status !== 0) {
    process.stderr.write(result.stdout ?? "");
    throw new Error(`${command} ${args[0]} failed.`);
  }
  return result;
}

main();
