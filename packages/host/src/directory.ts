// What the flow role knows of virtual nodes, packages and networks: copies of the db role's facts, refreshed when they
// are a second old, and at once when something is asked for that the copy does not know.

import type { Clock, SecureHash, ShortHash, X500Name } from "@bowline/base";
import { decode } from "@bowline/base";
import type { GroupParameters, SignedGroupParameters } from "@bowline/sdk";
import type { CpiInfo, DbService, VirtualNodeInfo } from "./services.ts";

/** How old a copy may be, and how soon after a refresh an unknown name may cause the next. */
const FRESH_MS = 1_000;
const MISS_MS = 100;
/** Group parameters never change under their hash. */
const PARAMETERS_KEPT_MAX = 256;

type Source = Pick<DbService, "virtualNodes" | "cpis" | "members" | "groupParameters">;
export type Member = Awaited<ReturnType<DbService["members"]>>[number];

export interface Directory {
  /** The virtual node of this identity, where this cluster hosts it. */
  hosted(name: X500Name, groupId: string): Promise<VirtualNodeInfo | undefined>;
  virtualNode(vnode: ShortHash): Promise<VirtualNodeInfo | undefined>;
  cpi(fileChecksum: SecureHash): Promise<CpiInfo | undefined>;
  members(groupId: string): Promise<readonly Member[]>;
  /** In force where `hash` is null. */
  groupParameters(groupId: string, hash: string | null): Promise<SignedGroupParameters | undefined>;
  parametersInForce(groupId: string): Promise<GroupParameters | undefined>;
}

export function createDirectory(db: Source, clock: Clock): Directory {
  const virtualNodes = copy(clock, () => db.virtualNodes(null));
  const cpis = copy(clock, () => db.cpis(null));
  const members = new Map<string, Copy<readonly Member[]>>();
  const inForce = new Map<string, Copy<SignedGroupParameters | null>>();
  const byHash = new Map<string, SignedGroupParameters>();

  async function groupParameters(groupId: string, hash: string | null): Promise<SignedGroupParameters | undefined> {
    if (hash === null) {
      const current = keyed(inForce, groupId, () => copy(clock, () => db.groupParameters({ groupId, hash: null })));
      return (await current.find((value) => value ?? undefined)) ?? undefined;
    }
    const key = `${groupId} ${hash}`;
    const known = byHash.get(key);
    if (known !== undefined) return known;
    const found = await db.groupParameters({ groupId, hash });
    if (found === null) return undefined;
    if (byHash.size >= PARAMETERS_KEPT_MAX) byHash.clear();
    byHash.set(key, found);
    return found;
  }

  return {
    hosted: (name, groupId) =>
      virtualNodes.find((all) => all.find(({ holdingIdentity: who }) => who.x500Name === name && who.groupId === groupId)),
    virtualNode: (vnode) => virtualNodes.find((all) => all.find(({ holdingIdentity }) => holdingIdentity.shortHash === vnode)),
    cpi: (fileChecksum) => cpis.find((all) => all.find(({ cpiFileFullChecksum }) => cpiFileFullChecksum === fileChecksum)),
    members: async (groupId) => (await keyed(members, groupId, () => copy(clock, () => db.members({ groupId }))).find((all) => all)) ?? [],
    groupParameters,
    parametersInForce: async (groupId) => {
      const signed = await groupParameters(groupId, null);
      return signed === undefined ? undefined : parametersOf(signed);
    },
  };
}

const decoded = new WeakMap<SignedGroupParameters, GroupParameters>();

/** The db role signed these bytes' content: they are decoded once, not judged. */
export function parametersOf(signed: SignedGroupParameters): GroupParameters {
  let parameters = decoded.get(signed);
  if (parameters === undefined) {
    parameters = decode(signed.bytes) as unknown as GroupParameters;
    decoded.set(signed, parameters);
  }
  return parameters;
}

export interface Copy<T> {
  /** What `pick` finds in the copy; a miss refreshes it once and looks again. */
  find<R>(pick: (value: T) => R | undefined): Promise<R | undefined>;
}

/** Of what the db role knows. */
export function copy<T>(clock: Clock, load: () => Promise<T>): Copy<T> {
  let value: { readonly loaded: T; readonly at: number } | undefined;
  let loading: Promise<T> | undefined;
  const refresh = (): Promise<T> => {
    loading ??= load()
      .then((loaded) => {
        value = { loaded, at: clock.now() };
        return loaded;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  };
  return {
    async find(pick) {
      const age = value === undefined ? Number.POSITIVE_INFINITY : clock.now() - value.at;
      const found = pick(value !== undefined && age < FRESH_MS ? value.loaded : await refresh());
      if (found !== undefined || age >= FRESH_MS || age < MISS_MS) return found;
      return pick(await refresh());
    },
  };
}

function keyed<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}
