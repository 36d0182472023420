import Type from "typebox";
import { defineRoute, noParams, type RouteBody } from "./route.ts";

const tag = "Certificate";

/** Which certificates the cluster tells apart. `code-signer` makes the signatures of packages trusted. */
export const CERTIFICATE_USAGES = ["p2p-tls", "p2p-session", "rest-tls", "code-signer"] as const;

const usage = Type.String({ description: `One of ${CERTIFICATE_USAGES.join(", ")}, in either case.` });
const holdingidentityid = Type.String({ description: "The short hash of a virtual node, or a longer part of its hash." });
const alias = Type.String();
const upload = {
  kind: "multipart",
  texts: ["alias"],
  files: { certificate: { kind: "file", many: true } },
} as const satisfies RouteBody;
const IMPORT_ERRORS = {
  400: "Unknown usage, blank alias, no file, a file that is no PEM certificate, one that stands twice, or a chain out of order (leaf first).",
  415: "The body is not multipart/form-data.",
};
const READ_ERRORS = { 400: "Unknown usage, or a bad id.", 404: "There is no such alias." };

export const importClusterCertificate = defineRoute({
  method: "PUT",
  path: "/certificate/cluster/{usage}",
  tag,
  summary: "Stores a certificate chain of the cluster under an alias; one that is there is replaced.",
  params: Type.Object({ usage }),
  query: noParams,
  body: upload,
  reply: null,
  errors: IMPORT_ERRORS,
});

export const listClusterCertificates = defineRoute({
  method: "GET",
  path: "/certificate/cluster/{usage}",
  tag,
  summary: "The aliases of the cluster's certificate chains of one usage.",
  params: Type.Object({ usage }),
  query: noParams,
  body: undefined,
  reply: Type.Array(Type.String()),
  errors: { 400: "Unknown usage." },
});

export const getClusterCertificate = defineRoute({
  method: "GET",
  path: "/certificate/cluster/{usage}/{alias}",
  tag,
  summary: "One certificate chain of the cluster, as PEM text.",
  params: Type.Object({ usage, alias }),
  query: noParams,
  body: undefined,
  reply: Type.String(),
  raw: true,
  errors: READ_ERRORS,
});

export const importVirtualNodeCertificate = defineRoute({
  method: "PUT",
  path: "/certificate/vnode/{holdingidentityid}/{usage}",
  tag,
  summary: "Stores a certificate chain of one virtual node under an alias; one that is there is replaced.",
  params: Type.Object({ holdingidentityid, usage }),
  query: noParams,
  body: upload,
  reply: null,
  errors: { ...IMPORT_ERRORS, 404: "There is no such virtual node." },
});

export const listVirtualNodeCertificates = defineRoute({
  method: "GET",
  path: "/certificate/vnode/{holdingidentityid}/{usage}",
  tag,
  summary: "The aliases of one virtual node's certificate chains of one usage.",
  params: Type.Object({ holdingidentityid, usage }),
  query: noParams,
  body: undefined,
  reply: Type.Array(Type.String()),
  errors: { 400: "Unknown usage, or a bad id." },
});

export const getVirtualNodeCertificate = defineRoute({
  method: "GET",
  path: "/certificate/vnode/{holdingidentityid}/{usage}/{alias}",
  tag,
  summary: "One certificate chain of one virtual node, as PEM text.",
  params: Type.Object({ holdingidentityid, usage, alias }),
  query: noParams,
  body: undefined,
  reply: Type.String(),
  raw: true,
  errors: READ_ERRORS,
});
