// What the commands about users share: roles and groups by name or id, and passwords that are typed unseen.

import type { Connection, ReplyTo } from "./connection.ts";
import { type Terminal, usage } from "./terminal.ts";

export type UserReply = ReplyTo<"getUser">;
export type RoleReply = ReplyTo<"getRole">;

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The role of this id, or the only one of this name. */
export async function roleOf(connection: Connection, text: string): Promise<RoleReply> {
  if (ID.test(text)) return connection.call("getRole", { params: { id: text } });
  const named = (await connection.call("listRoles", {})).filter(({ roleName }) => roleName === text);
  const [role, ...others] = named;
  if (role === undefined) throw usage("role", `There is no role "${text}": bowline role list shows them.`);
  if (others.length > 0) throw usage("role", `${named.length} roles are called "${text}": name one by its id, of bowline role list.`);
  return role;
}

/** Names of roles by their ids, so that people need not read ids. */
export async function roleNames(connection: Connection): Promise<ReadonlyMap<string, string>> {
  return new Map((await connection.call("listRoles", {})).map(({ id, roleName }) => [id, roleName] as const));
}

/** From BOWLINE_NEW_PASSWORD, or typed twice. */
export async function newPassword(terminal: Terminal, user: string): Promise<string> {
  const given = terminal.environment["BOWLINE_NEW_PASSWORD"];
  if (given !== undefined) return given;
  if (!terminal.canAsk) throw usage("password", `The new password of ${user} is needed: set BOWLINE_NEW_PASSWORD.`);
  const first = await terminal.askSecret(`New password of ${user}`);
  if (first === undefined) throw usage("password", "No password was given.");
  if ((await terminal.askSecret("The same again")) !== first) throw usage("password", "The two passwords differ; nothing was changed.");
  return first;
}
