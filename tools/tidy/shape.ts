// Rules about one file at a time: its length, its functions, its names, its face, and what its suffix lets it do.

import type { AnyNode, Node } from "acorn";
import { ancestor, simple } from "acorn-walk";
import type { House, Source } from "./house.ts";
import type { Measure } from "./ratchet.ts";

export const FILE_LINES_MAX = 600;
export const FUNCTION_LINES_MAX = 70;
export const FACE_NAMES_MAX = 25;

export const longFiles = (house: House): Measure[] =>
  house.sources
    .filter(({ lines }) => lines > FILE_LINES_MAX)
    .map(({ path, lines }) => ({
      key: path,
      where: path,
      value: lines,
      message: `has ${lines} lines; ${FILE_LINES_MAX} is the most. Split it by idea.`,
    }));

/** Suites are lists of tests, not functions that one has to hold in mind. */
export function longFunctions(house: House): Measure[] {
  const measures: Measure[] = [];
  for (const { path, kind, tree } of house.sources) {
    if (kind === "test" || kind === "contract") continue;
    const check = (node: AnyNode, _state: unknown, ancestors: readonly Node[]) => {
      const from = node.loc?.start.line ?? 0;
      const lines = (node.loc?.end.line ?? 0) - from + 1;
      if (lines <= FUNCTION_LINES_MAX) return;
      const name = nameOf(node, ancestors) ?? `line ${from}`;
      const message = `${name} has ${lines} lines; ${FUNCTION_LINES_MAX} is the most. One function branches, its helpers compute.`;
      measures.push({ key: `${path}#${name}`, where: `${path}:${from}`, value: lines, message });
    };
    ancestor(tree, { FunctionDeclaration: check, FunctionExpression: check, ArrowFunctionExpression: check });
  }
  return measures;
}

function nameOf(node: AnyNode, ancestors: readonly Node[]): string | undefined {
  for (const at of [node, ...(ancestors as readonly AnyNode[]).toReversed()]) {
    if ((at.type === "FunctionDeclaration" || at.type === "VariableDeclarator") && at.id?.type === "Identifier") return at.id.name;
    if ((at.type === "MethodDefinition" || at.type === "Property") && "name" in at.key) return at.key.name;
  }
  return undefined;
}

/** Words that say nothing about what a thing is, with what to do instead. */
const BANNED_FILE_WORDS =
  /(^|[-.])(common|utils?|helpers?|types|interfaces|impl|managers?|services?|handlers?|processors?|factory|component)([-.]|$)/;
const BANNED_NAME_ENDS = /(Impl|Manager|Service|Services|Handler|Processor|Factory|Component|Helper|Helpers|Utils?)$/;
const INTERFACE_PREFIX = /^I[A-Z][a-z]/;
/** "Link manager", "notary service": terms of the field beat the ban. */
const TERMS_OF_THE_FIELD = /^(p2p-)?link-manager|LinkManager$|[Nn]otaryService$/;
const DECLARATION =
  /^\s*(?:export\s+)?(?:declare\s+)?(?:abstract\s+)?(?:async\s+)?(?:class|interface|type|function\*?|const|let)\s+([A-Za-z_$][\w$]*)/gm;

export function emptyNames(house: House): Measure[] {
  const measures: Measure[] = [];
  for (const { path, text } of house.sources) {
    const file = path.slice(path.lastIndexOf("/") + 1).replace(/\.ts$/, "");
    const folders = path.split("/").slice(0, -1);
    const word = [...folders, file].find((part) => BANNED_FILE_WORDS.test(part) && !TERMS_OF_THE_FIELD.test(part));
    if (word !== undefined) {
      measures.push({ key: path, where: path, value: 1, message: `is named "${word}", which fits anything. Name it after what it holds.` });
    }
    for (const [, name] of text.matchAll(DECLARATION)) {
      if (name === undefined || TERMS_OF_THE_FIELD.test(name)) continue;
      if (!BANNED_NAME_ENDS.test(name) && !INTERFACE_PREFIX.test(name)) continue;
      const message = `declares ${name}. Name it after what it is or does, in the words of docs/glossary.md.`;
      measures.push({ key: `${path}#${name}`, where: path, value: 1, message });
    }
  }
  return measures;
}

/** The public names of a package, one by one. */
export function wideFaces(house: House): Measure[] {
  return house.sources
    .filter(({ path, package: own }) => path === `packages/${own}/src/index.ts`)
    .flatMap((source) => {
      const names = exportedNames(source);
      if (names === undefined) {
        return [
          { key: source.path, where: source.path, value: Number.MAX_SAFE_INTEGER, message: "exports `*`. List the names one by one." },
        ];
      }
      if (names <= FACE_NAMES_MAX) return [];
      const message = `exports ${names} names; ${FACE_NAMES_MAX} is the most. A package is a small door to a lot of work.`;
      return [{ key: source.path, where: source.path, value: names, message }];
    });
}

function exportedNames({ text }: Source): number | undefined {
  if (/^export\s+(type\s+)?\*/m.test(text)) return undefined;
  const lists = [...text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}/gm)].flatMap(([, list]) => (list ?? "").split(","));
  const declared = [...text.matchAll(/^export\s+(?:declare\s+|async\s+)*(?:const|let|function\*?|class|interface|type)\s+\w/gm)];
  return lists.filter((name) => name.trim() !== "").length + declared.length;
}

/** Only these touch the world. */
const SHELLS = new Set(["host", "cli", "console", "testing"]);
const WORLD = new Set(["process", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "console", "fetch", "performance"]);
/** Statements as we write them: key words in capitals. */
const SQL =
  /^\s*(SELECT\s[\s\S]*\sFROM\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|CREATE\s+(TABLE|INDEX|SCHEMA)\s|WITH\s+\w+\s+AS\s*\()/;
/** Modules of Node.js that compute and nothing else. */
const PURE_MODULES = /^node:(crypto|buffer|zlib|assert|util)/;

/** What a file does that its suffix does not allow: `await`, the clock, randomness, timers, the process, SQL. */
export function impurities(house: House): Measure[] {
  return house.sources
    .filter(({ package: own, kind }) => own !== undefined && !SHELLS.has(own) && kind !== "test" && kind !== "contract")
    .flatMap((source) => {
      const found = new Map(impuritiesOf(source).map(({ what, line }) => [what, line]));
      if (found.size === 0) return [];
      const list = [...found].map(([what, line]) => `${what} (line ${line})`).join(", ");
      const message = `does what ${suffixName(source)} may not: ${list}. Take it as an argument, or move it to the file of the right suffix.`;
      return [{ key: source.path, where: source.path, value: found.size, message }];
    });
}

const suffixName = ({ kind }: Source): string => (kind === "plain" ? "a file that decides" : `a *.${kind}.ts file`);

function impuritiesOf({ kind, package: own, tree, imports }: Source): { readonly what: string; readonly line: number }[] {
  const found: { what: string; line: number }[] = [];
  const add = (node: AnyNode, what: string) => found.push({ what, line: node.loc?.start.line ?? 0 });
  const text = (node: AnyNode, value: string) => {
    if (kind !== "store" && SQL.test(value)) add(node, "SQL");
  };
  simple(tree, {
    AwaitExpression: (node) => kind === "plain" && add(node, "await"),
    ForOfStatement: (node) => kind === "plain" && node.await && add(node, "for await"),
    NewExpression: (node) => isGlobal(node.callee, "Date") && node.arguments.length === 0 && add(node, "the clock"),
    MemberExpression: (node) => {
      if (isGlobal(node.object, "Date") && isGlobal(node.property, "now")) add(node, "the clock");
      if (isGlobal(node.object, "Math") && isGlobal(node.property, "random")) add(node, "Math.random");
    },
    Identifier: (node) => WORLD.has(node.name) && add(node, node.name),
    Literal: (node) => typeof node.value === "string" && text(node, node.value),
    TemplateLiteral: (node) => text(node, node.quasis.map(({ value }) => value.cooked ?? "").join(" x ")),
  });
  for (const { specifier, line } of imports) {
    if (!specifier.startsWith("node:")) continue;
    if (PURE_MODULES.test(specifier) && (own === "crypto" || own === "cluster" || !specifier.startsWith("node:crypto"))) continue;
    found.push({ what: specifier, line });
  }
  return found;
}

const isGlobal = (node: AnyNode, name: string): boolean => node.type === "Identifier" && node.name === name;
