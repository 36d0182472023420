// What a virtual node's vault holds, without a flow of the CorDapp's own.

import { BowlineError, badRequest } from "@bowline/base";
import type { ListedState } from "@bowline/ledger";
import type { CpiInfo } from "../services.ts";
import type { Answers, RestShell } from "./answers.ts";
import { cpiOf, jsonOf } from "./flow-answers.ts";
import { requireVirtualNode } from "./input.ts";

export function vaultAnswers(shell: RestShell): Pick<Answers, "listVaultStates" | "explainVaultQueries"> {
  const { persistence } = shell.services;
  return {
    async listVaultStates({ params, query }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const { type, consumed, limit, after } = query;
      const contracts = contractsOf(await cpiOf(shell, node));
      const state = type ?? onlyState([...contracts.keys()]);
      const read = {
        kind: "list" as const,
        state,
        ...(consumed === undefined ? {} : { consumed }),
        ...(limit === undefined ? {} : { limit }),
        ...(after === undefined ? {} : { before: after }),
      };
      const page = (await persistence.read({ vnode: node.holdingIdentity.shortHash, read })) as unknown as {
        readonly states: readonly ListedState[];
        readonly next: string | null;
      };
      const states = page.states.map((listed) => ({
        ref: listed.ref,
        type: listed.type,
        contract: contracts.get(listed.type) ?? "",
        notary: listed.notary,
        json: jsonOf(listed.json),
      }));
      return { body: { states, next: page.next } };
    },
    async explainVaultQueries({ params, query: { name, large = false } }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const declared = (await cpiOf(shell, node)).cpks.flatMap(({ manifest, fileChecksum }) =>
        (manifest.queries ?? []).map((query) => ({ bundle: fileChecksum, query: query.name })),
      );
      const asked = declared.filter(({ query }) => name === undefined || query === name);
      if (name !== undefined && asked.length === 0) throw queryUnknown(name, declared);
      const vnode = node.holdingIdentity.shortHash;
      const queries = await Promise.all(asked.map((query) => persistence.explainQuery({ vnode, ...query, large })));
      return {
        body: {
          queries: queries.map(({ index, plan, ...rest }) => ({
            ...rest,
            index: index && { ...index, fields: [...index.fields] },
            plan: [...plan],
          })),
        },
      };
    },
  };
}

const contractsOf = (cpi: CpiInfo): ReadonlyMap<string, string> =>
  new Map(cpi.cpks.flatMap(({ manifest }) => manifest.states.map(({ name, contract }) => [name, contract] as const)));

function queryUnknown(name: string, declared: readonly { readonly query: string }[]): BowlineError {
  const names = declared.map(({ query }) => query).join(", ") || "none";
  return new BowlineError("notFound", "vault.queryUnknown", `The CPI has no query ${name}. There are: ${names}.`, { query: name });
}

function onlyState(states: readonly string[]): string {
  const [state, ...others] = states;
  if (state !== undefined && others.length === 0) return state;
  throw badRequest("vault.typeNeeded", `Name the type of state. There are: ${states.join(", ") || "none"}.`, { field: "type" });
}
