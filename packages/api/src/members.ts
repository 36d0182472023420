import Type from "typebox";
import { defineRoute, named, noParams } from "./route.ts";

const tag = "Member Lookup";
const vnode = Type.Object({ holdingidentityshorthash: Type.String() });
const filter = Type.Optional(Type.String());
const context = Type.Record(Type.String(), Type.String());

export const listMembers = defineRoute({
  method: "GET",
  path: "/members/{holdingidentityshorthash}",
  tag,
  summary: "The members of the group of one virtual node, as it sees them. Name filters ignore case; by default only the active ones.",
  params: vnode,
  query: Type.Object({
    cn: filter,
    ou: filter,
    o: filter,
    l: filter,
    st: filter,
    c: filter,
    statuses: Type.Optional(Type.Array(Type.Enum(["ACTIVE", "SUSPENDED"]))),
  }),
  body: undefined,
  reply: named(
    "RestMemberInfoList",
    Type.Object({ members: Type.Array(named("RestMemberInfo", Type.Object({ memberContext: context, mgmContext: context }))) }),
  ),
  errors: { 400: "A bad short hash or status.", 404: "There is no such virtual node." },
});

export const getGroupParameters = defineRoute({
  method: "GET",
  path: "/members/{holdingidentityshorthash}/group-parameters",
  tag,
  summary: "The group parameters in force for one virtual node, as a flat map.",
  params: vnode,
  query: noParams,
  body: undefined,
  reply: named("RestGroupParameters", Type.Object({ parameters: context })),
  errors: { 400: "A bad short hash.", 404: "There is no such virtual node." },
});
