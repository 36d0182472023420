// The flow role: runs flows, and holds nothing. Author code runs in isolates; what it asks for goes to other roles through
// `syscalls.ts`; what it wrote is committed by persistence.

import type { Bus, Clock, Log, SecureHash, X500Name } from "@bowline/base";
import { sha256 } from "@bowline/crypto";
import { createFlowWorker, type FlowDirectory, inProcessFibers, type Responder } from "@bowline/flow";
import { ledgerFlows } from "@bowline/ledger";
import { OUTCOME_PROTOCOL } from "@bowline/ledger/upkeep";
import { cordapp } from "@bowline/sdk";
import type { Answering } from "../calls.ts";
import { createDirectory, type Directory } from "../directory.ts";
import type { Granted } from "../grants.ts";
import { createIsolatePool } from "../sandbox/isolate-pool.ts";
import type { CodeTrials } from "../services.ts";
import { createFlowServices } from "../syscalls.ts";

export async function createFlowRole(options: {
  readonly calls: Granted<"flow">;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: (length: number) => Uint8Array;
  readonly workerId: string;
  readonly log: Log;
  /** Author code holds a thread for good: see `IsolateOptions`. */
  readonly onUnstoppable: () => void;
}): Promise<{ readonly service: Answering<CodeTrials>; close(): Promise<void> }> {
  const { calls, log, onUnstoppable } = options;
  const directory = createDirectory(calls.db, options.clock);
  const isolates = createIsolatePool({ bundle: (fileChecksum) => calls.db.bundle({ fileChecksum }), log, onUnstoppable });
  const platform = cordapp({ flows: ledgerFlows, states: [], contracts: [] });
  const worker = createFlowWorker({
    ...options,
    digest: sha256,
    persistence: calls.persistence,
    directory: flowDirectory(directory, platform.manifest.flows),
    services: createFlowServices(calls, directory),
    // A turn of the event loop comes after every microtask.
    fibers: async (bundle) => (bundle === "platform" ? inProcess : isolates.fibers(bundle)),
  });
  const inProcess = inProcessFibers(platform, () => new Promise((drained) => setImmediate(drained)));
  await worker.start();
  return {
    // Rarely asked for, so loaded then.
    service: { tryCode: async (request) => (await import("./flow-trial.ts")).tryCode(options, request) },
    async close() {
      await worker.stop();
      await isolates.close();
    },
  };
}

type ManifestFlows = ReturnType<typeof cordapp>["manifest"]["flows"];

/** Who answers on a virtual node: the responders of its CPI, and of the platform what every member answers, or a notary. */
function flowDirectory(directory: Directory, platformFlows: ManifestFlows): FlowDirectory {
  return {
    async hosted(name: X500Name, groupId: string) {
      const node = await directory.hosted(name, groupId);
      if (node === undefined) return undefined;
      const cpi = await directory.cpi(node.cpi.fileChecksum);
      const members = await directory.members(groupId);
      const isNotary = members.some(({ info }) => info.name === name && info.notaryService !== undefined);
      const responders = [
        ...(cpi?.cpks ?? []).flatMap(({ manifest, fileChecksum }) => respondersOf(manifest.flows, fileChecksum)),
        ...respondersOf(platformFlows, "platform").filter(({ protocol }) => isNotary || protocol.name === OUTCOME_PROTOCOL.name),
      ];
      return { vnode: node.holdingIdentity.shortHash, responders };
    },
  };
}

const respondersOf = (flows: ManifestFlows, bundle: SecureHash | "platform"): readonly Responder[] =>
  flows.flatMap(({ name, answers }) => (answers === undefined ? [] : [{ protocol: answers, flowName: name, bundle }]));
