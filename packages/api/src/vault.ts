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
