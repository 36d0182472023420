// Groups of users, below each other: whoever is in one has its roles and those of all above it.

import { BowlineError, badRequest, type Database } from "@bowline/base";
import { type Change, type Changes, requireGroup, requireRole } from "./access-change.store.ts";
import { loadLine, loadPermissionsOfRole } from "./access-rows.store.ts";
import { changePlace } from "./users.store.ts";
import { absent, checkName, clash, type Group } from "./users.ts";

export interface GroupAdministration {
  createGroup(request: { readonly name: string; readonly parentGroupId: string | null; readonly actor: string }): Promise<Group>;
  group(request: { readonly id: string }): Promise<Group>;
  deleteGroup(request: { readonly id: string; readonly actor: string }): Promise<Group>;
  moveGroup(request: { readonly id: string; readonly parent: string; readonly actor: string }): Promise<Group>;
  assignGroupRole(request: { readonly id: string; readonly role: string; readonly actor: string }): Promise<Group>;
  withdrawGroupRole(request: { readonly id: string; readonly role: string; readonly actor: string }): Promise<Group>;
}

export function createGroupAdministration(rbac: Database, changes: Changes): GroupAdministration {
  const update: Update = (actor, id, work) =>
    changes(actor, async (change) => {
      const group = await requireGroup(change.sql, id);
      await work(change, group);
      await change.sql.query("UPDATE rbac_group SET version = version + 1, update_ts = $2 WHERE id = $1", [group.id, change.now]);
      return requireGroup(change.sql, id);
    });

  return {
    async createGroup({ actor, name, parentGroupId }) {
      checkName("name", name);
      return changes(actor, async ({ sql, now, audit }) => {
        if (parentGroupId !== null) await requireGroup(sql, parentGroupId);
        await nameIsFree(sql, name, parentGroupId);
        const [made] = await sql.query<{ id: string }>(
          "INSERT INTO rbac_group (update_ts, version, name, parent_group) VALUES ($1, 0, $2, $3) RETURNING id",
          [now, name, parentGroupId],
        );
        const id = made?.id ?? "";
        await audit("GROUP_INSERT", `Group ${name} (${id})${parentGroupId === null ? "" : ` below ${parentGroupId}`}`);
        return requireGroup(sql, id);
      });
    },
    group: ({ id }) => requireGroup(rbac.sql, id),
    deleteGroup: ({ actor, id }) =>
      changes(actor, async ({ sql, audit }) => {
        const group = await requireGroup(sql, id);
        const [seen] = await sql.query<{ visible: boolean }>(
          "SELECT EXISTS (SELECT 1 FROM rbac_role WHERE group_vis = $1) OR EXISTS (SELECT 1 FROM rbac_perm WHERE group_vis = $1) AS visible",
          [group.id],
        );
        if (group.users.length > 0 || group.subgroups.length > 0 || seen?.visible === true)
          throw new BowlineError(
            "conflict",
            "access.groupInUse",
            `Group ${group.name} has users, groups, roles or permissions of its own: only an empty one is deleted.`,
            { id: group.id },
          );
        await sql.query("DELETE FROM rbac_group WHERE id = $1", [group.id]);
        await audit("GROUP_DELETE", `Group ${group.name} (${group.id})`);
        return group;
      }),
    moveGroup: ({ actor, id, parent }) =>
      update(actor, id, async (change, group) => {
        const above = await requireGroup(change.sql, parent);
        if ((await loadLine(change.sql, above.id)).includes(group.id))
          throw badRequest("access.groupCycle", `Group ${group.name} cannot be below itself.`, { id: group.id, parent: above.id });
        await changePlace(change, `Group ${group.name}`, group.parentGroupId, above.id);
        if (above.id !== group.parentGroupId) await nameIsFree(change.sql, group.name, above.id);
        await change.sql.query("UPDATE rbac_group SET parent_group = $2 WHERE id = $1", [group.id, above.id]);
        await change.audit("GROUP_UPDATE", `Group ${group.name} (${group.id}) below ${above.id}`);
      }),
    ...groupRoles(update),
  };
}

type Update = (actor: string, id: string, work: (change: Change, group: Group) => Promise<void>) => Promise<Group>;

function groupRoles(update: Update): Pick<GroupAdministration, "assignGroupRole" | "withdrawGroupRole"> {
  return {
    assignGroupRole: ({ actor, id, role }) =>
      update(actor, id, async (change, group) => {
        const { id: roleId, roleName } = await requireRole(change.sql, role);
        change.give(`Role ${roleName} cannot be assigned`, await loadPermissionsOfRole(change.sql, roleId));
        const added = await change.sql.query(
          "INSERT INTO rbac_role_group_rel (group_id, role_id, update_ts) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1",
          [group.id, roleId, change.now],
        );
        if (added.length === 0) throw clash(`Group ${group.name} has the role ${roleName} already.`, { id: group.id, roleId });
        await change.audit("ADD_ROLE_TO_GROUP", `Role ${roleName} (${roleId}) to group ${group.name} (${group.id})`);
      }),
    withdrawGroupRole: ({ actor, id, role }) =>
      update(actor, id, async (change, group) => {
        const { id: roleId, roleName } = await requireRole(change.sql, role);
        change.release(`Role ${roleName} cannot be withdrawn`, await loadPermissionsOfRole(change.sql, roleId));
        const gone = await change.sql.query("DELETE FROM rbac_role_group_rel WHERE group_id = $1 AND role_id = $2 RETURNING 1", [
          group.id,
          roleId,
        ]);
        if (gone.length === 0) throw absent(`Group ${group.name} has no role ${roleName} of its own.`, { id: group.id, roleId });
        await change.audit("DELETE_ROLE_FROM_GROUP", `Role ${roleName} (${roleId}) from group ${group.name} (${group.id})`);
      }),
  };
}

async function nameIsFree(sql: Change["sql"], name: string, parent: string | null): Promise<void> {
  const [taken] = await sql.query("SELECT 1 FROM rbac_group WHERE name = $1 AND parent_group IS NOT DISTINCT FROM $2::uuid", [
    name,
    parent,
  ]);
  if (taken !== undefined) throw clash(`There is a group ${name} there already.`, { name });
}
