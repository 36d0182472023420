import Type from "typebox";
import { defineRoute, named, nullable } from "./route.ts";

/** Not of the original: what a virtual node's vault holds, without a flow of the CorDapp's own. */
export const listVaultStates = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/state",
  tag: "Vault",
  summary: "The states of one type in a virtual node's vault, page by page in a stable order.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({
    type: Type.Optional(
      Type.String({
        description: "The name of the state type, such as com.example.obligation.Obligation; may be left out where the CPI has only one.",
      }),
    ),
    consumed: Type.Optional(Type.Boolean({ description: "The consumed states too; otherwise only those that stand." })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "At most so many states; 100 where nothing is said." })),
    after: Type.Optional(Type.String({ description: "Where the page before ended: its `next`." })),
  }),
  body: undefined,
  reply: named(
    "VaultStates",
    Type.Object({
      states: Type.Array(
        named(
          "VaultState",
          Type.Object({
            ref: Type.String({ description: "<transaction id>:<index of the output>" }),
            type: Type.String(),
            contract: Type.String(),
            notary: Type.String(),
            json: Type.Unknown({ description: "The state's data." }),
          }),
        ),
      ),
      next: nullable(Type.String()),
    }),
  ),
  errors: { 400: "A bad short hash, or no type where the CPI has several: the message lists them.", 404: "There is no such virtual node." },
});

const Explanation = named(
  "VaultQuery",
  Type.Object({
    query: Type.String(),
    index: nullable(
      Type.Object({
        name: Type.String(),
        fields: Type.Array(Type.String()),
        state: Type.Enum(["ready", "unfinished", "missing"]),
      }),
    ),
    usesIndex: Type.Boolean({ description: "Whether the plan goes through the query's own index." }),
    plan: Type.Array(Type.String(), { description: "PostgreSQL's plan, whatever the parameters." }),
  }),
);

/** Not of the original: how the named queries of a CorDapp find states. */
export const explainVaultQueries = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/query",
  tag: "Vault",
  summary: "The named queries of a virtual node's CPI, each with the plan by which its vault would find a page.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({
    name: Type.Optional(Type.String({ description: "This query alone." })),
    large: Type.Optional(
      Type.Boolean({ description: "As in a vault that is too large to be read whole, where an index is worth its while." }),
    ),
  }),
  body: undefined,
  reply: named("VaultQueries", Type.Object({ queries: Type.Array(Explanation) })),
  errors: { 400: "A bad short hash.", 404: "There is no such virtual node, or its CPI has no such query." },
});

export const StateChange = named(
  "VaultStateChange",
  Type.Object({
    ref: Type.String({ description: "<transaction id>:<index of the output>" }),
    type: Type.String(),
    notary: Type.String(),
    json: Type.Unknown({ description: "The state's JSON form." }),
    at: Type.String({ description: "When, by the clock of the vault's database." }),
  }),
);

/** Server-sent events: the id of each is the change's position, its type `produced` or `consumed`. */
export const followVault = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/changes",
  tag: "Vault",
  summary:
    "The states that come and go in a virtual node's vault, as server-sent events, in the order of the commits and each once: from now on, or after the position of Last-Event-ID or lastEventId, where 0 is the beginning. Events of type `position` only say how far nothing is left to tell.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({
    type: Type.Optional(Type.String({ description: "Only states of this type." })),
    lastEventId: Type.Optional(Type.Integer({ minimum: 0, description: "The last event that you have: only what came later is told." })),
  }),
  body: undefined,
  reply: StateChange,
  media: "text/event-stream",
  errors: {
    400: "A bad short hash, or an id that is none.",
    404: "There is no such virtual node.",
    409: "The vault has not come to that position: it was restored from a backup. Begin anew.",
    429: "Too many streams are open; try again later.",
  },
});

const VaultTransaction = Type.Object({ holdingidentityshorthash: Type.String(), transactionid: Type.String() });
const Refs = Type.Array(Type.String());
const UNKNOWN = "There is no such virtual node, or its vault holds no such transaction.";

/** Not of the original: a transaction as a virtual node's vault holds it. */
export const getVaultTransaction = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/transaction/{transactionid}",
  tag: "Vault",
  summary: "A transaction in a virtual node's vault: where it stands, what it says, and who has signed it.",
  versions: ["v5_3"],
  params: VaultTransaction,
  query: Type.Object({}),
  body: undefined,
  reply: named(
    "VaultTransaction",
    Type.Object({
      id: Type.String(),
      status: Type.Enum(["DRAFT", "UNVERIFIED", "VERIFIED", "INVALID"]),
      notary: Type.String(),
      from: nullable(Type.String()),
      until: Type.String({ description: "The upper bound of its time window." }),
      acceptedAt: nullable(Type.String({ description: "By its notary; null where its word is not here." })),
      signedBy: Type.Array(Type.String(), { description: "Ids of keys." }),
      notSignedBy: Type.Array(Type.String()),
      inputs: Refs,
      references: Refs,
      outputs: Type.Array(Type.Object({ type: Type.String(), contract: Type.String(), data: Type.Unknown() })),
      commands: Type.Array(Type.Object({ type: Type.String(), contract: Type.String() })),
    }),
  ),
  errors: { 400: "A bad short hash or id.", 404: UNKNOWN },
});

/** Not of the original: a transaction with all that proves it, for whoever has no vault. */
export const proveVaultTransaction = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/transaction/{transactionid}/proof",
  tag: "Vault",
  summary:
    "A verified transaction with all that proves it: its signatures, its notary's word, the group parameters that it names, and of each state that it uses that the notary accepted where it came from. `bowline ledger verify` checks it without a network.",
  versions: ["v5_3"],
  params: VaultTransaction,
  query: Type.Object({}),
  body: undefined,
  reply: named(
    "TransactionProof",
    Type.Object({
      format: Type.String(),
      transaction: Type.String({ description: "Base64, as all that follows." }),
      groupParameters: Type.Object({ bytes: Type.String(), signature: Type.String(), signedBy: Type.String() }),
      dependencies: Type.Array(Type.Object({ filtered: Type.String(), signatures: Type.Array(Type.String()) })),
    }),
  ),
  errors: { 400: "A bad short hash or id.", 404: UNKNOWN, 409: "The transaction is not verified." },
});

/** Not of the original: what an operator looks after. */
export const listOpenTransactions = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/transaction",
  tag: "Vault",
  summary:
    "The transactions of a virtual node that are not decided yet, by when they are asked about next, or those that were found invalid, the newest first.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({
    status: Type.Optional(Type.Enum(["UNVERIFIED", "INVALID"], { description: "UNVERIFIED where nothing is said." })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "At most so many; 100 where nothing is said." })),
  }),
  body: undefined,
  reply: named(
    "OpenTransactions",
    Type.Object({
      transactions: Type.Array(
        Type.Object({
          id: Type.String(),
          status: Type.Enum(["UNVERIFIED", "INVALID"]),
          createdAt: Type.String(),
          ageMs: Type.Integer(),
          until: nullable(Type.String({ description: "Of an unverified one, the upper bound of its time window." })),
          attempts: Type.Integer({ description: "How often its notary was asked about it." }),
          nextAttemptAt: nullable(Type.String()),
          reason: nullable(Type.String({ description: "Why it is invalid." })),
        }),
      ),
    }),
  ),
  errors: { 400: "A bad short hash.", 404: "There is no such virtual node." },
});

/** Not of the original: what a virtual node could spend. */
export const listTokenBalances = defineRoute({
  method: "GET",
  path: "/vault/{holdingidentityshorthash}/tokens",
  tag: "Vault",
  summary: "The fungible states of a virtual node, summed up by type, issuer, symbol and notary.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({}),
  body: undefined,
  reply: named(
    "TokenBalances",
    Type.Object({
      balances: Type.Array(
        Type.Object({
          tokenType: Type.String(),
          issuer: Type.String(),
          symbol: Type.String(),
          notary: Type.String(),
          tokens: Type.Integer(),
          total: Type.String(),
          available: Type.String({ description: "Of those that no flow has claimed." }),
        }),
      ),
    }),
  ),
  errors: { 400: "A bad short hash.", 404: "There is no such virtual node." },
});
