// Users, groups, roles, permissions and the record of their changes: each call names whoever asks as its actor.

import { badRequest } from "@bowline/base";
import type { Group, HeldPermission, Property, Role, StoredPermission, User } from "@bowline/cluster/users";
import type { Answers, RestShell } from "./answers.ts";

const CHANGES_LIMIT = 100;

export function accessAnswers(
  shell: RestShell,
): Pick<Answers, UserOperations | UserPermissionOperations | GroupOperations | RoleOperations | PermissionOperations> {
  return {
    ...userAnswers(shell),
    ...userPermissionAnswers(shell),
    ...groupAnswers(shell),
    ...roleAnswers(shell),
    ...permissionAnswers(shell),
  };
}

type UserOperations =
  | "createUser"
  | "getUser"
  | "deleteUser"
  | "moveUser"
  | "enableUser"
  | "changeOwnPassword"
  | "changeOtherPassword"
  | "listProperties"
  | "setProperties"
  | "removeProperty"
  | "findUsersByProperty";

function userAnswers({ services: { db } }: RestShell): Pick<Answers, UserOperations> {
  const answer = async (user: Promise<User>) => ({ body: userBody(await user) });
  return {
    createUser: ({ body, login: actor }) => {
      const { loginName, fullName, enabled, initialPassword = null, passwordExpiry = null, parentGroup = null } = body;
      const expiry = passwordExpiry === null ? null : instantOf(passwordExpiry, "passwordExpiry");
      return answer(db.createUser({ loginName, fullName, enabled, initialPassword, passwordExpiry: expiry, parentGroup, actor }));
    },
    getUser: ({ params }) => answer(db.user({ loginName: params.loginname })),
    deleteUser: ({ params, login: actor }) => answer(db.deleteUser({ loginName: params.loginname, actor })),
    moveUser: ({ params, login: actor }) => answer(db.moveUser({ loginName: params.loginname, group: params.newparentgroupid, actor })),
    enableUser: ({ params, body, login: actor }) => answer(db.enableUser({ loginName: params.loginname, enabled: body.enabled, actor })),
    changeOwnPassword: ({ body, login }) => answer(db.changePassword({ loginName: login, password: body.password, actor: login })),
    changeOtherPassword: ({ body, login: actor }) =>
      answer(db.changePassword({ loginName: body.username, password: body.password, actor })),
    listProperties: async ({ params }) => ({ body: (await db.properties({ loginName: params.loginname })).map(propertyBody) }),
    setProperties: ({ params, body, login: actor }) => answer(db.setProperties({ loginName: params.loginname, properties: body, actor })),
    removeProperty: ({ params, login: actor }) =>
      answer(db.removeProperty({ loginName: params.loginname, key: params.propertykey, actor })),
    findUsersByProperty: async ({ params }) => ({
      body: (await db.usersByProperty({ key: params.propertykey, value: params.propertyvalue })).map(userBody),
    }),
  };
}

type UserPermissionOperations = "assignRole" | "withdrawRole" | "getPermissionSummary" | "explainAccess" | "listAccessChanges";

function userPermissionAnswers({ services: { db } }: RestShell): Pick<Answers, UserPermissionOperations> {
  return {
    assignRole: async ({ params, login: actor }) => ({
      body: userBody(await db.assignRole({ loginName: params.loginname, role: params.roleid, actor })),
    }),
    withdrawRole: async ({ params, login: actor }) => ({
      body: userBody(await db.withdrawRole({ loginName: params.loginname, role: params.roleid, actor })),
    }),
    async getPermissionSummary({ params }) {
      const { loginName, enabled, lastUpdateTimestamp, permissions } = await db.permissionSummary({ loginName: params.loginname });
      return { body: { loginName, enabled, lastUpdateTimestamp: iso(lastUpdateTimestamp), permissions: permissions.map(heldBody) } };
    },
    async explainAccess({ params, query }) {
      const { by, ...explained } = await db.explainAccess({ loginName: params.loginname, action: query.action });
      const permission = by === null ? null : { id: by.id, permissionType: by.type, permissionString: by.pattern };
      return { body: { ...explained, permission, role: by?.role ?? null, group: by?.group ?? null } };
    },
    async listAccessChanges({ query: { limit = CHANGES_LIMIT, before = null, actor = null, changetype: changeType = null } }) {
      const changes = await db.accessChanges({ limit, before, actor, changeType });
      return { body: { changes: changes.map((change) => ({ ...change, timestamp: iso(change.timestamp) })) } };
    },
  };
}

type GroupOperations = "createGroup" | "getGroup" | "deleteGroup" | "moveGroup" | "assignGroupRole" | "withdrawGroupRole";

function groupAnswers({ services: { db } }: RestShell): Pick<Answers, GroupOperations> {
  const answer = async (group: Promise<Group>) => {
    const { users: _users, subgroups: _subgroups, ...body } = groupBody(await group);
    return { body };
  };
  return {
    createGroup: ({ body: { name, parentGroupId = null }, login: actor }) => answer(db.createGroup({ name, parentGroupId, actor })),
    async getGroup({ params }) {
      const { version: _, ...body } = groupBody(await db.group({ id: params.groupid }));
      return { body };
    },
    deleteGroup: ({ params, login: actor }) => answer(db.deleteGroup({ id: params.groupid, actor })),
    moveGroup: ({ params, login: actor }) => answer(db.moveGroup({ id: params.groupid, parent: params.newparentgroupid, actor })),
    assignGroupRole: ({ params, login: actor }) => answer(db.assignGroupRole({ id: params.groupid, role: params.roleid, actor })),
    withdrawGroupRole: ({ params, login: actor }) => answer(db.withdrawGroupRole({ id: params.groupid, role: params.roleid, actor })),
  };
}

type RoleOperations = "listRoles" | "createRole" | "getRole" | "attachPermission" | "detachPermission";

function roleAnswers({ services: { db } }: RestShell): Pick<Answers, RoleOperations> {
  const answer = async (role: Promise<Role>) => ({ body: roleBody(await role) });
  return {
    listRoles: async () => ({ body: (await db.roles(null)).map(roleBody) }),
    createRole: ({ body: { roleName, groupVisibility = null }, login: actor }) =>
      answer(db.createRole({ roleName, groupVisibility, actor })),
    getRole: ({ params }) => answer(db.role({ id: params.id })),
    attachPermission: ({ params, login: actor }) =>
      answer(db.attachPermission({ role: params.roleid, permission: params.permissionid, actor })),
    detachPermission: ({ params, login: actor }) =>
      answer(db.detachPermission({ role: params.roleid, permission: params.permissionid, actor })),
  };
}

type PermissionOperations = "queryPermissions" | "createPermission" | "createPermissions" | "getPermission";

function permissionAnswers({ services: { db } }: RestShell): Pick<Answers, PermissionOperations> {
  return {
    async queryPermissions({ query }) {
      const { limit, permissiontype: type, groupvisibility = null, virtualnode = null, permissionstringprefix: prefix = "" } = query;
      const found = await db.permissions({ limit, type, groupVisibility: groupvisibility, virtualNode: virtualnode, prefix });
      return { body: found.map(permissionBody) };
    },
    createPermission: async ({ body, login: actor }) => ({ body: permissionBody(await db.createPermission({ ...given(body), actor })) }),
    async createPermissions({ body: { permissionsToCreate, roleIds }, login: actor }) {
      const roles = [...new Set(roleIds)];
      const ids = await db.createPermissions({ permissions: permissionsToCreate.map(given), roles, actor });
      return { body: { permissionIds: [...ids], roleIds: roles } };
    },
    getPermission: async ({ params }) => ({ body: permissionBody(await db.permission({ id: params.id })) }),
  };
}

type GivenPermission = Pick<StoredPermission, "permissionType" | "permissionString"> & {
  readonly groupVisibility?: string | null;
  readonly virtualNode?: string | null;
};

const given = ({ permissionType, permissionString, groupVisibility = null, virtualNode = null }: GivenPermission) => ({
  permissionType,
  permissionString,
  groupVisibility,
  virtualNode,
});

function instantOf(text: string, field: string): number {
  const at = Date.parse(text);
  if (Number.isNaN(at))
    throw badRequest("input.invalid", `${field} is no moment such as 2030-06-24T10:15:30Z.`, { field, reason: "is no moment" });
  return at;
}

const iso = (at: number): string => new Date(at).toISOString();

const propertyBody = ({ key, value, lastChangedTimestamp }: Property) => ({ key, value, lastChangedTimestamp: iso(lastChangedTimestamp) });

const roleLinks = (links: User["roleAssociations"]) =>
  links.map(({ roleId, createTimestamp }) => ({ roleId, createTimestamp: iso(createTimestamp) }));

const userBody = (user: User) => ({
  ...user,
  passwordExpiry: user.passwordExpiry === null ? null : iso(user.passwordExpiry),
  properties: user.properties.map(propertyBody),
  roleAssociations: roleLinks(user.roleAssociations),
  updateTimestamp: iso(user.updateTimestamp),
});

/** Groups have no properties of their own: there is no operation that sets one. */
const groupBody = (group: Group) => ({
  ...group,
  properties: [],
  users: [...group.users],
  subgroups: [...group.subgroups],
  roleAssociations: roleLinks(group.roleAssociations),
  updateTimestamp: iso(group.updateTimestamp),
});

const roleBody = (role: Role) => ({
  ...role,
  permissions: role.permissions.map(({ id, createdTimestamp }) => ({ id, createdTimestamp: iso(createdTimestamp) })),
  updateTimestamp: iso(role.updateTimestamp),
});

const permissionBody = (permission: StoredPermission) => ({ ...permission, updateTimestamp: iso(permission.updateTimestamp) });

const heldBody = ({ id, type, pattern, groupVisibility, virtualNode }: HeldPermission) => ({
  id,
  permissionType: type,
  permissionString: pattern,
  groupVisibility,
  virtualNode,
});
