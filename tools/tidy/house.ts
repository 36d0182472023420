// What the rules look at: every source file, package and document of the repository, read once.

import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { type Program, parse } from "acorn";

/** What a file may do, by its suffix (CONTRIBUTING.md). */
export type FileKind = "plain" | "store" | "memory" | "flow" | "contract" | "test";

export interface Import {
  readonly specifier: string;
  /** `type` is gone at run time; `late` is `import()`, when everything is loaded. */
  readonly kind: "static" | "type" | "late";
  readonly line: number;
}

export interface Source {
  /** From the root of the repository, with forward slashes. */
  readonly path: string;
  readonly kind: FileKind;
  /** The folder below `packages/`, for files in one. */
  readonly package: string | undefined;
  readonly text: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** The file without its types; positions are those of `text`. */
  readonly tree: Program;
}

export interface Manifest {
  readonly name?: string;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly references?: readonly { readonly path: string }[];
}

export interface House {
  readonly sources: readonly Source[];
  /** `package.json` files by the folder they are in; the root's is "". */
  readonly manifests: ReadonlyMap<string, Manifest>;
  /** `tsconfig.json` files by folder. */
  readonly projects: ReadonlyMap<string, Manifest>;
  /** Markdown by path. */
  readonly documents: ReadonlyMap<string, string>;
  /** Every file and folder that a link may lead to. */
  readonly paths: ReadonlySet<string>;
}

export interface Finding {
  /** `path` or `path:line`. */
  readonly where: string;
  /** What is wrong, and what to do. */
  readonly message: string;
}

const SKIPPED = new Set(["node_modules", "dist", ".git", ".bowline", "coverage"]);
const SOURCE_ROOTS = /^(packages|examples|tools|bench|e2e|sim)\//;

export function readHouse(root: string): House {
  const files = new Map<string, string>();
  const paths = new Set<string>();
  for (const path of walk(root, "")) {
    paths.add(path);
    if (/\.(ts|md)$|(^|\/)(package|tsconfig)\.json$/.test(path)) files.set(path, readFileSync(join(root, path), "utf8"));
  }
  return houseOf(files, paths);
}

/** A house of these files alone: how a rule is tested. */
export function houseOf(files: ReadonlyMap<string, string>, paths: ReadonlySet<string> = new Set(files.keys())): House {
  const sources: Source[] = [];
  const manifests = new Map<string, Manifest>();
  const projects = new Map<string, Manifest>();
  const documents = new Map<string, string>();
  for (const [path, text] of files) {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    if (path.endsWith(".md")) documents.set(path, text);
    else if (path.endsWith("package.json")) manifests.set(folder, JSON.parse(text));
    else if (path.endsWith("tsconfig.json")) projects.set(folder, JSON.parse(text));
    else if (path.endsWith(".ts") && SOURCE_ROOTS.test(path)) sources.push(readSource(path, text));
  }
  return { sources, manifests, projects, documents, paths };
}

function readSource(path: string, text: string): Source {
  return {
    path,
    kind: kindOf(path),
    package: /^packages\/([^/]+)\//.exec(path)?.[1],
    text,
    lines: text.split("\n").length - (text.endsWith("\n") ? 1 : 0),
    imports: readImports(text),
    tree: parseSource(path, text),
  };
}

export function parseSource(path: string, text: string): Program {
  try {
    return parse(stripTypeScriptTypes(text), { ecmaVersion: "latest", sourceType: "module", locations: true, allowHashBang: true });
  } catch (error) {
    throw new Error(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function kindOf(path: string): FileKind {
  const suffix = /\.(store|memory|flow|contract|test)\.ts$/.exec(path)?.[1];
  return (suffix as FileKind | undefined) ?? "plain";
}

/** Statements begin a line, as the formatter writes them. */
const IMPORT = /^(?:import|export)\s+(type\s+)?(?:[\w*{][^;"']*?\s+from\s+)?["']([^"']+)["']/gm;
const DYNAMIC_IMPORT = /\bimport\(\s*["']([^"']+)["']\s*\)/g;

function readImports(text: string): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(IMPORT)) {
    const [, type, specifier] = match;
    if (specifier !== undefined) found.push({ specifier, kind: type === undefined ? "static" : "type", line: lineAt(text, match.index) });
  }
  for (const match of text.matchAll(DYNAMIC_IMPORT)) {
    if (match[1] !== undefined) found.push({ specifier: match[1], kind: "late", line: lineAt(text, match.index) });
  }
  return found;
}

export const lineAt = (text: string, index: number): number => text.slice(0, index).split("\n").length;

function* walk(root: string, folder: string): Generator<string> {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    if (SKIPPED.has(entry.name)) continue;
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    yield path;
    if (entry.isDirectory()) yield* walk(root, path);
  }
}
