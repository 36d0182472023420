// For tests: a bundle written by hand, without the sdk, whose contract is any code at all.

import type { Data, Log } from "@bowline/base";
import { BundleIsolate, type BundleSource } from "./isolate.ts";

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
  BundleIsolate.create(source, { name: "probe", log: silent, onUnstoppable: () => {} });

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
