// The uniqueness role: the notary's memory, and its word. It holds the credentials of notaries' uniqueness databases and no key.
//
// Requests of one notary that arrive while a batch is in flight are the next batch: one transaction, one signature by the
// crypto role, as many answers as requests. Nothing is signed before it is committed; an answer that was lost is given
// again when it is asked for again.

import { PLATFORM_VERSION } from "@bowline/api";
import { type Clock, invariant, type Log, type ShortHash } from "@bowline/base";
import { type BootKey, SCHEMES, schemeOf } from "@bowline/crypto";
import {
  examine,
  type NotariseRequest,
  type NotaryAnswer,
  type NotarySelf,
  notarySelf,
  pendingAnswers,
  spendsOf,
  uniquenessStore,
} from "@bowline/ledger/notary";
import { notaryKeyOfMember } from "@bowline/membership/notaries";
import type { Answering } from "../calls.ts";
import { createDirectory, type Directory } from "../directory.ts";
import type { Granted } from "../grants.ts";
import { createRoleDatabases } from "../role-databases.ts";
import type { UniquenessService } from "../services.ts";

const CONNECTIONS_PER_NOTARY_MAX = 2;
/** Requests of one batch: one transaction of the database, and the depth of its Merkle proof. */
const BATCH_MAX = 256;

type Settle = { readonly request: NotariseRequest; answer(answer: NotaryAnswer): void; fail(cause: unknown): void };

export function createUniquenessRole(options: {
  readonly calls: Granted<"uniqueness">;
  readonly bootKey: BootKey;
  readonly clock: Clock;
  readonly log: Log;
}): { readonly service: Answering<UniquenessService>; close(): Promise<void> } {
  const { calls, clock } = options;
  const directory = createDirectory({ ...calls.db, cpis: async () => [] }, clock);
  const databases = createRoleDatabases({
    db: calls.db,
    bootKey: options.bootKey,
    connectionsMax: CONNECTIONS_PER_NOTARY_MAX,
    log: options.log,
  });
  const queues = new Map<ShortHash, { waiting: Settle[]; running: boolean }>();

  async function decide(vnode: ShortHash, requests: readonly NotariseRequest[]): Promise<readonly NotaryAnswer[]> {
    const self = await selfOf(directory, vnode);
    const store = uniquenessStore(await databases.get({ kind: "uniqueness", vnode }));
    const examined = requests.map((request) => examine(request, self));
    const verdicts = await store.notarise(spendsOf(examined));
    const pending = pendingAnswers(examined, verdicts, self, {
      timestamp: clock.now(),
      spec: SCHEMES[schemeOf(self.key)].defaultSpec,
      platformVersion: PLATFORM_VERSION,
    });
    if (pending.preimage === undefined) return pending.answers(undefined);
    const signed = await calls.crypto.sign({
      tenant: vnode,
      publicKey: self.key,
      purpose: "notary",
      parts: { preimage: pending.preimage },
    });
    return pending.answers(signed.signature);
  }

  async function drain(vnode: ShortHash, queue: { waiting: Settle[]; running: boolean }): Promise<void> {
    queue.running = true;
    while (queue.waiting.length > 0) {
      const batch = queue.waiting.splice(0, BATCH_MAX);
      try {
        const answers = await decide(
          vnode,
          batch.map(({ request }) => request),
        );
        for (const [i, { answer }] of batch.entries()) answer(answers[i] as NotaryAnswer);
      } catch (cause) {
        for (const { fail } of batch) fail(cause);
      }
    }
    queue.running = false;
  }

  return {
    service: {
      notarise: ({ vnode, ...request }) =>
        new Promise((answer, fail) => {
          const queue = queues.get(vnode) ?? { waiting: [], running: false };
          queues.set(vnode, queue);
          queue.waiting.push({ request, answer, fail });
          if (!queue.running) void drain(vnode, queue);
        }),
    },
    close: () => databases.close(),
  };
}

/** Who a virtual node is as a notary. */
async function selfOf(directory: Directory, vnode: ShortHash): Promise<NotarySelf> {
  const node = await directory.virtualNode(vnode);
  invariant(node !== undefined, `virtual node ${vnode} is not hosted here`);
  const { x500Name, groupId } = node.holdingIdentity;
  const [members, parameters] = await Promise.all([directory.members(groupId), directory.parametersInForce(groupId)]);
  const info = parameters?.notaries.find((notary) => notary.members.includes(x500Name));
  const member = members.find((one) => one.info.name === x500Name);
  const self = notarySelf(groupId, info, member && notaryKeyOfMember(member));
  invariant(self !== undefined, `virtual node ${vnode} runs no notary service`);
  return self;
}
