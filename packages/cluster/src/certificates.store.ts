import type { ShortHash, Sql } from "@bowline/base";
import type { CertificateUsage } from "./certificates.ts";

/** The owner's certificates of one usage; `vnode` null means the cluster's own. */
interface Scope {
  readonly usage: CertificateUsage;
  readonly vnode: ShortHash | null;
}

/** A chain under an alias that is there replaces it. */
export async function saveCertificate(sql: Sql, { usage, vnode }: Scope, alias: string, pem: string): Promise<void> {
  await sql.query(
    {
      name: "certificate_put",
      text: `INSERT INTO cluster_certificate (usage, holding_identity_id, alias, raw_certificate) VALUES ($1, $2, $3, $4)
             ON CONFLICT (usage, holding_identity_id, alias) DO UPDATE SET raw_certificate = excluded.raw_certificate`,
    },
    [usage, vnode ?? "", alias, pem],
  );
}

export async function loadCertificates(
  sql: Sql,
  { usage, vnode }: Scope,
): Promise<readonly { readonly alias: string; readonly pem: string }[]> {
  const rows = await sql.query<{ alias: string; raw_certificate: string }>(
    {
      name: "certificate_list",
      text: "SELECT alias, raw_certificate FROM cluster_certificate WHERE usage = $1 AND holding_identity_id = $2 ORDER BY alias",
    },
    [usage, vnode ?? ""],
  );
  return rows.map((row) => ({ alias: row.alias, pem: row.raw_certificate }));
}
