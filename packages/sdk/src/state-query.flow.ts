// How a flow asks a named query: pages as steps, and the query's own code on what they bring.

import type { Data } from "@bowline/base";
import { FlowError } from "./failure.ts";
import type { EntityPage } from "./persistence.ts";
import { readRow } from "./persistence.ts";
import { plain } from "./plain.ts";
import type { FoundState, StateQueryDefinition, StateQueryPage } from "./state-query.ts";
import { inVersionOf } from "./state-versions.ts";
import type { Syscall } from "./syscalls.ts";
import type { StateAndRef } from "./transaction.ts";

/** Pages that are asked for to fill up one that the query's own code has thinned out; then it stays short. */
const REFILLS_MAX = 5;
const PAGE_DEFAULT = 100;
const PAGE_MAX = 1_000;

type Ask = (call: Syscall) => Promise<Data>;
interface Answer {
  readonly states: readonly StateAndRef[];
  readonly joined: readonly (readonly (Data | null)[])[];
  readonly next: string | null;
}

export async function queryPage<P, R, C>(
  ask: Ask,
  query: StateQueryDefinition<P, R, C>,
  parameters: P,
  page: StateQueryPage,
): Promise<EntityPage<R>> {
  const { limit = PAGE_DEFAULT } = page;
  const items: R[] = [];
  let { after } = page;
  for (let refills = 0; ; refills++) {
    const answer = await askPage(ask, query, parameters, { ...page, limit: limit - items.length, after });
    items.push(...kept(query, answer, parameters));
    after = answer.next ?? undefined;
    if (after === undefined || !query.thins || items.length >= limit || refills === REFILLS_MAX) return { items, next: after };
  }
}

export async function queryAll<P, R, C>(
  ask: Ask,
  query: StateQueryDefinition<P, R, C>,
  parameters: P,
  page: Omit<StateQueryPage, "after">,
): Promise<C> {
  const { collect } = query;
  if (collect === undefined) throw new FlowError("query.notCollected", `Query ${query.name} does not say how it is collected.`);
  let collected = collect.first;
  for (let after: string | null | undefined; after !== null; ) {
    const answer: Answer = await askPage(ask, query, parameters, { limit: PAGE_MAX, ...page, after });
    for (const item of kept(query, answer, parameters)) collected = collect.add(collected, item);
    after = answer.next;
  }
  return collected;
}

async function askPage(
  ask: Ask,
  { name }: Pick<StateQueryDefinition<unknown, unknown, unknown>, "name">,
  parameters: unknown,
  { limit, after, refs, createdUntil }: Omit<StateQueryPage, "after"> & { readonly after: string | undefined },
): Promise<Answer> {
  const options = plain({ limit, after, refs, createdUntil }, "the page") as Readonly<Record<string, never>>;
  const call = { kind: "vault.query", query: name, parameters: plain(parameters, "the parameters"), ...options } as const;
  return (await ask(call)) as unknown as Answer;
}

function kept<P, R, C>(query: StateQueryDefinition<P, R, C>, { states, joined }: Answer, parameters: P): readonly R[] {
  const entities = Object.entries(query.joined);
  return states.flatMap((found, i) => {
    const rows = entities.map(([alias, entity], j) => {
      const row = joined[i]?.[j] ?? null;
      return [alias, row === null ? undefined : readRow(entity, row)];
    });
    const definition = "kind" in query.of ? undefined : query.of.find(({ name }) => name === found.state.type);
    const whole = definition === undefined ? found : inVersionOf(definition, found);
    const item = query.keep({ ...whole, joined: Object.fromEntries(rows) } as FoundState, parameters);
    return item === null ? [] : [item];
  });
}
