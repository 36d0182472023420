// Rules about who may import whom: the table of packages, cycles, and doors that are not doors.

import { posix } from "node:path";
import type { Finding, House, Source } from "./house.ts";

const DOMAIN = ["base", "crypto", "sdk", "api", "ledger", "flow", "membership", "p2p", "cluster"];

/** Arrows only point down. Packages of one level never import each other. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  crypto: ["base"],
  sdk: ["base"],
  api: ["base"],
  ledger: ["base", "crypto", "sdk"],
  flow: ["base", "sdk"],
  membership: ["base", "crypto", "sdk"],
  p2p: ["base", "crypto"],
  cluster: ["base", "crypto", "sdk"],
  host: DOMAIN,
  cli: ["base", "api", "crypto", "cluster"],
  console: ["base", "api"],
  testing: [...DOMAIN, "host"],
};

/** What an author's application may import; its tests also the test kit. */
const EXAMPLE_MAY_IMPORT = ["sdk"];

const OURS = /^@bowline\/([^/]+)(?:\/(.+))?$/;

export function arrowsPointDown(house: House): Finding[] {
  const findings: Finding[] = [];
  for (const { path, package: own, imports } of house.sources) {
    const allowed = allowedFor(path, own);
    if (allowed === undefined) continue;
    for (const { specifier, line } of imports) {
      const target = OURS.exec(specifier)?.[1];
      if (target === undefined || target === own || allowed.includes(target)) continue;
      findings.push({ where: `${path}:${line}`, message: `imports @bowline/${target}; ${describe(own, allowed)}` });
    }
  }
  return [...findings, ...manifestArrows(house)];
}

/** Manifests and project references draw the same arrows as the imports do. */
function manifestArrows(house: House): Finding[] {
  const findings: Finding[] = [];
  for (const [own, allowed] of Object.entries(MAY_IMPORT)) {
    const folder = `packages/${own}`;
    const named = Object.keys({ ...house.manifests.get(folder)?.dependencies }).flatMap((name) => OURS.exec(name)?.[1] ?? []);
    const referenced = (house.projects.get(folder)?.references ?? []).map(({ path }) => posix.basename(path));
    for (const target of named.filter((name) => !allowed.includes(name))) {
      findings.push({ where: `${folder}/package.json`, message: `depends on @bowline/${target}; ${describe(own, allowed)}` });
    }
    for (const target of referenced.filter((name) => !allowed.includes(name))) {
      findings.push({ where: `${folder}/tsconfig.json`, message: `references ${target}; ${describe(own, allowed)}` });
    }
  }
  return findings;
}

function allowedFor(path: string, own: string | undefined): readonly string[] | undefined {
  if (own !== undefined) return MAY_IMPORT[own] ?? [];
  if (!path.startsWith("examples/")) return undefined;
  return path.endsWith(".test.ts") ? [...EXAMPLE_MAY_IMPORT, "testing"] : EXAMPLE_MAY_IMPORT;
}

const describe = (own: string | undefined, allowed: readonly string[]): string =>
  `${own ?? "an example"} may import ${allowed.length === 0 ? "none of our packages" : allowed.join(", ")}. Pass it in as a port, an event or an effect.`;

/** Only the roots of packages, and the sub-paths that their `exports` name; relative paths stay inside a package. */
export function doorsAreUsed(house: House): Finding[] {
  const findings: Finding[] = [];
  for (const { path, package: own, imports } of house.sources) {
    for (const { specifier, line } of imports) {
      const where = `${path}:${line}`;
      const [, target, subPath] = OURS.exec(specifier) ?? [];
      if (
        target !== undefined &&
        subPath !== undefined &&
        house.manifests.get(`packages/${target}`)?.exports?.[`./${subPath}`] === undefined
      ) {
        findings.push({
          where,
          message: `imports ${specifier}, which is no door of @bowline/${target}. Import its root, or export the name there.`,
        });
      }
      const reached = resolve(path, specifier);
      if (own !== undefined && reached !== undefined && !reached.startsWith(`packages/${own}/`)) {
        findings.push({ where, message: `reaches into ${reached}. Import @bowline/${reached.split("/")[1]} instead.` });
      }
      if (own !== undefined && target === own) {
        findings.push({ where, message: `imports its own package by name. Import the file that has it.` });
      }
      if (own !== undefined && reached === `packages/${own}/src/index.ts` && !path.endsWith(".test.ts")) {
        findings.push({ where, message: "imports its own index.ts. Import the file that has it." });
      }
    }
  }
  return findings;
}

/** No file may need itself to be loaded. Types may go round inside a package, and so may what is imported when it is needed. */
export function noCycles(house: House): Finding[] {
  const known = new Map(house.sources.map((source) => [source.path, source]));
  const next = (source: Source): Source[] =>
    source.imports
      .filter(({ kind }) => kind === "static")
      .flatMap(({ specifier }) => known.get(resolve(source.path, specifier) ?? doorOf(specifier)) ?? []);
  return cycles([...known.values()], next).map((cycle) => ({
    where: cycle[0] ?? "",
    message: `is in an import cycle: ${cycle.join(" -> ")}. Move what both need into a third file.`,
  }));
}

const doorOf = (specifier: string): string => `packages/${OURS.exec(specifier)?.[1] ?? "?"}/src/index.ts`;

/** Depth first; each file is entered once, so that each cycle is found once. */
function cycles(sources: readonly Source[], next: (source: Source) => Source[]): string[][] {
  const found: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (source: Source): void => {
    const seenAt = path.indexOf(source.path);
    if (seenAt >= 0) found.push([...path.slice(seenAt), source.path]);
    if (seenAt >= 0 || done.has(source.path)) return;
    path.push(source.path);
    for (const target of next(source)) visit(target);
    path.pop();
    done.add(source.path);
  };
  for (const source of sources) visit(source);
  return found;
}

function resolve(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : undefined;
}

/** The arrows as they are, for people: each package with what it imports. */
export function arrowTable(house: House): string {
  const rows = Object.keys(MAY_IMPORT).flatMap((own) => {
    const sources = house.sources.filter((source) => source.package === own);
    if (sources.length === 0) return [];
    const used = new Set(sources.flatMap(({ imports }) => imports.flatMap(({ specifier }) => OURS.exec(specifier)?.[1] ?? [])));
    used.delete(own);
    const tests = sources.filter(({ kind }) => kind === "test" || kind === "contract");
    const count = (of: readonly Source[]) => of.reduce((total, { lines }) => total + lines, 0);
    const lines = count(sources) - count(tests);
    return [[own, String(sources.length - tests.length), String(lines), String(count(tests)), [...used].sort().join(", ") || "-"]];
  });
  return table([["package", "files", "lines", "test lines", "imports"], ...rows]);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isNumber = (cell: string) => /^\d+$/.test(cell);
  const pad = (cell: string, column: number) => (isNumber(cell) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0));
  return rows.map((row) => row.map(pad).join("  ").trimEnd()).join("\n");
}
