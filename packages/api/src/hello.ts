import Type from "typebox";
import { defineRoute, noParams, type Route } from "./route.ts";

export const hello = defineRoute({
  method: "POST",
  path: "/hello",
  tag: "Hello Rest",
  summary: "Greets the addressee and names the caller: the smallest call that needs credentials.",
  params: noParams,
  query: Type.Object({ addressee: Type.String() }),
  body: undefined,
  reply: Type.String(),
  errors: { 400: "The query parameter addressee is missing." },
});

const TAG_OF_RESOURCE = {
  hello: "Hello Rest",
  cpi: "CPI",
  certificate: "Certificate",
  virtualnode: "Virtual Node",
  flow: "Flow Management",
  flowclass: "Flow Info",
  members: "Member Lookup",
  user: "RBAC User",
  role: "RBAC Role",
  permission: "RBAC Permission",
} as const;

/** Public: which platform answers. One for each resource; 5.3 dropped them. */
export const protocolVersions: readonly Route[] = Object.entries(TAG_OF_RESOURCE).map(([resource, tag]) =>
  defineRoute({
    method: "GET",
    path: `/${resource}/getprotocolversion`,
    tag,
    summary: "The platform version of this server.",
    versions: ["v5_1", "v5_2"],
    params: noParams,
    query: noParams,
    body: undefined,
    reply: Type.Integer(),
    auth: "none",
  }),
);
