// Database users and their passwords: those of config derive from the secrets root, so that any db worker finds them; all
// others are random and stored, encrypted under the secrets root.

import { decoder, type Instant, invariant, type Sql, utf8 } from "@bowline/base";
import {
  CONFIG_DATABASE,
  type DatabasePlan,
  ensureConnection,
  loadConnection,
  type Privilege,
  type StoredConnection,
  type UserKind,
  userName,
} from "@bowline/cluster";
import { decryptSecret, encryptSecret, hmacSha256, parseSecret, type RootKey } from "@bowline/crypto";
import Type from "typebox";
import type { ConnectionDetails } from "../services.ts";

const PASSWORD_BYTES = 24;

/** Where the cluster's database is. Stored connections do not repeat it: an embedded server moves with its folder. */
export type Place = Pick<ConnectionDetails, "host" | "port" | "database">;

const decodeConfig = decoder(
  Type.Object({ server: Type.Literal("cluster"), schema: Type.String(), user: Type.String(), password: Type.Unknown() }),
  "stored connection",
);

export interface ConnectionBook {
  config(kind: UserKind): ConnectionDetails;
  /** The connection of that name, made with a new password where there is none. */
  ensure(
    sql: Sql,
    plan: DatabasePlan,
    privilege: Privilege,
    kind: UserKind,
    now: Instant,
  ): Promise<{ readonly id: string; readonly details: ConnectionDetails }>;
  find(sql: Sql, name: string, privilege: Privilege): Promise<ConnectionDetails | undefined>;
}

export function createConnectionBook(place: Place, root: RootKey, random: (length: number) => Uint8Array): ConnectionBook {
  const detailsOf = (stored: StoredConnection): ConnectionDetails => {
    const { schema, user, password } = decodeConfig(JSON.parse(stored.config));
    return { ...place, schema, user, password: decryptSecret(root, rowOf(stored), parseSecret(password)) };
  };
  return {
    config(kind) {
      const user = userName(place.database, CONFIG_DATABASE.schema, kind);
      const password = base64url(hmacSha256(root.key.export(), utf8(`database password of ${user}`)));
      return { ...place, schema: CONFIG_DATABASE.schema, user, password };
    },
    async ensure(sql, plan, privilege, kind, now) {
      invariant(plan.connection !== undefined, "config's own connection is not stored");
      const row = { name: plan.connection, privilege };
      const config = JSON.stringify({
        server: "cluster",
        schema: plan.schema,
        user: userName(place.database, plan.schema, kind),
        password: encryptSecret(root, rowOf(row), base64url(random(PASSWORD_BYTES)), random),
      });
      const stored =
        (await loadConnection(sql, row.name, privilege)) ??
        (await ensureConnection(sql, { ...row, config, description: plan.description }, now));
      return { id: stored.id, details: detailsOf(stored) };
    },
    async find(sql, name, privilege) {
      const stored = await loadConnection(sql, name, privilege);
      return stored === undefined ? undefined : detailsOf(stored);
    },
  };
}

const rowOf = ({ name, privilege }: { readonly name: string; readonly privilege: Privilege }) => ["db_connection", name, privilege];

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");
