// The uniqueness role: the notary's memory, and its word. It holds the credentials of notaries' uniqueness databases and no key.
//
// Requests of one notary that arrive while its batches are in flight are the next batch: one transaction, one signature by the
// crypto role, as many answers as requests. An answer that was lost is given again when it is asked for again.
// Each originator has a quota, and the queue an end: who is past either hears when to come again, and nothing was done for it.

import { PLATFORM_VERSION } from "@bowline/api";
import { badRequest, type Clock, invariant, type Log, type ShortHash } from "@bowline/base";
import { type BootKey, leafKeys, SCHEMES, schemeOf } from "@bowline/crypto";
import {
  confirmHistory,
  type NotariseRequest,
  type NotaryAnswer,
  type NotarySelf,
  notarise,
  notarySelf,
  statesInTable,
  UNIQUENESS_SETTINGS,
  uniquenessStore,
} from "@bowline/ledger/notary";
import { notaryKeyOfMember } from "@bowline/membership/notaries";
import type { Answering } from "../calls.ts";
import { copy, createDirectory, type Directory } from "../directory.ts";
import type { Granted } from "../grants.ts";
import { createRoleDatabases } from "../role-databases.ts";
import type { UniquenessService } from "../services.ts";
import { type BatchLimits, createNotaryQueue, type NotaryQueue } from "./notary-queue.ts";
import { createQuota, type Quota } from "./quota.ts";
import { requireDurable } from "./uniqueness-database.ts";

/** Of one notary in one worker. */
const BATCHES: BatchLimits = { batchMax: 256, flightsMax: 2, waitingMax: 8_192 };
/** Of an originator's quota a request takes one unit, and one more for each so many bytes. */
const BYTES_PER_UNIT = 4_096;
/** One for each batch in flight, and one for whoever reads the history. */
const CONNECTIONS_PER_NOTARY_MAX = BATCHES.flightsMax + 1;

export interface UniquenessOptions {
  readonly calls: Granted<"uniqueness">;
  readonly bootKey: BootKey;
  readonly clock: Clock;
  readonly log: Log;
  /** Serves databases too that may forget what they committed. */
  readonly allowForgetful: boolean;
  readonly batches?: BatchLimits;
}

interface Notary {
  readonly queue: NotaryQueue<NotariseRequest, NotaryAnswer>;
  readonly quota: Quota;
}

export interface UniquenessRole {
  readonly service: Answering<UniquenessService>;
  close(): Promise<void>;
}

export function createUniquenessRole(options: UniquenessOptions): UniquenessRole {
  const { calls, clock, log, allowForgetful, batches = BATCHES } = options;
  const directory = createDirectory({ ...calls.db, cpis: async () => [] }, clock);
  const databases = createRoleDatabases({
    db: calls.db,
    bootKey: options.bootKey,
    connectionsMax: CONNECTIONS_PER_NOTARY_MAX,
    settings: UNIQUENESS_SETTINGS,
    opened: (database) => requireDurable(database, allowForgetful, log),
    log,
  });
  const storeOf = async (vnode: ShortHash) => uniquenessStore(await databases.get({ kind: "uniqueness", vnode }));
  const notaries = new Map<ShortHash, Notary>();
  const quotaInForce = copy(clock, () => calls.db.notaryQuota(null));

  function notaryOf(vnode: ShortHash): Notary {
    const known = notaries.get(vnode);
    if (known !== undefined) return known;
    const decide = async (requests: readonly NotariseRequest[]) => {
      const self = await selfOf(directory, vnode);
      const metadata = { timestamp: clock.now(), spec: SCHEMES[schemeOf(self.key)].defaultSpec, platformVersion: PLATFORM_VERSION };
      const sign = async (preimage: Uint8Array) =>
        (await calls.crypto.sign({ tenant: vnode, publicKey: self.key, purpose: "notary", parts: { preimage } })).signature;
      return notarise(requests, self, { store: await storeOf(vnode), metadata, sign });
    };
    const notary = { queue: createNotaryQueue(batches, () => clock.now(), decide), quota: createQuota() };
    notaries.set(vnode, notary);
    return notary;
  }

  async function admit({ vnode, originator, bytes }: Parameters<UniquenessService["admit"]>[0]): Promise<NotaryAnswer | null> {
    const of = await quotaInForce.find((limits) => limits);
    invariant(of !== undefined, "there is a quota, of defaults at least");
    const waitMs = notaryOf(vnode).quota.take(originator, { units: 1 + Math.floor(bytes / BYTES_PER_UNIT), of }, clock.now());
    return waitMs === 0 ? null : later("notary.quotaExceeded", `${originator} has asked for more than its share.`, waitMs);
  }

  return {
    service: {
      admit,
      async notarise({ vnode, ...request }) {
        const { originator, filtered, verified } = request;
        const notNow = verified ? null : await admit({ vnode, originator, bytes: filtered.length });
        if (notNow !== null) return notNow;
        const { queue } = notaryOf(vnode);
        return (
          (await queue.ask(request)) ?? later("notary.overloaded", "More requests are waiting than this notary takes.", queue.retryAfterMs)
        );
      },
      async states({ vnode, after, limit }) {
        await selfOf(directory, vnode);
        return statesInTable((await databases.get({ kind: "uniqueness", vnode })).sql, after, limit);
      },
      async confirmHistory({ vnode, ...end }) {
        await selfOf(directory, vnode);
        await confirmHistory(await databases.get({ kind: "uniqueness", vnode }), end);
        log.warn("an operator has confirmed a notary's history", { vnode, entries: end.seq });
        return null;
      },
      async history({ vnode, after, limit }) {
        const { groupId, service, serviceKeys } = await selfOf(directory, vnode);
        const store = await storeOf(vnode);
        return { groupId, service, keys: [...new Set(serviceKeys.flatMap(leafKeys))], ...(await store.log(after, limit)) };
      },
    },
    close: () => databases.close(),
  };
}

const later = (code: string, message: string, retryAfterMs: number): NotaryAnswer => ({
  kind: "retry",
  signature: new Uint8Array(),
  code,
  message,
  retryAfterMs,
});

/** Who a virtual node is as a notary. */
async function selfOf(directory: Directory, vnode: ShortHash): Promise<NotarySelf> {
  const node = await directory.virtualNode(vnode);
  invariant(node !== undefined, `virtual node ${vnode} is not hosted here`);
  const { x500Name, groupId } = node.holdingIdentity;
  const [members, parameters] = await Promise.all([directory.members(groupId), directory.parametersInForce(groupId)]);
  const info = parameters?.notaries.find((notary) => notary.members.includes(x500Name));
  const member = members.find((one) => one.info.name === x500Name);
  const self = notarySelf(groupId, info, member && notaryKeyOfMember(member));
  if (self === undefined) throw badRequest("notary.none", `Virtual node ${vnode} runs no notary service.`, { vnode });
  return self;
}
