// Who is who in the network, as flow code may ask: members, notaries, and what the group has agreed on.

import type { Data, X500Name } from "@bowline/base";
import { FlowError } from "./failure.ts";
import type { GroupParameters } from "./group.ts";
import type { Syscall } from "./syscalls.ts";
import type { MemberInfo, NotaryInfo, PublicKeyText } from "./transaction.ts";

/** A member as its network sees it. */
export interface Member extends MemberInfo {
  /** Of this version of what is known of the member: from 1, never down. */
  readonly serial: number;
  readonly platformVersion: number;
  /** What the member says of itself: `corda.…` entries, and `ext.…` entries of its own. */
  readonly context: Readonly<Record<string, string>>;
  /** What whoever runs the group says of the member. */
  readonly groupContext: Readonly<Record<string, string>>;
}

/** Members that are active, and the member itself whatever its status. */
export interface Members {
  mine(): Promise<Member>;
  lookup(name: X500Name | string): Promise<Member | undefined>;
  /** By one of the member's ledger keys. */
  lookupByKey(key: PublicKeyText): Promise<Member | undefined>;
  all(): Promise<readonly Member[]>;
}

export interface Notaries {
  lookup(service: X500Name | string): Promise<NotaryInfo | undefined>;
  all(): Promise<readonly NotaryInfo[]>;
  /** Whether a member of this name runs a notary service: such a one is no party to states. */
  isNotary(member: X500Name | string): Promise<boolean>;
}

/** In force now, and the hash that transactions name them by. */
export type ParametersInForce = GroupParameters & { readonly hash: string };

type Ask = (call: Syscall) => Promise<Data>;

export function membersOf(ask: Ask, me: X500Name, groupId: string): Members {
  const find = (by: { readonly name?: X500Name; readonly key?: PublicKeyText }) =>
    ask({ kind: "members.find", ...by }) as Promise<unknown> as Promise<readonly Member[]>;
  return {
    mine: () =>
      find({ name: me }).then(([mine]) => {
        if (mine === undefined) throw new FlowError("members.notAMember", `${me} is not a member of group ${groupId}.`);
        return mine;
      }),
    lookup: (name) => find({ name: name as X500Name }).then(([found]) => found),
    lookupByKey: (key) => find({ key }).then(([found]) => found),
    all: () => find({}),
  };
}

export function notariesOf(ask: Ask, members: Members): Notaries {
  const find = (by: { readonly name?: X500Name }) =>
    ask({ kind: "notaries.find", ...by }) as Promise<unknown> as Promise<readonly NotaryInfo[]>;
  return {
    lookup: (service) => find({ name: service as X500Name }).then(([found]) => found),
    all: () => find({}),
    isNotary: (member) => members.lookup(member).then((found) => found?.notaryService !== undefined),
  };
}

export const parametersOf = (ask: Ask) => (): Promise<ParametersInForce> =>
  ask({ kind: "group.parameters" }) as Promise<unknown> as Promise<ParametersInForce>;
