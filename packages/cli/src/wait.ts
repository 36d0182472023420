import { setTimeout as sleep } from "node:timers/promises";
import { usage } from "./terminal.ts";

const FIRST_MS = 20;
const LAST_MS = 1_000;
const PATIENCE_MS = 120_000;

/** Asks until there is an answer, ever less often; throws `cli.tooSlow` after two minutes. */
export async function pollUntil<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const startedAt = performance.now();
  for (let delayMs = FIRST_MS; ; delayMs = Math.min(delayMs * 1.4, LAST_MS)) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() - startedAt > PATIENCE_MS)
      throw usage("tooSlow", `No end of ${what} within ${PATIENCE_MS / 1_000} s. See what the network does: bowline logs.`);
    await sleep(delayMs);
  }
}
