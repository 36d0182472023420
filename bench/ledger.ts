// `npm run bench -- ledger`: what the ledger does per second on this machine.

import { benchCash } from "./ledger-cash.ts";
import { benchChain } from "./ledger-chain.ts";
import { benchNotary } from "./ledger-notary.ts";
import { benchVault } from "./ledger-vault.ts";
import type { Result } from "./result.ts";

export async function benchLedger(how: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  return [...(await benchCash(how)), ...(await benchChain(how)), ...(await benchNotary(how)), ...(await benchVault(how))];
}
