// Rules about what we say: error codes are documented, and documents lead somewhere.

import { posix } from "node:path";
import type { AnyNode, Program } from "acorn";
import { simple } from "acorn-walk";
import { type FileKind, type Finding, type House, lineAt, parseSource } from "./house.ts";

const ERRORS_DOCUMENT = "docs/errors.md";
const DEPENDENCIES_DOCUMENT = "docs/dependencies.md";
const CODE = /^[a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)+$/;
/** The makers of errors that a user can meet, by the position of the code among their arguments. */
const MAKERS: Readonly<Record<string, number>> = {
  BowlineError: 1,
  badRequest: 0,
  unavailable: 0,
  FlowError: 0,
  refuse: 0,
  refused: 0,
  unless: 1,
};

const TEST_KINDS: ReadonlySet<FileKind> = new Set(["test", "contract", "memory"]);

/** Every code that the code throws is in docs/errors.md, and every code there is one that the code can throw. */
export function errorCodesAreDocumented(house: House): Finding[] {
  const document = house.documents.get(ERRORS_DOCUMENT) ?? "";
  const documented = new Set([...document.matchAll(/^\|\s*`([^`]+)`/gm)].map(([, code]) => code ?? ""));
  const shipped = house.sources.filter(({ path, kind }) => path.startsWith("packages/") && !TEST_KINDS.has(kind));
  const silent = shipped.flatMap(({ path, tree }) =>
    codesIn(tree).flatMap(({ code, line }) =>
      documented.has(code) ? [] : [{ where: `${path}:${line}`, message: `says \`${code}\`, which ${ERRORS_DOCUMENT} does not explain.` }],
    ),
  );
  // Where an area puts its codes together (`package.${reason}`), they cannot be told from the text.
  const isSaid = (code: string) => {
    const composed = `\`${code.slice(0, code.indexOf("."))}.\${`;
    return shipped.some(({ text }) => text.includes(`"${code}"`) || text.includes(composed));
  };
  const stale = [...documented]
    .filter((code) => !isSaid(code))
    .map((code) => ({ where: ERRORS_DOCUMENT, message: `explains \`${code}\`, which nothing says any more. Remove the row.` }));
  return [...silent, ...stale];
}

function codesIn(tree: Program): { readonly code: string; readonly line: number }[] {
  const found: { code: string; line: number }[] = [];
  const take = (node: AnyNode | null | undefined) => {
    if (node?.type !== "Literal" || typeof node.value !== "string" || !CODE.test(node.value)) return;
    found.push({ code: node.value, line: node.loc?.start.line ?? 0 });
  };
  const made = (callee: AnyNode, args: readonly AnyNode[]) => {
    const position = callee.type === "Identifier" ? MAKERS[callee.name] : undefined;
    if (position !== undefined) take(args[position]);
  };
  simple(tree, {
    CallExpression: (node) => made(node.callee, node.arguments),
    NewExpression: (node) => made(node.callee, node.arguments),
    Property: (node) => node.key.type === "Identifier" && node.key.name === "code" && take(node.value),
  });
  return found;
}

/** A package that we ship with has a row, with the version that is used and the reason for it. */
export function dependenciesHaveReasons(house: House): Finding[] {
  const rows = (house.documents.get(DEPENDENCIES_DOCUMENT) ?? "").split("\n").filter((line) => line.startsWith("|"));
  const hasRow = (name: string, version: string) => {
    const names = [`\`${name}\``, `\`${name.slice(0, name.indexOf("/"))}/*\``];
    return rows.some((row) => names.some((written) => row.includes(written)) && row.includes(version));
  };
  return [...house.manifests].flatMap(([folder, { dependencies, optionalDependencies }]) =>
    Object.entries(folder.startsWith("packages/") || folder === "tools/runtime" ? { ...dependencies, ...optionalDependencies } : {})
      .filter(([name, version]) => !name.startsWith("@bowline/") && !hasRow(name, version))
      .map(([name, version]) => ({
        where: `${folder}/package.json`,
        message: `depends on ${name} ${version}, for which ${DEPENDENCIES_DOCUMENT} has no row with that version and a reason.`,
      })),
  );
}

/** One title, links that lead somewhere, and TypeScript that can be read. */
export function documentsHold(house: House): Finding[] {
  return [...house.documents].flatMap(([path, text]) => [
    ...titleFindings(path, text),
    ...linkFindings(house, path, text),
    ...codeFindings(path, text),
  ]);
}

const withoutCode = (text: string): string => text.replace(/^```[\s\S]*?^```/gm, (block) => block.replace(/[^\n]/g, " "));

function titleFindings(path: string, text: string): Finding[] {
  const titles = withoutCode(text).match(/^# .+/gm) ?? [];
  return titles.length === 1
    ? []
    : [{ where: path, message: `has ${titles.length} titles; it needs exactly one line that begins with "# ".` }];
}

function linkFindings(house: House, path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const prose = withoutCode(text).replace(/`[^`\n]*`/g, (code) => " ".repeat(code.length));
  for (const match of prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)) {
    const link = match[1] ?? "";
    if (/^[a-z]+:/.test(link)) continue;
    const [file, anchor] = link.split("#");
    const target = file === "" || file === undefined ? path : posix.join(posix.dirname(path), decodeURI(file)).replace(/\/$/, "");
    const where = `${path}:${lineAt(text, match.index)}`;
    if (target !== "." && !house.paths.has(target)) findings.push({ where, message: `links to ${link}, which is not there.` });
    else if (anchor !== undefined && anchor !== "" && !anchors(house.documents.get(target)).has(anchor)) {
      findings.push({ where, message: `links to ${link}, and there is no such heading.` });
    }
  }
  return findings;
}

/** As GitHub makes them from headings. */
function anchors(text: string | undefined): ReadonlySet<string> {
  const headings = withoutCode(text ?? "").matchAll(/^#+ (.+)$/gm);
  return new Set(
    [...headings].map(([, heading]) =>
      (heading ?? "")
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, "")
        .trim()
        .replace(/\s/g, "-"),
    ),
  );
}

function codeFindings(path: string, text: string): Finding[] {
  const findings: Finding[] = [];
  for (const match of text.matchAll(/^```(?:ts|typescript)\n([\s\S]*?)^```/gm)) {
    const where = `${path}:${lineAt(text, match.index)}`;
    try {
      parseSource(where, match[1] ?? "");
    } catch (error) {
      findings.push({ where, message: `has TypeScript that cannot be read: ${error instanceof Error ? error.message : String(error)}` });
    }
  }
  return findings;
}
