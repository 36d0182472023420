import Type from "typebox";
import { defineRoute, instant, named, noParams, nullable } from "./route.ts";

const tag = "CPI";

export const CpiIdentifier = named(
  "CpiIdentifier",
  Type.Object({ cpiName: Type.String(), cpiVersion: Type.String(), signerSummaryHash: nullable(Type.String()) }),
);

const CpkMetadata = named(
  "CpkMetadata",
  Type.Object({
    id: named("CpkIdentifier", Type.Object({ name: Type.String(), version: Type.String(), signerSummaryHash: nullable(Type.String()) })),
    mainBundle: Type.String(),
    libraries: Type.Array(Type.String()),
    type: Type.String(),
    hash: Type.String(),
    timestamp: instant,
  }),
);

export const CpiMetadata = named(
  "CpiMetadata",
  Type.Object({
    id: CpiIdentifier,
    cpiFileChecksum: Type.String({ description: "The first twelve hexadecimal digits of the file's SHA-256." }),
    cpiFileFullChecksum: Type.String(),
    groupPolicy: nullable(Type.String()),
    cpks: Type.Array(CpkMetadata),
    timestamp: instant,
  }),
);

export const uploadCpi = defineRoute({
  method: "POST",
  path: "/cpi",
  tag,
  summary: "Uploads a CPI. Answers at once with an id; ask for its status until it is OK.",
  params: noParams,
  query: noParams,
  body: { kind: "multipart", texts: [], files: { upload: { kind: "file", many: false } } },
  reply: named("CpiUploadResponse", Type.Object({ id: Type.String() })),
  errors: { 400: "No file part `upload`, or the body is larger than the server takes.", 415: "The body is not multipart/form-data." },
});

export const cpiStatus = defineRoute({
  method: "GET",
  path: "/cpi/status/{id}",
  tag,
  summary: "How far an upload is. Its failure is this call's error.",
  params: Type.Object({ id: Type.String() }),
  query: noParams,
  body: undefined,
  reply: named(
    "CpiUploadStatus",
    Type.Object({
      status: Type.String({ description: "A progress message, in the end OK." }),
      cpiFileChecksum: Type.String({ description: "Empty until the status is OK." }),
    }),
  ),
  errors: {
    400: "The id is unknown, or the CPI was refused: bad signature, manifest or group policy.",
    409: "A CPI of this name, version and signer is there already.",
  },
});

export const listCpis = defineRoute({
  method: "GET",
  path: "/cpi",
  tag,
  summary: "All CPIs.",
  params: noParams,
  query: noParams,
  body: undefined,
  reply: named("GetCPIsResponse", Type.Object({ cpis: Type.Array(CpiMetadata) })),
});
