// A CorDapp's entry and all that it imports, as the one script that travels in a CPK and runs in the sandbox.
//
// Guarantees: the script is a function of its sources (no paths of this machine, no time). It holds the CorDapp's own files,
// the sdk and typebox, and nothing else. What the sandbox would refuse, or what flows would share behind each other's backs,
// is refused here already, with file and line; all of it at once.

import { readFileSync } from "node:fs";
import { readFile, realpath } from "node:fs/promises";
import { findPackageJSON, isBuiltin, SourceMap } from "node:module";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { createContext, runInContext } from "node:vm";
import { badRequest } from "@bowline/base";
import { decodeManifest } from "@bowline/cluster";
import { type Comment, type ModuleDeclaration, type Node, type Pattern, parse, type Statement } from "acorn";
import type { Loader, OnResolveArgs, PartialMessage, Plugin, PluginBuild } from "esbuild";

type CordappManifest = ReturnType<typeof decodeManifest>;

export interface Bundle {
  readonly script: string;
  /** What the bundle says of itself, run here: on the machine of its author, who trusts it. */
  readonly manifest: CordappManifest;
}

/** What a bundle's script assigns; its member `cordapp` is the entry's. */
export const BUNDLE_GLOBAL = "__cordapp";

/** What a CorDapp may import, and what the sdk itself stands on. */
const ALLOWED_PACKAGES = ["@bowline/sdk", "@bowline/base", "typebox"] as const;
const FOUNDATION_PACKAGES: readonly string[] = [...ALLOWED_PACKAGES, "@noble/hashes", "@noble/curves"];
const SCRIPT_LENGTH_MAX = 16 * 1024 * 1024;
const LOADERS: Readonly<Record<string, Loader>> = { ".ts": "ts", ".mts": "ts", ".js": "js", ".mjs": "js", ".json": "json" };
/** The sandbox has no floating-point arrays, which hashing schemas needs and checking values does not. */
const HASHING = /[\\/]typebox[\\/]build[\\/]system[\\/]hashing[\\/]hash\.mjs$/;
const NO_HASHING = `export const Hash = () => { throw new Error("There is no hashing of schemas in the sandbox."); };\nexport const HashCode = Hash;`;

/** What SES refuses wherever it stands, even in a string. Its own patterns. */
const FORBIDDEN: readonly { readonly pattern: RegExp; readonly what: string }[] = [
  {
    pattern: /(?<=^|[^.]|\.\.\.)\bimport\s*(?:\(|\/[/*])/g,
    what: 'the sandbox refuses the text "import(", even in a string: import at the top of a file',
  },
  { pattern: /(?<=^|[^.])\beval\s*\(/g, what: 'the sandbox refuses the text "eval(", even in a string' },
  { pattern: /<!--|-->/g, what: 'the sandbox refuses the texts "<!--" and "-->", even in a string: write them in two parts' },
];

/**
 * Throws `bundle.refused`, with one line per fault, or `bundle.entryMissing`. To be debugged, the script is a CommonJS module
 * too, with a source map that names the author's files; such a one is never packed.
 */
export async function bundleCordapp(entryFile: string, { debug = false } = {}): Promise<Bundle> {
  const { build } = await import("esbuild"); // Only those who make packages load it.
  const entry = await realpath(resolve(entryFile)).catch(() => {
    throw badRequest("bundle.entryMissing", `There is no file ${entryFile}. Name the module that exports "cordapp".`, { file: entryFile });
  });
  const root = dirname(findPackageJSON(pathToFileURL(entry)) ?? entry);
  const result = await build({
    entryPoints: [entry],
    plugins: [cordappSources(root)],
    bundle: true,
    write: false,
    format: "iife",
    globalName: BUNDLE_GLOBAL,
    platform: "neutral",
    target: "es2023",
    mainFields: ["module", "main"],
    conditions: ["import"],
    legalComments: "none",
    tsconfigRaw: {}, // Nothing that lies around the sources has a say.
    banner: { js: '"use strict";' },
    sourcemap: "external",
    sourcesContent: debug,
    metafile: true,
    outfile: join(root, "cordapp.js"),
    absWorkingDir: root,
    logLevel: "silent",
    charset: "utf8",
  }).catch((thrown: unknown) => {
    const { errors = [] } = thrown as { readonly errors?: readonly PartialMessage[] };
    throw errors.length === 0 ? thrown : refused(errors.map(describe));
  });
  const textOf = (suffix: string): string => result.outputFiles.find(({ path }) => path.endsWith(suffix))?.text ?? "";
  const faults = [
    ...foreignFiles(Object.keys(result.metafile.inputs), root),
    ...forbiddenTexts(textOf(".js"), new SourceMap(JSON.parse(textOf(".js.map")))),
  ];
  if (faults.length > 0) throw refused(faults);
  const script = debug ? debuggable(textOf(".js"), textOf(".js.map"), root) : withoutComments(textOf(".js"));
  if (script.length > SCRIPT_LENGTH_MAX) throw refused([`the bundle has ${script.length} characters; at most ${SCRIPT_LENGTH_MAX} may be`]);
  return { script, manifest: manifestOf(script) };
}

/** Sources by their place on this machine, whatever folder the script is written to. */
function debuggable(code: string, map: string, root: string): string {
  const { sources, sourcesContent, ...rest } = JSON.parse(map) as Readonly<Record<"sources" | "sourcesContent", readonly string[]>>;
  const placed = JSON.stringify({
    ...rest,
    sources: sources.map((source) => pathToFileURL(resolve(root, source)).href),
    // As their authors wrote them.
    sourcesContent: sourcesContent.map((text) => text.split(`\n${FREEZING}`)[0]),
  });
  const url = `data:application/json;base64,${Buffer.from(placed).toString("base64")}`;
  return `${code}\nif (typeof module === "object") module.exports = ${BUNDLE_GLOBAL};\n//# sourceMappingURL=${url}\n`;
}

/** Runs a bundle to ask it what it holds. Only ever on the machine of its author: `node:vm` confines nothing. */
function manifestOf(script: string): CordappManifest {
  const context = createContext({});
  let manifest: unknown;
  try {
    runInContext(script, context, { timeout: LOAD_TIMEOUT_MS, filename: "cordapp.js" });
    manifest = runInContext(`JSON.stringify(${BUNDLE_GLOBAL}.cordapp?.manifest)`, context);
  } catch (thrown) {
    const reason = thrown !== null && typeof thrown === "object" && "message" in thrown ? thrown.message : thrown;
    throw refused([`it cannot be loaded: ${reason}`]);
  }
  if (typeof manifest !== "string")
    throw refused(['its entry exports no "cordapp": write export const cordapp = cordapp({ flows, states, contracts })']);
  return decodeManifest(JSON.parse(manifest));
}
const LOAD_TIMEOUT_MS = 10_000;

/** The rules for the author's own files. What the allowed packages import among themselves is looked at in the end. */
function cordappSources(root: string): Plugin {
  return {
    name: "cordapp",
    setup(build) {
      build.onResolve({ filter: /.*/ }, (args) => (isAuthors(args.importer, root) ? resolveImport(build, root, args) : undefined));
      build.onResolve({ filter: /^typebox\// }, (args) => resolvePure(build, args));
      build.onLoad({ filter: new RegExp(`^${RegExp.escape(root + sep)}`) }, ({ path }) =>
        isAuthors(path, root) ? checkFile(path, root) : undefined,
      );
      build.onLoad({ filter: HASHING }, () => ({ contents: NO_HASHING, loader: "js" }));
    },
  };
}

const isAuthors = (file: string, root: string): boolean => file.startsWith(root + sep) && !file.includes(`${sep}node_modules${sep}`);

async function resolveImport(build: PluginBuild, root: string, { path, kind, importer, resolveDir, pluginData }: OnResolveArgs) {
  if (pluginData === RESOLVING) return undefined;
  const allowed = packageOf(path);
  const isFile = /^\.{0,2}\//.test(path) || path === "." || path === "..";
  if (!isFile && allowed === undefined) return { errors: [{ text: refusedPackage(path) }] };
  const options = { kind, importer, namespace: "file", pluginData: RESOLVING };
  const found = await build.resolve(path, { ...options, resolveDir });
  if (isFile && found.errors.length === 0 && !isAuthors(found.path, root))
    return { errors: [{ text: `"${path}" lies outside the CorDapp, which is ${root}` }] };
  // A package that every CorDapp may use need not be installed beside it: this program brings its own.
  return found.errors.length > 0 && allowed !== undefined ? build.resolve(path, { ...options, resolveDir: import.meta.dirname }) : found;
}
/** Loading it does nothing, though it does not say so: what nobody uses of it is left out. */
async function resolvePure(build: PluginBuild, { path, kind, importer, resolveDir, pluginData }: OnResolveArgs) {
  if (pluginData === RESOLVING) return undefined;
  const found = await build.resolve(path, { kind, importer, resolveDir, namespace: "file", pluginData: RESOLVING });
  return { ...found, sideEffects: false };
}
/** Marks the questions that the plugin itself asks. */
const RESOLVING = "resolving";

const packageOf = (specifier: string) => ALLOWED_PACKAGES.find((name) => specifier === name || specifier.startsWith(`${name}/`));

function refusedPackage(specifier: string): string {
  const what = isBuiltin(specifier)
    ? "which is a part of Node: the sandbox has no files, network, clock or processes"
    : "which is another package";
  return `a CorDapp cannot import "${specifier}", ${what}. It may import its own files and ${ALLOWED_PACKAGES.join(", ")}`;
}

/** Files that belong neither to the CorDapp nor to a package that it may use. */
function foreignFiles(files: readonly string[], root: string): readonly string[] {
  const owners = new Map<string, boolean>();
  return files.flatMap((file) => {
    const path = resolve(root, file);
    const folder = dirname(path);
    const known = owners.get(folder) ?? (isAuthors(path, root) || isFoundation(path));
    owners.set(folder, known);
    return known ? [] : [`${file}: it belongs to no package that a CorDapp may use`];
  });
}

function isFoundation(file: string): boolean {
  const manifest = findPackageJSON(pathToFileURL(file));
  if (manifest === undefined) return false;
  const { name }: { readonly name?: unknown } = JSON.parse(readFileSync(manifest, "utf8"));
  return FOUNDATION_PACKAGES.some((allowed) => allowed === name);
}

async function checkFile(file: string, root: string) {
  const path = relative(root, file).split(sep).join("/");
  const loader = LOADERS[extname(file)];
  if (loader === undefined) return { errors: [{ text: `${path} is neither TypeScript, JavaScript nor JSON` }] };
  const contents = await readFile(file, "utf8");
  if (loader === "json") return { contents, loader };
  const { errors, constants } = await bindingsOf({ contents, path, loader });
  return { contents: constants.length === 0 ? contents : `${contents}\n${frozen(constants)}`, loader, errors };
}

/** At the end, so that every line stays where its author knows it. */
const frozen = (constants: readonly string[]): string => `${FREEZING}\n__freezeAll([${constants.join(", ")}]);\n`;
const FREEZING = 'import { freezeAll as __freezeAll } from "@bowline/sdk/constants";';

/**
 * What stands at the top of a module all flows of the bundle share, and a replay would find it changed. So there is no `let` or `var`, and what a
 * constant holds is frozen: their names.
 */
async function bindingsOf(source: {
  contents: string;
  path: string;
  loader: Loader;
}): Promise<{ readonly errors: PartialMessage[]; readonly constants: readonly string[] }> {
  const { transform } = await import("esbuild");
  const { contents, path, loader } = source;
  // A syntax error is reported by the build itself.
  const plain = await transform(contents, { loader, sourcefile: path, sourcemap: "external", logLevel: "silent", tsconfigRaw: "{}" }).catch(
    () => undefined,
  );
  if (plain === undefined) return { errors: [], constants: [] };
  const map = new SourceMap(JSON.parse(plain.map));
  const program = parse(plain.code, { ecmaVersion: "latest", sourceType: "module", locations: true });
  const errors = sharedDeclarations(program).map(({ kind, node }) => {
    const { line, column } = node.loc?.start ?? { line: 1, column: 0 };
    const entry = map.findEntry(line - 1, column);
    const text = `"${kind}" at the top of a module is shared by all flows; use "const", or keep the value in a flow`;
    return { text, location: { file: path, line: ("originalLine" in entry ? entry.originalLine : 0) + 1, column: 0 } };
  });
  return { errors, constants: program.body.flatMap(constantsOf) };
}

/** The names that a statement at the top of a module gives to objects. A function by itself remembers nothing. */
function constantsOf(statement: Statement | ModuleDeclaration): readonly string[] {
  const declared = statement.type === "ExportNamedDeclaration" ? statement.declaration : statement;
  if (declared?.type === "ClassDeclaration") return [declared.id.name];
  if (declared?.type !== "VariableDeclaration") return [];
  return declared.declarations.filter(({ init }) => !PLAIN_INITIALS.has(init?.type ?? "")).flatMap(({ id }) => namesIn(id));
}
const PLAIN_INITIALS: ReadonlySet<string> = new Set(["ArrowFunctionExpression", "FunctionExpression", "Literal", "TemplateLiteral"]);

function namesIn(pattern: Pattern | null): readonly string[] {
  switch (pattern?.type) {
    case "Identifier":
      return [pattern.name];
    case "ObjectPattern":
      return pattern.properties.flatMap((property) => namesIn(property.type === "Property" ? property.value : property.argument));
    case "ArrayPattern":
      return pattern.elements.flatMap(namesIn);
    case "AssignmentPattern":
      return namesIn(pattern.left);
    case "RestElement":
      return namesIn(pattern.argument);
    default:
      return [];
  }
}

/** The `let`s of the module's own scope, and every `var` that is hoisted to it. */
function sharedDeclarations(program: Node): readonly { readonly kind: string; readonly node: Node }[] {
  const found: { kind: string; node: Node }[] = [];
  const visit = (node: SyntaxNode, top: boolean): void => {
    if (node.type.endsWith("FunctionExpression") || node.type === "FunctionDeclaration" || node.type.startsWith("Class")) return;
    const kind = node.type === "VariableDeclaration" ? String(node.kind) : "";
    if (kind === "var" || (kind === "let" && top)) found.push({ kind, node });
    const inner = node.type === "Program" || node.type === "ExportNamedDeclaration";
    for (const child of Object.values(node).flat()) if (isNode(child)) visit(child, top && inner);
  };
  visit(program as SyntaxNode, true);
  return found;
}

type SyntaxNode = Node & { readonly kind?: unknown };
const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";

function forbiddenTexts(script: string, map: SourceMap): readonly string[] {
  return FORBIDDEN.flatMap(({ pattern, what }) =>
    [...script.matchAll(pattern)].map(({ index }) => {
      const before = script.slice(0, index).split("\n");
      const entry = map.findEntry(before.length - 1, before.at(-1)?.length ?? 0);
      const where = "originalSource" in entry ? `${entry.originalSource}:${entry.originalLine + 1}` : `the bundle:${before.length}`;
      return `${where}: ${what}`;
    }),
  );
}

/** esbuild leaves a comment with the path of each file, and paths differ from machine to machine. */
function withoutComments(script: string): string {
  const comments: Comment[] = [];
  parse(script, { ecmaVersion: "latest", onComment: comments });
  let rest = "";
  let from = 0;
  for (const { type, start, end } of comments) {
    if (type !== "Line") continue;
    rest += script.slice(from, start).trimEnd();
    from = end;
  }
  return rest + script.slice(from);
}

const describe = ({ text = "", location }: PartialMessage): string => (location ? `${location.file}:${location.line}: ${text}` : text);

function refused(faults: readonly string[]) {
  const message = `The CorDapp cannot be bundled:\n${faults.map((fault) => `  ${fault}`).join("\n")}`;
  return badRequest("bundle.refused", message, { faults: faults.join("\n") });
}
