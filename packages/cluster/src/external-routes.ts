// Where messages to systems outside go: each channel of a virtual node has a route, made of the channel's name and the defaults of the
// configuration section `corda.externalMessaging`. Flows that still run in an older version's code keep their channels.

import { badRequest, type ShortHash } from "@bowline/base";

export interface RouteDefaults {
  /** `$HOLDING_ID` and `$CHANNEL_NAME` stand for the virtual node's short hash and the channel. */
  readonly receiveTopicPattern: string;
  readonly active: boolean;
  /** What a flow meets that sends while routes are inactive: an error, or nothing. */
  readonly inactiveResponseType: "ERROR" | "IGNORE";
}

export interface ExternalRoute {
  readonly channelName: string;
  readonly externalReceiveTopicName: string;
  readonly active: boolean;
  readonly inactiveResponseType: "ERROR" | "IGNORE";
}

/** Of a CPI that a virtual node had before. */
export interface PreviousRoutes {
  readonly cpiIdentifier: { readonly cpiName: string; readonly cpiVersion: string; readonly signerSummaryHash: string };
  readonly routes: readonly ExternalRoute[];
}

export const ROUTE_DEFAULTS: RouteDefaults = {
  receiveTopicPattern: "ext.$HOLDING_ID.$CHANNEL_NAME.receive",
  active: true,
  inactiveResponseType: "ERROR",
};

export function externalRoute(vnode: ShortHash, channelName: string, defaults: RouteDefaults): ExternalRoute {
  const { receiveTopicPattern, active, inactiveResponseType } = defaults;
  const named = receiveTopicPattern.replaceAll("$HOLDING_ID", () => vnode).replaceAll("$CHANNEL_NAME", () => channelName);
  return { channelName, externalReceiveTopicName: named, active, inactiveResponseType };
}

interface Channels {
  readonly channels?: readonly { readonly name: string }[];
}

/** One route for each channel, whichever of the packages declare it. */
export function externalRoutes(vnode: ShortHash, manifests: readonly Channels[], defaults: RouteDefaults): readonly ExternalRoute[] {
  const names = new Set(manifests.flatMap(({ channels = [] }) => channels.map(({ name }) => name)));
  return [...names].map((name) => externalRoute(vnode, name, defaults));
}

/**
 * The topic of a message over this channel; null where it goes nowhere and that is to be ignored. Throws `external.channelUnknown` where the
 * package declares no such channel, whatever its code says of itself, and `external.routeInactive`.
 */
export function topicOf(vnode: ShortHash, channel: string, manifest: Channels, defaults: RouteDefaults = ROUTE_DEFAULTS): string | null {
  if (manifest.channels?.some(({ name }) => name === channel) !== true)
    throw badRequest("external.channelUnknown", `This CorDapp declares no channel ${channel}: name it in the channels of its definition.`, {
      channel,
    });
  const route = externalRoute(vnode, channel, defaults);
  if (route.active) return route.externalReceiveTopicName;
  if (route.inactiveResponseType === "IGNORE") return null;
  throw badRequest("external.routeInactive", `Messages of channel ${channel} go nowhere for now: its route is inactive.`, { channel });
}
