// Users, groups, roles and permissions, with the original's names; the last three operations are our own.

import Type from "typebox";
import { defineRoute, instant, named, noParams, nullable, strictObject } from "./route.ts";

const USER = "RBAC User";
const GROUP = "RBAC Group";
const ROLE = "RBAC Role";
const PERMISSION = "RBAC Permission";
/** Since 5.2 and since 5.3. */
const FROM_5_2 = ["v5_2", "v5_3"] as const;
const FROM_5_3 = ["v5_3"] as const;

const optional = Type.Optional(nullable(Type.String()));
const loginName = Type.Object({ loginname: Type.String() });
const groupId = Type.Object({ groupid: Type.String() });
const permissionType = Type.Enum(["ALLOW", "DENY"]);
const roleAssociations = Type.Array(named("RoleAssociationResponseType", Type.Object({ roleId: Type.String(), createTimestamp: instant })));
const Property = named("PropertyResponseType", Type.Object({ key: Type.String(), value: Type.String(), lastChangedTimestamp: instant }));

const UserReply = named(
  "UserResponseType",
  Type.Object({
    id: Type.String(),
    loginName: Type.String(),
    fullName: Type.String(),
    enabled: Type.Boolean(),
    ssoAuth: Type.Boolean({ description: "Has no password." }),
    passwordExpiry: nullable(instant),
    parentGroup: nullable(Type.String()),
    properties: Type.Array(Property),
    roleAssociations,
    version: Type.Integer(),
    updateTimestamp: instant,
  }),
);

const group = {
  id: Type.String(),
  name: Type.String(),
  parentGroupId: nullable(Type.String()),
  properties: Type.Array(Property),
  roleAssociations,
  updateTimestamp: instant,
};
const GroupReply = named("GroupResponseType", Type.Object({ ...group, version: Type.Integer() }));

const RoleReply = named(
  "RoleResponseType",
  Type.Object({
    id: Type.String(),
    roleName: Type.String(),
    groupVisibility: nullable(Type.String()),
    permissions: Type.Array(named("PermissionAssociationResponseType", Type.Object({ id: Type.String(), createdTimestamp: instant }))),
    version: Type.Integer(),
    updateTimestamp: instant,
  }),
);

const PermissionReply = named(
  "PermissionResponseType",
  Type.Object({
    id: Type.String(),
    permissionType,
    permissionString: Type.String(),
    groupVisibility: nullable(Type.String()),
    virtualNode: nullable(Type.String()),
    version: Type.Integer(),
    updateTimestamp: instant,
  }),
);

const CreatePermission = named(
  "CreatePermissionType",
  strictObject({
    permissionType,
    permissionString: Type.String({ description: "A regular expression that matches a whole action, in either case." }),
    groupVisibility: optional,
    virtualNode: optional,
  }),
);

const missing = "The user, role, permission or group does not exist.";
const ceiling = "No permission allows this call, one denies it, or it would give more than the caller holds.";

const users = {
  createUser: defineRoute({
    method: "POST",
    path: "/user",
    tag: USER,
    summary: "Makes a user. The same request of the same caller again is answered with the user that it made.",
    params: noParams,
    query: noParams,
    body: {
      kind: "json",
      schema: named(
        "CreateUserType",
        strictObject({
          loginName: Type.String({ description: "Kept in lower case." }),
          fullName: Type.String(),
          enabled: Type.Boolean(),
          initialPassword: Type.Optional(nullable(Type.String({ description: "None: no login by password." }))),
          passwordExpiry: Type.Optional(nullable(instant)),
          parentGroup: optional,
        }),
      ),
      wrapper: "createUserType",
    },
    statuses: [201],
    reply: UserReply,
    errors: {
      400: "A field is wrong; details name each.",
      403: ceiling,
      404: "There is no such group.",
      409: "The login name is taken.",
    },
  }),
  getUser: defineRoute({
    method: "GET",
    path: "/user/{loginname}",
    tag: USER,
    summary: "A user.",
    params: loginName,
    query: noParams,
    body: undefined,
    reply: UserReply,
    errors: { 404: missing },
  }),
  deleteUser: defineRoute({
    method: "DELETE",
    path: "/user/{loginname}",
    tag: USER,
    summary: "Deletes a user.",
    versions: FROM_5_3,
    params: loginName,
    query: noParams,
    body: undefined,
    reply: UserReply,
    errors: { 400: "The caller himself, or the first administrator.", 404: missing },
  }),
  moveUser: defineRoute({
    method: "PUT",
    path: "/user/{loginname}/parent/changeparentid/{newparentgroupid}",
    tag: USER,
    summary: "Moves a user into another group.",
    versions: FROM_5_3,
    params: Type.Object({ loginname: Type.String(), newparentgroupid: Type.String() }),
    query: noParams,
    body: undefined,
    reply: UserReply,
    errors: { 403: ceiling, 404: missing },
  }),
  changeOwnPassword: defineRoute({
    method: "POST",
    path: "/user/selfpassword",
    tag: USER,
    summary: "Changes the caller's own password. Needs no permission, and works with an expired one.",
    versions: FROM_5_2,
    params: noParams,
    query: noParams,
    body: { kind: "json", schema: strictObject({ password: Type.String() }) },
    reply: UserReply,
    errors: { 400: "The password is blank, too long, or the present one." },
  }),
  changeOtherPassword: defineRoute({
    method: "POST",
    path: "/user/otheruserpassword",
    tag: USER,
    summary: "Changes another user's password, which then expires soon.",
    versions: FROM_5_2,
    params: noParams,
    query: noParams,
    body: {
      kind: "json",
      schema: named("ChangeOtherUserPasswordWrapperRequest", strictObject({ username: Type.String(), password: Type.String() })),
    },
    reply: UserReply,
    errors: { 400: "The password is blank, too long, or the present one.", 403: ceiling, 404: missing },
  }),
  assignRole: defineRoute({
    method: "PUT",
    path: "/user/{loginname}/role/{roleid}",
    tag: USER,
    summary: "Gives a user a role.",
    params: Type.Object({ loginname: Type.String(), roleid: Type.String() }),
    query: noParams,
    body: undefined,
    reply: UserReply,
    errors: { 403: ceiling, 404: missing, 409: "The user has the role." },
  }),
  withdrawRole: defineRoute({
    method: "DELETE",
    path: "/user/{loginname}/role/{roleid}",
    tag: USER,
    summary: "Takes a role from a user.",
    params: Type.Object({ loginname: Type.String(), roleid: Type.String() }),
    query: noParams,
    body: undefined,
    reply: UserReply,
    errors: { 400: "The user has no such role, or is the first administrator.", 403: ceiling, 404: missing },
  }),
  getPermissionSummary: defineRoute({
    method: "GET",
    path: "/user/{loginname}/permissionsummary",
    tag: USER,
    summary: "All permissions that a user has, of roles and groups.",
    params: loginName,
    query: noParams,
    body: undefined,
    reply: named(
      "UserPermissionSummaryResponseType",
      Type.Object({
        loginName: Type.String(),
        enabled: Type.Boolean(),
        lastUpdateTimestamp: instant,
        permissions: Type.Array(
          named(
            "PermissionSummaryResponseType",
            Type.Object({
              id: Type.String(),
              permissionType,
              permissionString: Type.String(),
              groupVisibility: nullable(Type.String()),
              virtualNode: nullable(Type.String()),
            }),
          ),
        ),
      }),
    ),
    errors: { 404: missing },
  }),
  listProperties: defineRoute({
    method: "GET",
    path: "/user/{loginname}/property",
    tag: USER,
    summary: "A user's properties.",
    versions: FROM_5_3,
    params: loginName,
    query: noParams,
    body: undefined,
    reply: Type.Array(Property),
    errors: { 404: missing },
  }),
  setProperties: defineRoute({
    method: "POST",
    path: "/user/{loginname}/property",
    tag: USER,
    summary: "Sets properties of a user.",
    versions: FROM_5_3,
    params: loginName,
    query: noParams,
    body: { kind: "json", schema: Type.Record(Type.String(), Type.String()), wrapper: "property" },
    reply: UserReply,
    errors: { 400: "No property, too many, or one that is blank or too long.", 404: missing },
  }),
  removeProperty: defineRoute({
    method: "DELETE",
    path: "/user/{loginname}/property/{propertykey}",
    tag: USER,
    summary: "Removes a property of a user.",
    versions: FROM_5_3,
    params: Type.Object({ loginname: Type.String(), propertykey: Type.String() }),
    query: noParams,
    body: undefined,
    reply: UserReply,
    errors: { 400: "The user has no such property.", 404: missing },
  }),
  findUsersByProperty: defineRoute({
    method: "GET",
    path: "/user/findbyproperty/{propertykey}/{propertyvalue}",
    tag: USER,
    summary: "The users that have a property of that value.",
    versions: FROM_5_3,
    params: Type.Object({ propertykey: Type.String(), propertyvalue: Type.String() }),
    query: noParams,
    body: undefined,
    reply: Type.Array(UserReply),
  }),
  enableUser: defineRoute({
    method: "PUT",
    path: "/user/{loginname}/enabled",
    tag: USER,
    summary: "Disables a user, or enables him again. In force within two seconds, whoever is logged in.",
    versions: FROM_5_3,
    params: loginName,
    query: noParams,
    body: { kind: "json", schema: strictObject({ enabled: Type.Boolean() }) },
    reply: UserReply,
    errors: { 400: "The caller himself.", 404: missing },
  }),
  explainAccess: defineRoute({
    method: "GET",
    path: "/user/{loginname}/permissionsummary/explain",
    tag: USER,
    summary: "Why a user may or may not do something: which permission of which role, by which group.",
    versions: FROM_5_3,
    params: loginName,
    query: Type.Object({ action: Type.String({ examples: ["POST:/api/v5_3/flow/0123456789AB", "StartFlow:com.example.Pay"] }) }),
    body: undefined,
    reply: named(
      "AccessExplanation",
      Type.Object({
        loginName: Type.String(),
        action: Type.String(),
        allowed: Type.Boolean(),
        because: Type.Enum([
          "allowed",
          "denied",
          "unmatched",
          "disabled",
          "passwordExpired",
          "ownPassword",
          "actionTooLong",
          "tooMuchWork",
        ]),
        permission: nullable(Type.Object({ id: Type.String(), permissionType, permissionString: Type.String() })),
        role: nullable(Type.Object({ id: Type.String(), name: Type.String() })),
        group: nullable(Type.Object({ id: Type.String(), name: Type.String() })),
      }),
    ),
    errors: { 404: missing },
  }),
} as const;

const groups = {
  createGroup: defineRoute({
    method: "POST",
    path: "/group",
    tag: GROUP,
    summary: "Makes a group.",
    versions: FROM_5_3,
    params: noParams,
    query: noParams,
    body: {
      kind: "json",
      schema: named("CreateGroupType", strictObject({ name: Type.String(), parentGroupId: optional })),
      wrapper: "createGroupType",
    },
    statuses: [201],
    reply: GroupReply,
    errors: { 400: "The name is blank or too long.", 404: missing, 409: "There is a group of that name there." },
  }),
  getGroup: defineRoute({
    method: "GET",
    path: "/group/{groupid}",
    tag: GROUP,
    summary: "A group, with the ids of users and groups directly in it.",
    versions: FROM_5_3,
    params: groupId,
    query: noParams,
    body: undefined,
    reply: named(
      "GroupContentResponseType",
      Type.Object({ ...group, users: Type.Array(Type.String()), subgroups: Type.Array(Type.String()) }),
    ),
    errors: { 404: missing },
  }),
  deleteGroup: defineRoute({
    method: "DELETE",
    path: "/group/{groupid}",
    tag: GROUP,
    summary: "Deletes an empty group.",
    versions: FROM_5_3,
    params: groupId,
    query: noParams,
    body: undefined,
    reply: GroupReply,
    errors: { 404: missing, 409: "It is not empty." },
  }),
  moveGroup: defineRoute({
    method: "PUT",
    path: "/group/{groupid}/parent/changeparentid/{newparentgroupid}",
    tag: GROUP,
    summary: "Moves a group below another.",
    versions: FROM_5_3,
    params: Type.Object({ groupid: Type.String(), newparentgroupid: Type.String() }),
    query: noParams,
    body: undefined,
    reply: GroupReply,
    errors: { 400: "It would be below itself.", 403: ceiling, 404: missing, 409: "There is a group of that name there." },
  }),
  assignGroupRole: defineRoute({
    method: "PUT",
    path: "/group/{groupid}/role/{roleid}",
    tag: GROUP,
    summary: "Gives a group a role.",
    versions: FROM_5_3,
    params: Type.Object({ groupid: Type.String(), roleid: Type.String() }),
    query: noParams,
    body: undefined,
    reply: GroupReply,
    errors: { 403: ceiling, 404: missing, 409: "The group has the role." },
  }),
  withdrawGroupRole: defineRoute({
    method: "DELETE",
    path: "/group/{groupid}/role/{roleid}",
    tag: GROUP,
    summary: "Takes a role from a group.",
    versions: FROM_5_3,
    params: Type.Object({ groupid: Type.String(), roleid: Type.String() }),
    query: noParams,
    body: undefined,
    reply: GroupReply,
    errors: { 400: "The group has no such role.", 403: ceiling, 404: missing },
  }),
} as const;

const roleAndPermission = Type.Object({ roleid: Type.String(), permissionid: Type.String() });

const roles = {
  listRoles: defineRoute({
    method: "GET",
    path: "/role",
    tag: ROLE,
    summary: "All roles.",
    params: noParams,
    query: noParams,
    body: undefined,
    reply: Type.Array(RoleReply),
  }),
  createRole: defineRoute({
    method: "POST",
    path: "/role",
    tag: ROLE,
    summary: "Makes a role.",
    params: noParams,
    query: noParams,
    body: {
      kind: "json",
      schema: named("CreateRoleType", strictObject({ roleName: Type.String(), groupVisibility: optional })),
      wrapper: "createRoleType",
    },
    statuses: [201],
    reply: RoleReply,
    errors: { 400: "The name is blank or too long.", 404: "There is no such group." },
  }),
  getRole: defineRoute({
    method: "GET",
    path: "/role/{id}",
    tag: ROLE,
    summary: "A role.",
    params: Type.Object({ id: Type.String() }),
    query: noParams,
    body: undefined,
    reply: RoleReply,
    errors: { 404: missing },
  }),
  attachPermission: defineRoute({
    method: "PUT",
    path: "/role/{roleid}/permission/{permissionid}",
    tag: ROLE,
    summary: "Gives a role a permission.",
    params: roleAndPermission,
    query: noParams,
    body: undefined,
    reply: RoleReply,
    errors: { 400: "A denial for the system administrators.", 403: ceiling, 404: missing, 409: "The role has the permission." },
  }),
  detachPermission: defineRoute({
    method: "DELETE",
    path: "/role/{roleid}/permission/{permissionid}",
    tag: ROLE,
    summary: "Takes a permission from a role.",
    params: roleAndPermission,
    query: noParams,
    body: undefined,
    reply: RoleReply,
    errors: { 400: "The role has no such permission, or is the system administrators'.", 403: ceiling, 404: missing },
  }),
} as const;

const permissions = {
  queryPermissions: defineRoute({
    method: "GET",
    path: "/permission",
    tag: PERMISSION,
    summary: "Permissions. A filter that is left out asks for permissions that have no such value.",
    params: noParams,
    query: Type.Object({
      limit: Type.Integer({ minimum: 1, maximum: 1_000 }),
      permissiontype: permissionType,
      groupvisibility: Type.Optional(Type.String()),
      virtualnode: Type.Optional(Type.String()),
      permissionstringprefix: Type.Optional(Type.String()),
    }),
    body: undefined,
    reply: Type.Array(PermissionReply),
    errors: { 400: "limit is not from 1 to 1000, or permissiontype neither ALLOW nor DENY." },
  }),
  createPermission: defineRoute({
    method: "POST",
    path: "/permission",
    tag: PERMISSION,
    summary: "Makes a permission.",
    params: noParams,
    query: noParams,
    body: { kind: "json", schema: CreatePermission, wrapper: "createPermissionType" },
    statuses: [201],
    reply: PermissionReply,
    errors: { 400: "permissionString is no regular expression that permissions can have.", 404: "There is no such group." },
  }),
  createPermissions: defineRoute({
    method: "POST",
    path: "/permission/bulk",
    tag: PERMISSION,
    summary: "Makes several permissions and gives all of them to each role, or does nothing.",
    params: noParams,
    query: noParams,
    body: {
      kind: "json",
      schema: named(
        "BulkCreatePermissionsRequestType",
        strictObject({ permissionsToCreate: Type.Array(CreatePermission), roleIds: Type.Array(Type.String()) }),
      ),
      wrapper: "request",
    },
    statuses: [201],
    reply: named(
      "BulkCreatePermissionsResponseType",
      Type.Object({ permissionIds: Type.Array(Type.String()), roleIds: Type.Array(Type.String()) }),
    ),
    errors: { 400: "No permission, a bad one, or an unknown role.", 403: ceiling },
  }),
  getPermission: defineRoute({
    method: "GET",
    path: "/permission/{id}",
    tag: PERMISSION,
    summary: "A permission.",
    params: Type.Object({ id: Type.String() }),
    query: noParams,
    body: undefined,
    reply: PermissionReply,
    errors: { 404: missing },
  }),
} as const;

const audit = {
  listAccessChanges: defineRoute({
    method: "GET",
    path: "/audit/access",
    tag: "Audit",
    summary: "Who changed what of users, groups, roles and permissions, the newest first.",
    versions: FROM_5_3,
    params: noParams,
    query: Type.Object({
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "100 where nothing is said." })),
      before: Type.Optional(Type.Integer({ minimum: 1, description: "The entry that the page before ended with." })),
      actor: Type.Optional(Type.String()),
      changetype: Type.Optional(Type.String({ examples: ["ADD_ROLE_TO_USER"] })),
    }),
    body: undefined,
    reply: named(
      "AccessChanges",
      Type.Object({
        changes: Type.Array(
          named(
            "AccessChange",
            Type.Object({
              seq: Type.Integer(),
              timestamp: instant,
              actor: Type.String(),
              changeType: Type.String(),
              details: Type.String(),
            }),
          ),
        ),
      }),
    ),
    errors: { 400: "A bad limit or entry." },
  }),
} as const;

export const accessOperations = { ...users, ...groups, ...roles, ...permissions, ...audit } as const;
