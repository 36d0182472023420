// What a notary has decided, for auditors.

import { fromHex } from "@bowline/base";
import type { Answers, RestShell } from "./answers.ts";
import { requireVirtualNode } from "./input.ts";

const ENTRIES_DEFAULT = 50;
const STATES_DEFAULT = 1_000;

export function notaryAnswers(shell: RestShell): Pick<Answers, "readNotaryHistory" | "readNotaryStates" | "confirmNotaryHistory"> {
  const { uniqueness } = shell.services;
  return {
    async readNotaryHistory({ params, query: { after = 0, limit = ENTRIES_DEFAULT } }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const page = await uniqueness.history({ vnode: holdingIdentity.shortHash, after, limit });
      const entries = page.entries.map(({ seq, head, decisions, seal }) => ({
        seq,
        head: base64(head),
        decisions: base64(decisions),
        seal: base64(seal),
      }));
      return { body: { ...page, keys: [...page.keys], entries } };
    },
    async readNotaryStates({ params, query: { after = null, limit = STATES_DEFAULT } }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const states = await uniqueness.states({ vnode: holdingIdentity.shortHash, after, limit });
      return { body: { states: states.map(({ ref, by }) => ({ ref, by })) } };
    },
    async confirmNotaryHistory({ params, body: { entries, head } }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
      await uniqueness.confirmHistory({ vnode: holdingIdentity.shortHash, seq: entries, head: fromHex(head) as Uint8Array });
      return { body: null };
    },
  };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
