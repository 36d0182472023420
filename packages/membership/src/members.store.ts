// The members and parameters of static networks, in the config database.
//
// Guarantees: parameters of one group have one row per epoch, and epochs have no gaps; a member has one row per group.

import type { Sql } from "@bowline/base";
import type { MemberInfo, SignedGroupParameters } from "@bowline/sdk";
import { decodeParameters, parametersHash } from "./group-parameters.ts";
import type { Context, Member } from "./member.ts";

export interface StaticNetwork {
  readonly groupId: string;
  readonly signingKey: string;
}

export async function loadStaticNetwork(sql: Sql, groupId: string): Promise<StaticNetwork | undefined> {
  const [row] = await sql.query<{ mgm_public_signing_key: string }>(
    { name: "static_network_get", text: "SELECT mgm_public_signing_key FROM static_network_info WHERE group_id = $1" },
    [groupId],
  );
  return row === undefined ? undefined : { groupId, signingKey: row.mgm_public_signing_key };
}

/** The first upload of a group makes it; a later one finds it. */
export async function saveStaticNetwork(sql: Sql, { groupId, signingKey }: StaticNetwork): Promise<void> {
  await sql.query(
    {
      name: "static_network_put",
      text: "INSERT INTO static_network_info (group_id, mgm_public_signing_key) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    },
    [groupId, signingKey],
  );
}

/** False where this epoch exists: somebody was faster, and the caller starts from what is there now. */
export async function saveParameters(sql: Sql, signed: SignedGroupParameters): Promise<boolean> {
  const { groupId, epoch } = decodeParameters(signed.bytes);
  const rows = await sql.query(
    {
      name: "group_parameters_put",
      text: `INSERT INTO group_parameters (group_id, epoch, hash, parameters, signature, signed_by)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING epoch`,
    },
    [groupId, epoch, parametersHash(signed.bytes), signed.bytes, signed.signature, signed.signedBy],
  );
  return rows.length === 1;
}

/** Those in force, or those of one hash. */
export async function loadParameters(sql: Sql, groupId: string, hash: string | null): Promise<SignedGroupParameters | null> {
  const [row] = await sql.query<{ parameters: Uint8Array; signature: Uint8Array; signed_by: string }>(
    {
      name: "group_parameters_get",
      text: `SELECT parameters, signature, signed_by FROM group_parameters
             WHERE group_id = $1 AND ($2::text IS NULL OR hash = $2) ORDER BY epoch DESC LIMIT 1`,
    },
    [groupId, hash],
  );
  return row === undefined ? null : { bytes: row.parameters, signature: row.signature, signedBy: row.signed_by };
}

/** A member that registers again replaces what was known of it. */
export async function saveMember(sql: Sql, groupId: string, { info, serial, memberContext, mgmContext }: Member): Promise<void> {
  await sql.query(
    {
      name: "member_put",
      text: `INSERT INTO member_info (group_id, name, status, serial, info, member_context, mgm_context)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (group_id, name) DO UPDATE SET status = excluded.status, serial = excluded.serial, info = excluded.info,
               member_context = excluded.member_context, mgm_context = excluded.mgm_context`,
    },
    [groupId, info.name, info.status, serial, JSON.stringify(info), JSON.stringify(memberContext), JSON.stringify(mgmContext)],
  );
}

export async function loadMembers(sql: Sql, groupId: string): Promise<readonly Member[]> {
  const rows = await sql.query<{ serial: number; info: MemberInfo; member_context: Context; mgm_context: Context }>(
    { name: "member_list", text: "SELECT serial, info, member_context, mgm_context FROM member_info WHERE group_id = $1 ORDER BY name" },
    [groupId],
  );
  return rows.map((row) => ({ info: row.info, serial: row.serial, memberContext: row.member_context, mgmContext: row.mgm_context }));
}
