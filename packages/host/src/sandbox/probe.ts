// For tests: a bundle written by hand, without the sdk, whose contract is any code at all.

import { BowlineError, type Data, type Log } from "@bowline/base";
import { BundleIsolate, type BundleSource } from "./isolate.ts";
import { CONTRACT_LIMITS } from "./limits.ts";

export const silent: Log = { error() {}, warn() {}, info() {}, debug() {} };
const EMPTY = { flows: [], states: [], contracts: [] };

/** `verify` is the text of a function of the transaction; what it returns is the message of one violation. */
export const probeSource = (verify: string): BundleSource => ({
  manifest: EMPTY,
  script: `var __cordapp = (() => {
    const verify = ${verify};
    return { cordapp: {
      manifest: { flows: [], states: [], contracts: [] },
      verify: (transaction) => [{ contract: "probe", failure: { type: "answer", message: verify(transaction) } }],
      describeState: () => ({ participants: [], json: null }),
      start() {}, deliver() {}, collect: () => [], drop() {}, handOver() { return this; },
    } };
  })();`,
});

export const isolateOf = (source: BundleSource): Promise<BundleIsolate> =>
  BundleIsolate.create(source, { name: "probe", limits: CONTRACT_LIMITS, log: silent, onUnstoppable: () => {} });

/**
 * The code of what stops `run`, which must break a limit. Where a busy machine gives it too little of the processor to be blamed
 * nobody is, and it runs again, as in the product.
 */
export async function stopOf(run: () => Promise<unknown>): Promise<string> {
  for (;;) {
    const thrown: unknown = await run().then(
      () => new Error("nothing stopped it"),
      (cause: unknown) => cause,
    );
    if (!(thrown instanceof BowlineError)) throw thrown;
    if (thrown.code !== "sandbox.starvedLimit") return thrown.code;
  }
}

/** What the code answers, or how it threw; rejects where it was stopped. */
export async function probe(verify: string, transaction: Data = null): Promise<unknown> {
  const isolate = await isolateOf(probeSource(verify));
  try {
    const answer = await isolate.check({ vnode: "", transaction, contracts: ["probe"], outputs: [] });
    if ("thrown" in answer) return `threw ${answer.thrown}`;
    return (answer.ok as { violations: readonly { failure: { message: unknown } }[] }).violations[0]?.failure.message;
  } finally {
    isolate.dispose();
  }
}
