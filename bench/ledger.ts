// `npm run bench -- ledger`: what the ledger does per second on this machine. `--only notary` is one of its parts.

import { benchCash } from "./ledger-cash.ts";
import { benchChain } from "./ledger-chain.ts";
import { benchNotary } from "./ledger-notary.ts";
import { benchVault } from "./ledger-vault.ts";
import type { Result } from "./result.ts";

const PARTS = { cash: benchCash, chain: benchChain, notary: benchNotary, vault: benchVault } as const;

export async function benchLedger(how: {
  readonly quick: boolean;
  readonly only?: string | undefined;
  readonly say: (text: string) => void;
}): Promise<Result[]> {
  const { only } = how;
  const parts = Object.entries(PARTS).filter(([name]) => only === undefined || name === only);
  if (parts.length === 0) throw new Error(`The ledger's benchmark has no part "${only}". It has: ${Object.keys(PARTS).join(", ")}.`);
  const results: Result[] = [];
  for (const [, measure] of parts) results.push(...(await measure(how)));
  return results;
}
