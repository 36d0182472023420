// Every syscall of a flow that is not the engine's own, to the role that answers it. What a flow says of itself is never
// asked: virtual node, identity and step are stamped by the engine.

import { PLATFORM_VERSION } from "@bowline/api";
import { BowlineError, badRequest, type Data, decode, invariant, type ShortHash, unreachable, type X500Name } from "@bowline/base";
import { composeKeys, leafKeys, SCHEMES, schemeOf, secureHashOf } from "@bowline/crypto";
import type { Services as FlowServices, SyscallClass, SyscallContext } from "@bowline/flow";
import type { LedgerServices, VaultRead } from "@bowline/ledger";
import { type ClaimOutcome, type ClaimRequest, checkedFilter, claimRequest } from "@bowline/ledger/tokens";
import type { VerifiableTransaction } from "@bowline/ledger/upkeep";
import { selectMembers } from "@bowline/membership";
import type { AuthorSyscall, NotaryInfo, Outcome, Syscall } from "@bowline/sdk";
import { type Directory, type Member, parametersOf } from "./directory.ts";
import type { Granted } from "./grants.ts";
import type { VirtualNodeInfo } from "./services.ts";

/** Of what the flow role may call. */
export type SyscallRoles = Pick<Granted<"flow">, "verification" | "uniqueness" | "token-selection" | "crypto"> & {
  readonly persistence: Pick<Granted<"flow">["persistence"], "read" | "readEntities" | "queryVault">;
};
type Calls = SyscallRoles;

/** The platform's services by name, and how the engine treats a call to each. */
const PLATFORM_SERVICES: Readonly<Record<string, SyscallClass>> = {
  "crypto.filterMyKeys": "pure",
  "crypto.signTransaction": "pure",
  "crypto.signTransactions": "pure",
  "verification.verify": "pure",
  "verification.signatures": "pure",
  "verification.verifyHere": "read",
  "verification.dependencies": "pure",
  "uniqueness.admit": "pure",
  // Who asks again for a transaction that is decided is told the same, so that a notary's flow needs no commit before it asks.
  "uniqueness.notarise": "pure",
  "membership.groupParameters": "pure",
  "cluster.packages": "pure",
  "vault.sources": "read",
  "vault.transactions": "read",
  "vault.unresolved": "read",
  "vault.dependencies": "read",
  "vault.ancestors": "read",
  "vault.history": "read",
};

export function createFlowServices(calls: Calls, directory: Directory): FlowServices {
  return {
    classify,
    async perform(call, context) {
      try {
        return { ok: await answer(calls, directory, call, context) };
      } catch (thrown) {
        if (!(thrown instanceof BowlineError) || thrown.kind === "unavailable") throw thrown;
        return failure(thrown);
      }
    },
  };
}

function classify(call: Syscall, trusted: boolean): SyscallClass {
  switch (call.kind) {
    case "members.find":
    case "notaries.find":
    case "group.parameters":
    case "keys.sign":
    case "keys.mine":
    case "keys.compose":
      return "pure";
    case "vault.find":
    case "vault.resolve":
    case "vault.transaction":
    // A claim's id is its step's, so that a repeat claims the same: it needs no commit of its own.
    case "tokens.claim":
    case "tokens.balance":
      return "read";
    // Queries, tables and channels belong to packages, and the platform's flows are of none.
    case "vault.query":
    case "entity.find":
    case "entity.query":
      return trusted ? "forbidden" : "read";
    case "entity.write":
    case "external.send":
      return trusted ? "forbidden" : "write";
    case "platform":
      return "child";
    case "service":
      return trusted ? (PLATFORM_SERVICES[call.service] ?? "forbidden") : "forbidden";
    case "tokens.release":
      return "write";
    case "vault.write":
      return trusted ? "write" : "forbidden";
    default:
      return "forbidden"; // The engine answers sessions, clock and randomness itself.
  }
}

const failure = (refusal: BowlineError): Outcome => ({ error: { type: refusal.code, message: refusal.message, details: refusal.details } });

async function answer(calls: Calls, directory: Directory, call: Syscall, context: SyscallContext): Promise<Data> {
  const node = await directory.hosted(context.identity.me, context.identity.groupId);
  invariant(node !== undefined, `flow ${context.identity.flowId} runs for a virtual node that is not hosted here`);
  const vnode = node.holdingIdentity.shortHash;
  if (call.kind === "service") return platformService(calls, directory, node, call, context);
  return authorService(calls, directory, vnode, call as AuthorSyscall, context);
}

async function authorService(
  calls: Calls,
  directory: Directory,
  vnode: ShortHash,
  call: AuthorSyscall,
  context: SyscallContext,
): Promise<Data> {
  const read = (what: VaultRead) => calls.persistence.read({ vnode, read: what });
  switch (call.kind) {
    case "members.find":
      return findMembers(await directory.members(context.identity.groupId), context.identity.me, call);
    case "notaries.find": {
      const notaries: readonly NotaryInfo[] = (await directory.parametersInForce(context.identity.groupId))?.notaries ?? [];
      return (call.name === undefined ? notaries : notaries.filter(({ name }) => name === call.name)) as unknown as Data;
    }
    case "group.parameters": {
      const signed = await directory.groupParameters(context.identity.groupId, null);
      if (signed === undefined) throw badRequest("membership.parametersUnknown", "This group has no parameters yet.");
      return dataOf({ ...parametersOf(signed), hash: secureHashOf(signed.bytes) });
    }
    case "keys.sign": {
      const { key, spec = null, bytes } = call;
      const { signature } = await calls.crypto.sign({ tenant: vnode, publicKey: key, purpose: "app", parts: { bytes, spec } });
      return { by: key, vnode, spec: spec ?? SCHEMES[schemeOf(key)].defaultSpec, signature };
    }
    case "keys.mine": {
      const { keys: mine } = await calls.crypto.filterMyKeys({ tenant: vnode, keys: call.keys.flatMap(leafKeys) });
      return [...new Set(mine)];
    }
    case "keys.compose":
      return composeKeys(call);
    case "vault.find":
      return read({ kind: "find", query: call.query });
    case "vault.resolve":
      return read({ kind: "resolve", refs: call.refs });
    case "vault.transaction":
      return read({ kind: "view", id: call.id });
    case "vault.query":
      invariant(context.bundle !== "platform", "the platform's flows have no queries");
      return calls.persistence.queryVault({ vnode, bundle: context.bundle, call });
    case "entity.find":
    case "entity.query":
      invariant(context.bundle !== "platform", "the platform's flows have no entities");
      return calls.persistence.readEntities({ vnode, bundle: context.bundle, call });
    case "tokens.claim": {
      const claim = claimRequest(context.identity.flowId, context.path, call.criteria);
      return claimed(claim, await calls["token-selection"].claim({ vnode, claim }));
    }
    case "tokens.balance":
      return dataOf(await calls["token-selection"].balance({ vnode, filter: checkedFilter(call.filter) }));
    case "tokens.release":
    case "external.send":
    case "platform":
    case "entity.write":
    case "session.open":
    case "session.exchange":
    case "session.info":
    case "session.close":
    case "clock.now":
    case "clock.sleep":
    case "subFlow":
    case "patched":
    case "checkpoint":
    case "random":
      return invariant(false, `the engine answers ${call.kind} itself`) as never;
    default:
      return unreachable(call);
  }
}

function claimed({ id, amount }: ClaimRequest, outcome: ClaimOutcome): Data {
  switch (outcome.kind) {
    case "claimed":
      return dataOf({ id, tokens: outcome.tokens });
    case "insufficient":
      return null;
    case "tooMany":
      throw new BowlineError(
        "conflict",
        "tokens.tooMany",
        `To reach ${amount} takes more tokens than one transaction should consume: merge some first, or claim less.`,
        { amount },
      );
  }
}

/** A suspended member is seen by itself alone. */
function findMembers(members: readonly Member[], me: X500Name, { name, key }: { readonly name?: X500Name; readonly key?: string }): Data {
  const found = selectMembers(members, me, {}, ["ACTIVE", "SUSPENDED"]).filter(
    ({ info }) => (name === undefined || info.name === name) && (key === undefined || info.ledgerKeys.includes(key)),
  );
  return found.map(({ info, memberContext, mgmContext }) => ({
    ...info,
    serial: Number(mgmContext["corda.serial"]),
    platformVersion: Number(memberContext["corda.platformVersion"]),
    context: memberContext,
    groupContext: mgmContext,
  })) as unknown as Data;
}

type PlatformCall = { readonly service: string; readonly request: Data };

/** What the platform's own flows ask. Their requests are ours, written as `LedgerServices` says: nothing here comes from an author or a peer unread. */
async function platformService(
  calls: Calls,
  directory: Directory,
  node: VirtualNodeInfo,
  call: PlatformCall,
  context: SyscallContext,
): Promise<Data> {
  const vnode = node.holdingIdentity.shortHash;
  const name = call.service as keyof LedgerServices;
  const asked = <S extends keyof LedgerServices>(_service: S) => call.request as unknown as LedgerServices[S]["request"];
  switch (name) {
    case "crypto.filterMyKeys":
      return dataOf(await calls.crypto.filterMyKeys({ tenant: vnode, ...asked(name) }));
    case "crypto.signTransaction": {
      const { key, ...parts } = asked(name);
      return dataOf(await calls.crypto.sign({ tenant: vnode, publicKey: key, purpose: "transaction", parts }));
    }
    case "crypto.signTransactions": {
      const { key, ...parts } = asked(name);
      const { signature } = await calls.crypto.sign({
        tenant: vnode,
        publicKey: key,
        purpose: "transactions",
        parts: parts as unknown as Data,
      });
      return { signatures: decode(signature) };
    }
    case "verification.verify":
      return dataOf(await calls.verification.verify({ vnode, ...asked(name) }));
    case "verification.signatures":
      return dataOf(await calls.verification.signatures(asked(name)));
    case "verification.dependencies":
      return dataOf(await calls.verification.dependencies(asked(name)));
    case "verification.verifyHere":
      return dataOf(await verifyHere(calls, directory, { vnode, groupId: context.identity.groupId, ...asked(name) }));
    case "uniqueness.admit":
      return (await calls.uniqueness.admit({ vnode, ...asked(name) })) as Data;
    case "uniqueness.notarise":
      return dataOf(await calls.uniqueness.notarise({ vnode, ...asked(name) }));
    case "membership.groupParameters": {
      const found = await directory.groupParameters(context.identity.groupId, asked(name).hash);
      if (found !== undefined) return dataOf(found);
      throw badRequest("membership.parametersUnknown", `This group never had the parameters ${asked(name).hash ?? "that are in force"}.`);
    }
    case "cluster.packages":
      return dataOf(await packagesOf(directory, node));
    case "vault.sources":
      return calls.persistence.read({ vnode, read: { kind: "sources", ...asked(name) } });
    case "vault.transactions":
      return calls.persistence.read({ vnode, read: { kind: "transactions", ...asked(name) } });
    case "vault.unresolved":
      return calls.persistence.read({ vnode, read: { kind: "unresolved", ...asked(name) } });
    case "vault.dependencies":
      return calls.persistence.read({ vnode, read: { kind: "dependencies", ...asked(name) } });
    case "vault.ancestors":
      return calls.persistence.read({ vnode, read: { kind: "ancestors", ...asked(name) } });
    case "vault.history":
      return calls.persistence.read({ vnode, read: { kind: "history", ...asked(name) } });
    default:
      return unreachable(name);
  }
}

/** Rows go from one role to the other, and what comes back is their verdicts alone. */
async function verifyHere(
  calls: Calls,
  directory: Directory,
  { vnode, groupId, ids }: { readonly vnode: ShortHash; readonly groupId: string; readonly ids: readonly string[] },
): Promise<LedgerServices["verification.verifyHere"]["reply"]> {
  const rows = (await calls.persistence.read({ vnode, read: { kind: "verifiable", ids } })) as unknown as readonly VerifiableTransaction[];
  return Promise.all(
    rows.map(async ({ bytes, groupParametersHash: hash, inputs, references }) => {
      const parameters = await directory.groupParameters(groupId, hash);
      if (parameters === undefined) throw badRequest("membership.parametersUnknown", `This group never had the parameters ${hash}.`);
      const request = { transaction: bytes, inputs, references, groupParameters: parameters.bytes, verified: null };
      const { valid, violations, complete, outputs, verdict, mac } = await calls.verification.verify({ vnode, ...request });
      return { valid, violations, complete, outputs, verdict, mac };
    }),
  );
}

/** Replies are plain data by the contract of `services.ts`. */
const dataOf = (reply: object): Data => reply as unknown as Data;

async function packagesOf(directory: Directory, node: VirtualNodeInfo): Promise<LedgerServices["cluster.packages"]["reply"]> {
  const cpi = await directory.cpi(node.cpi.fileChecksum);
  invariant(cpi !== undefined, `the CPI of virtual node ${node.holdingIdentity.shortHash} is not there`);
  const contracts = cpi.cpks
    .filter(({ type }) => type === "contract")
    .map(({ manifest, name, version, signerSummaryHash, fileChecksum }) => ({
      name,
      version,
      signerSummaryHash,
      fileChecksum,
      contracts: manifest.contracts.map((contract) => contract.name),
    }));
  const { cpiName, cpiVersion, signerSummaryHash } = cpi.id;
  return {
    cpi: { name: cpiName, version: cpiVersion, signerSummaryHash, fileChecksum: cpi.cpiFileFullChecksum },
    contracts,
    platformVersion: PLATFORM_VERSION,
  };
}
