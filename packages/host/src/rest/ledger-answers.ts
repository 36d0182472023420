// Transactions in a virtual node's vault, and what its fungible states come to: for operators, and to be proven elsewhere.

import { BowlineError, badRequest } from "@bowline/base";
import { type FilteredDependency, lookedAt, proofFile } from "@bowline/ledger/proof";
import { parseTransactionId } from "@bowline/ledger/signing";
import type { InvalidTransaction, TransactionStatus, UnverifiedTransaction } from "@bowline/ledger/upkeep";
import type { VirtualNodeInfo } from "../services.ts";
import type { Answers, RestShell } from "./answers.ts";
import { jsonOf } from "./flow-answers.ts";
import { requireVirtualNode } from "./input.ts";

const LIMIT_DEFAULT = 100;
const BALANCES_MAX = 1_000;

type Operations = "getVaultTransaction" | "proveVaultTransaction" | "listOpenTransactions" | "listTokenBalances";

export const ledgerAnswers = (shell: RestShell, now: () => number): Pick<Answers, Operations> => ({
  ...transactionAnswers(shell),
  ...operatorAnswers(shell, now),
});

function transactionAnswers(shell: RestShell): Pick<Answers, "getVaultTransaction" | "proveVaultTransaction"> {
  const { services, directory } = shell;
  const read = (node: VirtualNodeInfo, what: Parameters<typeof services.persistence.read>[0]["read"]) =>
    services.persistence.read({ vnode: node.holdingIdentity.shortHash, read: what });

  async function held(node: VirtualNodeInfo, text: string) {
    const id = parseTransactionId(text);
    if (id === undefined) throw badRequest("vault.badQuery", `"${text}" is not a transaction id.`, { id: text });
    const [row] = (await read(node, { kind: "transactions", ids: [id] })) as unknown as [Held | null];
    if (row !== null) return row;
    throw new BowlineError("notFound", "vault.transactionUnknown", `The vault holds no transaction ${id}.`, { id });
  }

  return {
    async getVaultTransaction({ params }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const { bytes, status } = await held(node, params.transactionid);
      const { transaction, signatures: _, outputs, acceptedAt, inputs, references, ...rest } = lookedAt(bytes);
      const { from, until } = transaction.timeWindow;
      return {
        body: {
          ...rest,
          id: transaction.id,
          status: STATUSES[status],
          notary: transaction.notary,
          from: from === undefined ? null : iso(from),
          until: iso(until),
          acceptedAt: acceptedAt === null ? null : iso(acceptedAt),
          inputs: [...inputs],
          references: [...references],
          outputs: outputs.map(({ data, ...output }) => ({ ...output, data: jsonOf(data) })),
        },
      };
    },

    async proveVaultTransaction({ params }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const { bytes, status } = await held(node, params.transactionid);
      const { transaction, signatures, acceptedAt } = lookedAt(bytes);
      const { id, inputs, references, groupId, metadata } = transaction;
      if (status !== "V" || acceptedAt === null)
        throw new BowlineError("conflict", "vault.transactionNotVerified", `Transaction ${id} is ${STATUSES[status]}: it proves nothing.`, {
          id,
        });
      const refs = [...inputs, ...references];
      const dependencies = refs.length === 0 ? [] : ((await read(node, { kind: "dependencies", refs })) as unknown as FilteredDependency[]);
      const parameters = await directory.groupParameters(groupId, metadata.membershipGroupParametersHash);
      if (parameters === undefined)
        throw badRequest("membership.parametersUnknown", `This group never had the parameters ${metadata.membershipGroupParametersHash}.`);
      return { body: proofFile({ transaction, signatures }, parameters, dependencies) };
    },
  };
}

function operatorAnswers(shell: RestShell, now: () => number): Pick<Answers, "listOpenTransactions" | "listTokenBalances"> {
  const { services } = shell;
  const read = (node: VirtualNodeInfo, what: Parameters<typeof services.persistence.read>[0]["read"]) =>
    services.persistence.read({ vnode: node.holdingIdentity.shortHash, read: what });

  return {
    async listOpenTransactions({ params, query: { status = "UNVERIFIED", limit = LIMIT_DEFAULT } }) {
      const node = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const found = status === "INVALID" ? await invalid(node, limit) : await unverified(node, limit);
      const at = now();
      return {
        body: {
          transactions: found.map((one) => ({ ...one, status, createdAt: iso(one.createdAt), ageMs: Math.max(0, at - one.createdAt) })),
        },
      };
    },

    async listTokenBalances({ params }) {
      const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
      const balances = await services["token-selection"].balances({ vnode: holdingIdentity.shortHash, limit: BALANCES_MAX });
      return { body: { balances: [...balances] } };
    },
  };

  async function unverified(node: VirtualNodeInfo, limit: number) {
    const rows = (await read(node, { kind: "unverified", limit })) as unknown as readonly UnverifiedTransaction[];
    return rows.map(({ id, createdAt, until, attempts, nextAttemptAt }) => ({
      ...{ id, createdAt, attempts, reason: null },
      until: until === null ? null : iso(until),
      nextAttemptAt: iso(nextAttemptAt),
    }));
  }

  async function invalid(node: VirtualNodeInfo, limit: number) {
    const rows = (await read(node, { kind: "invalid", limit })) as unknown as readonly InvalidTransaction[];
    return rows.map(({ id, createdAt, reason }) => ({ id, createdAt, reason, attempts: 0, until: null, nextAttemptAt: null }));
  }
}

interface Held {
  readonly bytes: Uint8Array;
  readonly status: TransactionStatus;
}

const STATUSES = { D: "DRAFT", U: "UNVERIFIED", V: "VERIFIED", I: "INVALID" } as const;
const iso = (at: number): string => new Date(at).toISOString();
