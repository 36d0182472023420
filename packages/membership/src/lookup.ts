// Who sees whom, and by which filters.

import { nameAttributes, type X500Name } from "@bowline/base";
import type { Context } from "./member.ts";

/** Lower-case attribute names, as the query parameters are called. */
export type NameFilter = Readonly<Partial<Record<"cn" | "ou" | "o" | "l" | "st" | "c", string | undefined>>>;

export interface Listed {
  readonly info: { readonly name: X500Name; readonly status: "ACTIVE" | "SUSPENDED" };
  readonly memberContext: Context;
  readonly mgmContext: Context;
}

/**
 * The members that `viewer` sees: attributes compare without case, every given one must match. A suspended member is
 * shown to itself only, for no member of a static network manages it.
 */
export function selectMembers<M extends Listed>(
  members: readonly M[],
  viewer: X500Name,
  filter: NameFilter,
  statuses: readonly ("ACTIVE" | "SUSPENDED")[],
): readonly M[] {
  return members.filter(
    ({ info }) => statuses.includes(info.status) && (info.status === "ACTIVE" || info.name === viewer) && matches(info.name, filter),
  );
}

function matches(name: X500Name, filter: NameFilter): boolean {
  const attributes = nameAttributes(name);
  return Object.entries(filter).every(([key, wanted]) => {
    const value = attributes[key.toUpperCase() as keyof typeof attributes];
    return wanted === undefined || value?.toLowerCase() === wanted.toLowerCase();
  });
}
