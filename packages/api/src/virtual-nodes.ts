import Type from "typebox";
import { CpiIdentifier } from "./cpi.ts";
import { defineRoute, instant, named, noParams, nullable, strictObject } from "./route.ts";

const tag = "Virtual Node";
const connection = Type.Optional(nullable(Type.Unknown()));
const operational = Type.Enum(["ACTIVE", "INACTIVE"]);

const CreateVirtualNode = named(
  "CreateVirtualNodeRequest",
  strictObject({
    cpiFileChecksum: Type.String({ description: "The first twelve hexadecimal digits of the CPI file's SHA-256." }),
    x500Name: Type.String({ examples: ["O=Alice, L=London, C=GB"] }),
    vaultDdlConnection: connection,
    vaultDmlConnection: connection,
    cryptoDdlConnection: connection,
    cryptoDmlConnection: connection,
    uniquenessDdlConnection: connection,
    uniquenessDmlConnection: connection,
  }),
);

const Routes = named(
  "Routes",
  Type.Object({
    cpiIdentifier: CpiIdentifier,
    routes: Type.Array(
      named(
        "Route",
        Type.Object({
          channelName: Type.String(),
          externalReceiveTopicName: Type.String(),
          active: Type.Boolean(),
          inactiveResponseType: Type.Enum(["ERROR", "IGNORE"]),
        }),
      ),
    ),
  }),
);

const RouteConfiguration = named("RouteConfiguration", Type.Object({ currentRoutes: Routes, previousVersionRoutes: Type.Array(Routes) }));

export const VirtualNode = named(
  "VirtualNodeInfo",
  Type.Object({
    holdingIdentity: named(
      "HoldingIdentity",
      Type.Object({ x500Name: Type.String(), groupId: Type.String(), shortHash: Type.String(), fullHash: Type.String() }),
    ),
    cpiIdentifier: CpiIdentifier,
    vaultDdlConnectionId: nullable(Type.String()),
    vaultDmlConnectionId: nullable(Type.String()),
    cryptoDdlConnectionId: nullable(Type.String()),
    cryptoDmlConnectionId: nullable(Type.String()),
    uniquenessDdlConnectionId: nullable(Type.String()),
    uniquenessDmlConnectionId: nullable(Type.String()),
    hsmConnectionId: nullable(Type.String()),
    flowP2pOperationalStatus: operational,
    flowStartOperationalStatus: operational,
    flowOperationalStatus: operational,
    vaultDbOperationalStatus: operational,
    operationInProgress: nullable(Type.String()),
    externalMessagingRouteConfiguration: nullable(RouteConfiguration),
  }),
);

const AsyncResponse = named(
  "AsyncResponse",
  Type.Object({ requestId: Type.String({ description: "Of a creation, the short hash of the holding identity." }) }),
);

export const createVirtualNode = defineRoute({
  method: "POST",
  path: "/virtualnode",
  tag,
  summary: "Creates a virtual node: its schemas, users, keys and membership. Ask for the request's status until it has SUCCEEDED.",
  params: noParams,
  query: noParams,
  body: { kind: "json", schema: CreateVirtualNode, wrapper: "request" },
  statuses: [202],
  reply: AsyncResponse,
  errors: {
    400: "A bad name or checksum, no such CPI, or a name that the CPI's group policy does not list.",
    409: "The virtual node exists, or is just being created.",
  },
});

export const upgradeVirtualNode = defineRoute({
  method: "PUT",
  path: "/virtualnode/{virtualnodeshortid}/cpi/{targetcpifilechecksum}",
  tag,
  summary: "Upgrades a virtual node to another version of its CPI. Flows that have begun stay in the code in which they began.",
  params: Type.Object({ virtualnodeshortid: Type.String(), targetcpifilechecksum: Type.String() }),
  query: Type.Object({
    forceupgrade: Type.Optional(Type.Boolean({ description: "Without effect: an upgrade that was interrupted goes on by itself." })),
  }),
  body: undefined,
  statuses: [202],
  reply: AsyncResponse,
  errors: {
    400: "The CPI is of another name, signer or group, or its group policy does not list the member.",
    404: "There is no such virtual node, or no such CPI.",
    409: "The virtual node runs that CPI already, or is in the middle of another operation.",
  },
});

export const virtualNodeStatus = defineRoute({
  method: "GET",
  path: "/virtualnode/status/{requestid}",
  tag,
  summary: "How far the creation or the upgrade of a virtual node is.",
  params: Type.Object({ requestid: Type.String() }),
  query: noParams,
  body: undefined,
  reply: named(
    "AsyncOperationStatus",
    Type.Object({
      requestId: Type.String(),
      operation: Type.String(),
      status: Type.Enum(["ACCEPTED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "ABORTED"]),
      lastUpdatedTimestamp: instant,
      processingStage: nullable(Type.String()),
      errorReason: nullable(Type.String()),
      resourceId: nullable(Type.String()),
    }),
  ),
  errors: { 404: "There is no such request." },
});

export const listVirtualNodes = defineRoute({
  method: "GET",
  path: "/virtualnode",
  tag,
  summary: "All virtual nodes.",
  params: noParams,
  query: noParams,
  body: undefined,
  reply: named("VirtualNodes", Type.Object({ virtualNodes: Type.Array(VirtualNode) })),
});

export const getVirtualNode = defineRoute({
  method: "GET",
  path: "/virtualnode/{holdingidentityshorthash}",
  tag,
  summary: "One virtual node.",
  params: Type.Object({ holdingidentityshorthash: Type.String() }),
  query: noParams,
  body: undefined,
  reply: VirtualNode,
  errors: { 400: "The short hash is not twelve hexadecimal digits.", 404: "There is no such virtual node." },
});
