// Users, groups, roles and permissions as they are shown, and what may be written into them. All are plain data.

import { BowlineError, badRequest, type Instant } from "@bowline/base";
import type { Permission } from "./access.ts";
import { checkPattern } from "./access-patterns.ts";

export interface RoleLink {
  readonly roleId: string;
  readonly createTimestamp: Instant;
}

export interface Property {
  readonly key: string;
  readonly value: string;
  readonly lastChangedTimestamp: Instant;
}

export interface User {
  readonly id: string;
  readonly loginName: string;
  readonly fullName: string;
  readonly enabled: boolean;
  /** Has no password, and so no login by one. */
  readonly ssoAuth: boolean;
  readonly passwordExpiry: Instant | null;
  readonly parentGroup: string | null;
  readonly properties: readonly Property[];
  readonly roleAssociations: readonly RoleLink[];
  readonly version: number;
  readonly updateTimestamp: Instant;
}

export interface NewUser {
  readonly loginName: string;
  readonly fullName: string;
  readonly enabled: boolean;
  readonly initialPassword: string | null;
  readonly passwordExpiry: Instant | null;
  readonly parentGroup: string | null;
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly parentGroupId: string | null;
  readonly roleAssociations: readonly RoleLink[];
  /** Ids of those directly in it. */
  readonly users: readonly string[];
  readonly subgroups: readonly string[];
  readonly version: number;
  readonly updateTimestamp: Instant;
}

export interface Role {
  readonly id: string;
  readonly roleName: string;
  readonly groupVisibility: string | null;
  readonly permissions: readonly { readonly id: string; readonly createdTimestamp: Instant }[];
  readonly version: number;
  readonly updateTimestamp: Instant;
}

export interface NewPermission {
  readonly permissionType: Permission["type"];
  readonly permissionString: string;
  readonly virtualNode: string | null;
  readonly groupVisibility: string | null;
}

export interface StoredPermission extends NewPermission {
  readonly id: string;
  readonly version: number;
  readonly updateTimestamp: Instant;
}

/** A permission that a user has, and how he comes by it. */
export interface HeldPermission extends Permission {
  readonly id: string;
  readonly virtualNode: string | null;
  readonly groupVisibility: string | null;
  readonly role: { readonly id: string; readonly name: string };
  /** Null: the role is the user's own. */
  readonly group: { readonly id: string; readonly name: string } | null;
}

export interface AccessChange {
  readonly seq: number;
  readonly timestamp: Instant;
  readonly actor: string;
  readonly changeType: string;
  readonly details: string;
}

const LOGIN = /^[-._@a-zA-Z0-9]{3,255}$/;
const FULL_NAME = /^[a-zA-Z0-9.@\-#' ]{1,255}$/;
const TEXT_MAX = 255;
const PROPERTIES_AT_ONCE_MAX = 100;

/** Throws `access.userInvalid`, which names every field that is wrong, as the original does. */
export function checkUser({ loginName, fullName }: Pick<NewUser, "loginName" | "fullName">): void {
  const errors = [
    ...(LOGIN.test(loginName) ? [] : ["loginName has 3 to 255 characters from a-z, A-Z, 0-9, '-', '.', '_' and '@'"]),
    ...(FULL_NAME.test(fullName) ? [] : ["fullName has 1 to 255 characters from a-z, A-Z, 0-9, '.', '@', '-', '#', \"'\" and space"]),
  ];
  if (errors.length === 0) return;
  throw badRequest("access.userInvalid", `The user cannot be made: ${errors.join("; ")}.`, {
    ...Object.fromEntries(errors.map((error, at) => [`Error #${at + 1}`, error])),
  });
}

/** Throws `access.nameInvalid`. */
export function checkName(what: string, name: string): void {
  if (name.trim() !== "" && name.length <= TEXT_MAX) return;
  throw badRequest("access.nameInvalid", `${what} has 1 to ${TEXT_MAX} characters, not all of them blank.`, { field: what });
}

/** Throws `access.nameInvalid` and `access.patternInvalid`. */
export function checkPermission({ permissionString, virtualNode }: NewPermission): void {
  checkPattern(permissionString);
  if (virtualNode !== null) checkName("virtualNode", virtualNode);
}

/** Throws `access.nameInvalid`. */
export function checkProperties(properties: Readonly<Record<string, string>>): void {
  const entries = Object.entries(properties);
  if (entries.length === 0 || entries.length > PROPERTIES_AT_ONCE_MAX)
    throw badRequest("access.nameInvalid", `A request sets 1 to ${PROPERTIES_AT_ONCE_MAX} properties.`, { field: "property" });
  for (const [key, value] of entries) {
    checkName("key", key);
    checkName("value", value);
  }
}

export const unknown = (what: "user" | "group" | "role" | "permission", id: string): BowlineError =>
  new BowlineError("notFound", "access.unknown", `There is no ${what} ${id}.`, { kind: what, id });

/** What is there already, or must not be there for this. */
export const clash = (message: string, details: Readonly<Record<string, string>>): BowlineError =>
  new BowlineError("conflict", "access.exists", message, details);

export const absent = (message: string, details: Readonly<Record<string, string>>): BowlineError =>
  badRequest("access.absent", message, details);

export const isProtected = (message: string, details: Readonly<Record<string, string>>): BowlineError =>
  badRequest("access.protected", message, details);
