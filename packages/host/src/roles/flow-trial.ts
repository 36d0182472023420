// Whether a flow would go on in other code: it is run again over its journal there, in an isolate of its own that goes when
// it has been tried, so that code on trial is never beside code that runs.
//
// Nothing is performed: what the journal does not settle is not settled.

import { BowlineError, type Log } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import { inProcessFibers, type ReplayDivergence, replayJournal } from "@bowline/flow/replay";
import { ledgerFlows } from "@bowline/ledger";
import { cordapp } from "@bowline/sdk";
import type { Granted } from "../grants.ts";
import { createIsolatePool } from "../sandbox/isolate-pool.ts";
import type { CodeTrials, FlowTrial } from "../services.ts";

type Request = Parameters<CodeTrials["tryCode"]>[0];
interface Means {
  readonly calls: Granted<"flow">;
  readonly log: Log;
  readonly onUnstoppable: () => void;
}

/** One after the other: each takes the memory of an isolate. */
let last: Promise<unknown> = Promise.resolve();

export function tryCode(means: Means, request: Request): Promise<FlowTrial | null> {
  const trial = last.then(() => tried(means, request));
  last = trial.catch(() => {});
  return trial;
}

async function tried({ calls, log, onUnstoppable }: Means, { vnode, flowId, bundle }: Request): Promise<FlowTrial | null> {
  const [flow] = await calls.persistence.load({ vnode, flowIds: [flowId] });
  if (flow === undefined) return null;
  const isolates = createIsolatePool({ bundle: (fileChecksum) => calls.db.bundle({ fileChecksum }), log, onUnstoppable, isolatesMax: 1 });
  const platform = cordapp({ flows: ledgerFlows, states: [], contracts: [] });
  const inProcess = inProcessFibers(platform, () => new Promise((drained) => setImmediate(drained)));
  try {
    const { divergence } = await replayJournal({
      flow: { row: { ...flow.row, bundle }, journal: flow.journal.map((step) => ({ ...step, request: null })) },
      fibers: async (named) => (named === "platform" ? inProcess : isolates.fibers(named)),
      digest: sha256,
    });
    return { version: flow.row.version, divergence: divergence === null ? null : placeOf(divergence) };
  } catch (cause) {
    if (!(cause instanceof BowlineError) || !BROKEN_LIMIT.test(cause.code)) throw cause;
    return { version: flow.row.version, divergence: { step: "", message: cause.message } };
  } finally {
    await isolates.close();
  }
}

/** In which the code would not get through what the flow has done. */
const BROKEN_LIMIT = /^sandbox\.(memory|time|answer)Limit$/;

/** What was asked and recorded are payloads, which not everybody may read who may retry a flow. */
const placeOf = ({ path, message }: ReplayDivergence) => ({ step: path, message });
