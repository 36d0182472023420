// `bowline vault`: what a virtual node holds.

import type { Operations, QueryOf, ReplyOf } from "@bowline/api";
import type { Connection } from "./connection.ts";
import { online } from "./online.ts";
import { whole } from "./options.ts";
import type { Register } from "./program.ts";
import { type Column, renderTable } from "./table.ts";
import { print } from "./terminal.ts";

type ListVaultStates = Operations["listVaultStates"];
type VaultState = ReplyOf<ListVaultStates>["states"][number];

const PAGE = 1_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000_000;

interface Options {
  readonly type?: string;
  readonly consumed?: true;
  readonly limit: number;
}

export const register: Register = (program, shell) => {
  const { terminal } = shell;
  const vault = program
    .command("vault")
    .summary("see the states that a virtual node holds")
    .description("The vault of a virtual node: the states in which it takes part.");
  vault
    .command("list")
    .argument("<vnode>", "the virtual node: a name, a part of one, or a short hash")
    .option("--type <name>", "the type of state (default: the only one of the virtual node's CPI)")
    .option("--consumed", "the consumed states too")
    .option("--limit <n>", "at most so many states", whole(1, LIMIT_MAX), LIMIT_DEFAULT)
    .description("Lists states, with the members of their data as columns.")
    .addHelpText(
      "after",
      "\nExamples:\n  bowline vault list Alice\n  bowline vault list Alice --type com.example.obligation.Obligation --limit 1000 --json",
    )
    .action(
      online(shell, async (connection, vnode: string, { limit, ...options }: Options) => {
        const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash };
        const { states, next } = await readStates(connection, params, options, limit);
        const { shortName } = await import("./identity.ts");
        print(terminal, { states, next }, () => renderStates(states, next, { widthMax: terminal.columns.out, shortName }));
        return undefined;
      }),
    );
  vault
    .command("explain")
    .argument("<vnode>", "the virtual node: a name, a part of one, or a short hash")
    .argument("[query]", "a named query of its CorDapps (default: all)")
    .option("--large", "as in a vault that is too large to be read whole")
    .description("Says how PostgreSQL finds what named queries ask for, and whether through the index that each declares.")
    .addHelpText("after", "\nExamples:\n  bowline vault explain Alice\n  bowline vault explain Alice com.example.Owed --large")
    .action(
      online(shell, async (connection, vnode: string, name: string | undefined, { large }: { readonly large?: true }) => {
        const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash };
        const query = { ...(name === undefined ? {} : { name }), ...(large === undefined ? {} : { large }) };
        const { queries } = await connection.call("explainVaultQueries", { params, query });
        print(terminal, { queries }, () => renderQueries(queries, name !== undefined));
        return undefined;
      }),
    );
};

type Explained = ReplyOf<Operations["explainVaultQueries"]>["queries"][number];

/** The plan of one that was asked for by name; of several, which index each uses. */
export function renderQueries(queries: readonly Explained[], whole: boolean): string {
  if (queries.length === 0) return "The virtual node's CPI has no named queries.";
  const lines = queries.map(({ query, index, usesIndex, plan }) => {
    const declared = index === null ? "declares no index" : `index (${index.fields.join(", ")}) is ${index.state}`;
    const used = index === null ? "" : usesIndex ? ", and used" : ", and not used";
    return [`${query}: ${declared}${used}`, ...(whole ? plan.map((line) => `  ${line}`) : [])].join("\n");
  });
  return lines.join("\n");
}

async function readStates(
  connection: Connection,
  params: { readonly holdingidentityshorthash: string },
  options: Pick<Options, "type" | "consumed">,
  limit: number,
): Promise<{ readonly states: readonly VaultState[]; readonly next: string | null }> {
  const states: VaultState[] = [];
  let next: string | null = null;
  do {
    const query: QueryOf<ListVaultStates> = {
      ...options,
      limit: Math.min(PAGE, limit - states.length),
      ...(next === null ? {} : { after: next }),
    };
    const reply: ReplyOf<ListVaultStates> = await connection.call("listVaultStates", { params, query });
    states.push(...reply.states);
    next = reply.next;
  } while (next !== null && states.length < limit);
  return { states, next };
}

/** A column for every member of the data that any of the states has; what nests is flattened (`amount.currency`), names are as people say them. */
export function renderStates(
  states: readonly VaultState[],
  next: string | null,
  { widthMax, shortName }: { readonly widthMax: number; readonly shortName: (name: string) => string },
): string {
  if (states.length === 0) return "The vault holds no such states.";
  const rows = states.map(({ ref, json }) => ({ ref, members: new Map(flatten(json, "").map(([name, text]) => [name, shortName(text)])) }));
  const names = [...new Set(rows.flatMap(({ members }) => [...members.keys()]))];
  const columns: Column<(typeof rows)[number]>[] = names.map((title) => ({
    title,
    align: rows.every(({ members }) => /^-?[0-9.]*$/.test(members.get(title) ?? "")) ? "right" : "left",
    cell: ({ members }) => members.get(title) ?? "",
  }));
  const table = renderTable([...columns, { title: "ref", cell: ({ ref }) => ref }], rows, widthMax);
  return next === null ? table : `${table}\n\nThere are more: --limit ${2 * states.length}`;
}

/** Public keys, which nobody reads, are left out. */
function flatten(value: unknown, path: string): [string, string][] {
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([name, inner]) => flatten(inner, path === "" ? name : `${path}.${name}`));
  const text = String(value);
  if (/^M[A-Za-z0-9+/]{60,}={0,2}$/.test(text)) return [];
  return [[path, text]];
}
