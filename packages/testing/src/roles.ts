// The roles that a flow calls, in memory: keys, verification, the notary's memory, and reads of vaults. What they decide is
// decided by the ledger's own code; what differs from a real node is that nothing lies in a database, and that contracts run
// here and not in an isolate. Nothing waits for a thread, so that one seed is one run.

import { PLATFORM_VERSION } from "@bowline/api";
import { BowlineError, type Data, decode, encode, type Instant, invariant, type SecureHash, type ShortHash, utf8 } from "@bowline/base";
import { SCHEMES, schemeOf, sha256, signSync, verifySync } from "@bowline/crypto";
import { createNotaryQueue, type NotaryQueue, type SyscallRoles, signingOf } from "@bowline/host/syscalls";
import {
  type ContractCall,
  completeVerification,
  concludeVerification,
  type decodeContractResult,
  decodeSigned,
  planVerification,
  signedBytesOf,
  type VaultRead,
} from "@bowline/ledger";
import { notarise as decideOn, type NotariseRequest, type NotaryAnswer, notarySelf, type UniquenessStore } from "@bowline/ledger/notary";
import type { TokenStore } from "@bowline/ledger/tokens";
import { checkDependencies, decodeGroupParameters, dependenciesMac, signatureState } from "@bowline/ledger/upkeep";
import { FlowError } from "@bowline/sdk";
import { GROUP_ID, type Membership, type Party } from "./members.ts";

/** What vaults believe of the verification role. */
export const VERDICT_KEY = sha256(utf8("the verification role's key, in a network of the kit"));

export interface RolesOptions {
  readonly membership: Membership;
  /** Of one of the notary's virtual nodes. */
  uniqueness(party: Party): UniquenessStore;
  /** Processes of the uniqueness role, over one memory for each of the notary's virtual nodes. One where nothing is said. */
  readonly notaryWorkers?: number;
  /** Which of so many processes is asked. */
  pick?(count: number): number;
  /** A moment at which such a process may die, between two things that it does: rejects where it dies. Meanwhile others ask. */
  moment?(): Promise<void>;
  now(): Instant;
  readVault(vnode: ShortHash, read: VaultRead): Promise<Data>;
  readEntities: SyscallRoles["persistence"]["readEntities"];
  queryVault: SyscallRoles["persistence"]["queryVault"];
  tokens(vnode: ShortHash): TokenStore;
}

export function createRoles(options: RolesOptions): SyscallRoles {
  const { membership, readVault, readEntities, queryVault, tokens } = options;
  const notarise = notaries(options);
  const parties = new Map([...membership.parties.values()].map((party) => [party.vnode as string, party]));
  return {
    persistence: { read: ({ vnode, read }) => readVault(vnode, read), readEntities, queryVault },
    crypto: {
      filterMyKeys: async ({ tenant, keys }) => ({ keys: keys.filter((key) => key === parties.get(tenant)?.publicKey) }),
      sign: async (request) => {
        const party = parties.get(request.tenant);
        const { bytes, spec, reply } = signingOf(request, { role: "flow" });
        if (party === undefined || party.isNotary || party.publicKey !== request.publicKey)
          throw new BowlineError(
            "notFound",
            "crypto.keyUnknown",
            `${party?.name ?? request.tenant} has no ledger key ${request.publicKey}.`,
          );
        return { signature: reply(signSync(party.privateKey, bytes, spec)) };
      },
    },
    verification: {
      verify: async (request) => verify(membership, request),
      dependencies: async ({ proving, dependencies, groupParameters }) => ({
        ...checkDependencies(proving, dependencies, decodeGroupParameters(groupParameters)),
        mac: dependenciesMac(VERDICT_KEY, dependencies),
      }),
      signatures: async ({ transactions }) =>
        transactions.map(decodeSigned).map(({ transaction, signatures }) => {
          return signatureState(transaction, signatures, validOf(transaction, signatures));
        }),
    },
    "token-selection": {
      claim: async ({ vnode, claim }) => {
        const [outcome] = await tokens(vnode).claim([claim]);
        return outcome ?? { kind: "insufficient" };
      },
      balance: ({ vnode, filter }) => tokens(vnode).balance(filter),
    },
    uniqueness: { admit: async () => null, notarise: ({ vnode, ...request }) => notarise(parties.get(vnode), request) },
  };
}

const validOf = (...signed: Parameters<typeof signedBytesOf>): readonly boolean[] =>
  signedBytesOf(...signed).map((item) => item !== undefined && verifySync(item));

type VerifyRequest = Parameters<SyscallRoles["verification"]["verify"]>[0];

function verify(membership: Membership, { transaction, verified, ...context }: VerifyRequest) {
  const signed = decodeSigned(transaction);
  const valid = validOf(signed.transaction, signed.signatures);
  if (verified !== null) return completeVerification(signed, verified, valid, VERDICT_KEY);
  const manifests = new Map([...membership.packages].map(([checksum, { manifest }]) => [checksum, manifest]));
  const plan = planVerification(signed, context, manifests);
  return concludeVerification(
    plan,
    plan.calls.map((call) => runContracts(membership, call)),
    valid,
    VERDICT_KEY,
  );
}

function runContracts(
  { packages }: Membership,
  { cpk, contracts, transaction, outputs }: ContractCall,
): ReturnType<typeof decodeContractResult> {
  const bundle = packages.get(cpk as SecureHash);
  const copy = decode(encode(transaction as unknown as Data));
  try {
    const violations = bundle?.verify(copy, contracts) ?? [];
    return {
      violations,
      outputs: violations.length > 0 ? [] : outputs.flatMap(({ type, data }) => bundle?.describeState({ type, data }) ?? []),
    };
  } catch (thrown) {
    if (!(thrown instanceof FlowError)) throw thrown;
    const reason = `Package ${cpk} could not say what it thinks of a transaction: ${thrown.message}`;
    throw new BowlineError("internal", "verification.packageFailed", reason, { package: cpk, reason: thrown.message });
  }
}

/** As many requests as a role's process decides in one transaction, one transaction after the other. */
const BATCHES = { batchMax: 256, flightsMax: 1, waitingMax: 8_192 };

type Queue = NotaryQueue<NotariseRequest, NotaryAnswer>;

/** Each of the notary's virtual nodes, and of the role's processes for it, as the real role batches and decides. */
function notaries({
  membership,
  uniqueness,
  now,
  notaryWorkers = 1,
  pick = () => 0,
  moment = async () => {},
}: RolesOptions): (party: Party | undefined, request: NotariseRequest) => Promise<NotaryAnswer> {
  const queues = new Map<Party, readonly Queue[]>();
  const createQueues = (party: Party): readonly Queue[] => {
    const self = party.isNotary ? notarySelf(GROUP_ID, membership.notary, party.publicKey) : undefined;
    invariant(self !== undefined, `${party.name} runs no notary service`);
    const spec = SCHEMES[schemeOf(self.key)].defaultSpec;
    const store = uniqueness(party);
    const decide = async (requests: readonly NotariseRequest[]) => {
      const metadata = { timestamp: now(), spec, platformVersion: PLATFORM_VERSION };
      const sign = async (preimage: Uint8Array) => {
        await moment();
        return signSync(party.privateKey, preimage);
      };
      const answers = await decideOn(requests, self, { store, metadata, sign });
      await moment();
      return answers;
    };
    return Array.from({ length: notaryWorkers }, () => createNotaryQueue(BATCHES, now, decide));
  };
  return async (party, request) => {
    invariant(party !== undefined, "a virtual node of this network asks");
    const its = queues.get(party) ?? createQueues(party);
    queues.set(party, its);
    const answer = its[its.length === 1 ? 0 : pick(its.length)]?.ask(request);
    invariant(answer !== undefined, "a network of the kit asks no more than a queue takes");
    return answer;
  };
}
