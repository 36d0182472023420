import Type from "typebox";
import { defineRoute, named, noParams, strictObject } from "./route.ts";

/** Not of the original: everything that a notary has decided, to be audited. */
export const readNotaryHistory = defineRoute({
  method: "GET",
  path: "/notary/{holdingidentityshorthash}/history",
  tag: "Notary",
  summary: "The log of what a notary decided, page by page from its beginning: for `bowline audit history`, which proves it.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({
    after: Type.Optional(Type.Integer({ minimum: 0, description: "The entry that the page before ended with." })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, description: "At most so many entries; 50 where nothing is said." })),
  }),
  body: undefined,
  reply: named(
    "NotaryHistory",
    Type.Object({
      groupId: Type.String(),
      service: Type.String({ description: "The notary service's name." }),
      keys: Type.Array(Type.String(), {
        description: "The keys that its entries may be sealed with, as base64 of a SubjectPublicKeyInfo.",
      }),
      entries: Type.Array(
        named(
          "NotaryHistoryEntry",
          Type.Object({
            seq: Type.Integer(),
            head: Type.String({ description: "Base64, as the two below: the hash of all entries up to this one." }),
            decisions: Type.String({ description: "Canonical bytes." }),
            seal: Type.String({ description: "The notary's signature." }),
          }),
        ),
      ),
      last: Type.Integer({ description: "How many entries there are." }),
    }),
  ),
  errors: { 400: "A bad short hash, or a virtual node that runs no notary.", 404: "There is no such virtual node." },
});

/** Not of the original. */
export const readNotaryStates = defineRoute({
  method: "GET",
  path: "/notary/{holdingidentityshorthash}/states",
  tag: "Notary",
  summary: "Every state that a notary knows, with the transaction that consumed it, page by page: what an audit compares with the log.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: Type.Object({
    after: Type.Optional(Type.String({ description: "The state that the page before ended with." })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, description: "At most so many; 1000 where nothing is said." })),
  }),
  body: undefined,
  reply: named(
    "NotaryStates",
    Type.Object({ states: Type.Array(Type.Object({ ref: Type.String(), by: Type.Union([Type.Null(), Type.String()]) })) }),
  ),
  errors: { 400: "A bad short hash or reference, or a virtual node that runs no notary.", 404: "There is no such virtual node." },
});

/** Not of the original: after a failover a notary decides on nothing until somebody has looked at what is left. */
export const confirmNotaryHistory = defineRoute({
  method: "POST",
  path: "/notary/{holdingidentityshorthash}/history/confirmation",
  tag: "Notary",
  summary: "Says that a notary's log is whole as it is there, after another database server took over or a backup was restored.",
  versions: ["v5_3"],
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: noParams,
  body: {
    kind: "json",
    schema: named(
      "NotaryHistoryEnd",
      strictObject({
        entries: Type.Integer({ minimum: 0, description: "How many entries the log has, as an audit has found." }),
        head: Type.String({ pattern: "^[0-9A-Fa-f]{64}$", description: "The hash of all of them, as the audit ends with it." }),
      }),
    ),
  },
  reply: null,
  errors: {
    400: "A bad short hash, or a virtual node that runs no notary.",
    404: "There is no such virtual node.",
    409: "The log ends elsewhere.",
  },
});
