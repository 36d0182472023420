// The token-selection role: which flow of a virtual node spends which fungible state. It holds the credentials of a user who may
// mark tokens as claimed and do nothing else. Several processes may run it: the database sees to it that no two claims overlap.

import type { Log, ShortHash } from "@bowline/base";
import type { BootKey } from "@bowline/crypto";
import { type ClaimOutcome, type ClaimRequest, tokenStore } from "@bowline/ledger/tokens";
import type { Answering } from "../calls.ts";
import type { Granted } from "../grants.ts";
import { createRoleDatabases } from "../role-databases.ts";
import type { TokenSelection } from "../services.ts";
import { createBatches } from "./batches.ts";

/** One that claims, and one for balances beside it. */
const CONNECTIONS_PER_VAULT_MAX = 2;
const BATCH_MAX = 64;

export interface TokenSelectionRole {
  readonly service: Answering<TokenSelection>;
  close(): Promise<void>;
}

export function createTokenSelectionRole(options: {
  readonly db: Granted<"token-selection">["db"];
  readonly bootKey: BootKey;
  readonly random: (length: number) => Uint8Array;
  readonly log: Log;
}): TokenSelectionRole {
  const databases = createRoleDatabases({ ...options, connectionsMax: CONNECTIONS_PER_VAULT_MAX });
  const storeOf = async (vnode: ShortHash) => tokenStore(await databases.get({ kind: "tokens", vnode }), options.random);
  const claims = createBatches<ShortHash, ClaimRequest, ClaimOutcome>(BATCH_MAX, async (vnode, requests) =>
    (await storeOf(vnode)).claim(requests),
  );
  return {
    service: {
      claim: ({ vnode, claim }) => claims(vnode, claim),
      balances: async ({ vnode, limit }) => (await storeOf(vnode)).balances(limit),
      balance: async ({ vnode, filter }) => (await storeOf(vnode)).balance(filter),
    },
    close: () => databases.close(),
  };
}
