// How flow code claims tokens and spends them: what `context.tokens` does, on the syscalls of token selection.

import type { Data } from "@bowline/base";
import { decimal } from "./decimal.ts";
import { FlowError, failureOf } from "./failure.ts";
import { plain } from "./plain.ts";
import type { Syscall } from "./syscalls.ts";
import { amountText, type TokenBalance, type TokenClaim, type TokenCriteria, type TokenFilter, type Tokens } from "./tokens.ts";

type Ask = (call: Syscall) => Promise<Data>;

const SPEND_ATTEMPTS = 8;
const BACK_OFF_MIN_MS = 50;
const BACK_OFF_MAX_MS = 5_000;
const SPENT = "notary.inputStateConflict";

export function tokensOf(ask: Ask): Tokens {
  async function tryClaim(criteria: TokenCriteria): Promise<TokenClaim | null> {
    const asked = plain({ ...criteria, amount: amountText(criteria.amount) }, "the criteria") as never;
    const claim = (await ask({ kind: "tokens.claim", criteria: asked })) as unknown as Pick<TokenClaim, "id" | "tokens"> | null;
    return claim && claimOf(ask, claim);
  }

  const balance = async (filter: TokenFilter): Promise<TokenBalance> =>
    (await ask({ kind: "tokens.balance", filter: plain(filter, "the filter") as never })) as unknown as TokenBalance;

  async function backOff(attempt: number): Promise<void> {
    const [chance = 0] = (await ask({ kind: "random", length: 1 })) as Uint8Array;
    const longest = Math.min(BACK_OFF_MIN_MS * 2 ** attempt, BACK_OFF_MAX_MS);
    await ask({ kind: "clock.sleep", durationMs: Math.round((longest * (256 + chance)) / 512) });
  }

  return {
    tryClaim,
    balance,
    async spend({ ...criteria }, use, { attemptsMax = SPEND_ATTEMPTS } = {}) {
      for (let attempt = 1; ; attempt++) {
        const claim = await tryClaim(criteria);
        if (claim === null) await requireTotal(balance, criteria, attempt >= attemptsMax);
        else
          try {
            const made = await use(claim);
            // What was spent is a token no more; the rest is free at once.
            await claim.useAndRelease([]);
            return made;
          } catch (thrown) {
            // What is spent elsewhere stays claimed: the next attempt shall not find it again.
            if (failureOf(thrown).type !== SPENT || attempt >= attemptsMax) throw thrown;
          }
        await backOff(attempt);
      }
    },
  };
}

function claimOf(ask: Ask, { id, tokens }: Pick<TokenClaim, "id" | "tokens">): TokenClaim {
  return {
    id,
    tokens,
    amount: decimal.sum(tokens.map(({ amount }) => amount)),
    refs: tokens.map(({ ref }) => ref),
    async useAndRelease(used) {
      await ask({ kind: "tokens.release", claim: id, used: plain(used, "the used tokens") as readonly string[] });
    },
  };
}

/** Waiting helps where there is enough, and others have claimed it. */
async function requireTotal(
  balance: Tokens["balance"],
  { amount, strategy: _strategy, holdMs: _holdMs, ...filter }: TokenCriteria,
  isLast: boolean,
): Promise<void> {
  const { total, available } = await balance(filter);
  const needed = amountText(amount);
  if (!isLast && decimal.compare(total, needed) >= 0) return;
  throw new FlowError(
    "tokens.insufficient",
    `${needed} of ${filter.symbol} are needed, and of ${total} that there are ${available} are free.`,
    { needed, total, available },
  );
}
