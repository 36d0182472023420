// The crypto role: the only one that can open a private key.
//
// Guarantees: a key leaves it in one case, a TLS server's, sealed to the boot key of the role that serves with it; it signs
// preimages of its own making, each for the role that the purpose belongs to; keys are made and changed for the db role only.

import { BowlineError, type Clock, type Log, parseShortHash } from "@bowline/base";
import { type BootKey, deriveRoot, KeyRing, keyStore, parseScheme } from "@bowline/crypto";
import type { Answering } from "../calls.ts";
import type { Granted } from "../grants.ts";
import type { RootSecret } from "../home.ts";
import { createRoleDatabases } from "../role-databases.ts";
import { sealTlsKey } from "../sealed-tls-key.ts";
import type { Caller, CryptoService, LogicalDatabase, RoleName } from "../services.ts";
import { signingOf } from "./signing.ts";
import { tlsIdentity } from "./tls-identity.ts";

const CONNECTIONS_PER_DATABASE_MAX = 2;
const ROOT_ALIAS = "root1";
const LOCAL_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "::1"];
/** Tenants that are no virtual node. */
const CLUSTER_TENANTS: readonly string[] = ["p2p", "rest", "crypto"];
const TLS_TENANT: Readonly<Partial<Record<RoleName, string>>> = { rest: "rest", "p2p-gateway": "p2p" };

export interface CryptoRole {
  readonly service: Answering<CryptoService>;
  close(): Promise<void>;
}

export async function createCryptoRole(options: {
  readonly keyRoot: RootSecret;
  readonly db: Granted<"crypto">["db"];
  readonly bootKey: BootKey;
  readonly clock: Clock;
  readonly random: (length: number) => Uint8Array;
  readonly log: Log;
  /** Names and addresses at which this cluster's TLS servers answer; the first is the common name. */
  readonly tlsHosts?: readonly string[];
}): Promise<CryptoRole> {
  const { clock, random, log, tlsHosts = LOCAL_HOSTS } = options;
  const databases = createRoleDatabases({ db: options.db, bootKey: options.bootKey, connectionsMax: CONNECTIONS_PER_DATABASE_MAX, log });
  const root = await deriveRoot({ purpose: "keys", alias: ROOT_ALIAS, ...options.keyRoot });
  const keys = new KeyRing({
    roots: [root],
    defaultRoot: ROOT_ALIAS,
    storeOf: async (tenant) => keyStore(await databases.get(databaseOf(tenant))),
    env: () => ({ now: clock.now(), random }),
  });
  return { service: cryptoService({ keys, clock, random, tlsHosts }), close: () => databases.close() };
}

interface CryptoParts {
  readonly keys: KeyRing;
  readonly clock: Pick<Clock, "now">;
  readonly random: (length: number) => Uint8Array;
  readonly tlsHosts: readonly string[];
}

export function cryptoService({ keys, clock, random, tlsHosts }: CryptoParts): Answering<CryptoService> {
  const filterMine = batched((tenant, publicKeys) => keys.filterMine(tenant, publicKeys));
  return {
    async generateKey({ tenant, alias, category, scheme }, caller) {
      only(caller, ["db", "membership"], "make keys");
      const { id, publicKey } = await keys.generate({ tenant, alias, category, scheme: parseScheme(scheme) });
      return { id, publicKey };
    },

    async filterMyKeys({ tenant, keys: publicKeys }, caller) {
      only(caller, ["flow"], "ask whose keys are whose");
      const mine = await filterMine(tenant, publicKeys);
      return { keys: publicKeys.filter((publicKey) => mine.has(publicKey)) };
    },

    async sign(request, caller) {
      const { reply, ...signing } = signingOf(request, caller);
      const { tenant, publicKey } = request;
      return { signature: reply(await keys.sign({ tenant, publicKey, ...signing })) };
    },

    async releaseTls({ tenant, sealTo }, caller) {
      if (TLS_TENANT[caller.role] !== tenant) throw refused(caller, `have the TLS key of ${tenant}`);
      const { keyPem, chainPem } = await tlsIdentity(keys, { tenant, hosts: tlsHosts, now: clock.now(), random });
      return { sealed: sealTlsKey(sealTo, keyPem), chainPem };
    },
  };
}

/** Where a tenant's keys are kept. */
function databaseOf(tenant: string): LogicalDatabase {
  if (CLUSTER_TENANTS.includes(tenant)) return { kind: "crypto" };
  const vnode = parseShortHash(tenant);
  if (vnode !== undefined) return { kind: "vnode-crypto", vnode };
  throw new BowlineError(
    "badRequest",
    "crypto.tenantUnknown",
    `There is no tenant "${tenant}": it is a virtual node's short hash, or ${CLUSTER_TENANTS.join(", ")}.`,
    {
      tenant,
    },
  );
}

function only(caller: Caller, roles: readonly RoleName[], what: string): void {
  if (!roles.includes(caller.role)) throw refused(caller, what);
}

const refused = ({ role }: Caller, what: string) =>
  new BowlineError("forbidden", "crypto.callerRefused", `Role ${role} may not ${what}.`, { role });

type Find = (tenant: string, publicKeys: readonly string[]) => Promise<readonly string[]>;

/** Asks once for what is asked of one tenant in one turn of the event loop. */
function batched(find: Find): (tenant: string, publicKeys: readonly string[]) => Promise<ReadonlySet<string>> {
  const waiting = new Map<string, { readonly publicKeys: Set<string>; readonly answer: Promise<ReadonlySet<string>> }>();
  return (tenant, publicKeys) => {
    let batch = waiting.get(tenant);
    if (batch === undefined) {
      const asked = new Set<string>();
      const answer = new Promise<void>((turned) => setImmediate(turned)).then(async () => {
        waiting.delete(tenant);
        return new Set(await find(tenant, [...asked]));
      });
      batch = { publicKeys: asked, answer };
      waiting.set(tenant, batch);
    }
    for (const publicKey of publicKeys) batch.publicKeys.add(publicKey);
    return batch.answer;
  };
}
