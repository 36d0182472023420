// Static networks: who joins, and what the network agrees on. Group parameters are signed by a key that the crypto role
// holds under the tenant p2p; each epoch is computed, signed and stored, and computed anew if somebody else was faster.

import { type Database, invariant, type Sql } from "@bowline/base";
import { DEFAULT_SCHEME } from "@bowline/crypto";
import {
  decodeParameters,
  encodeParameters,
  firstParameters,
  loadMembers,
  loadParameters,
  loadStaticNetwork,
  type StaticNetwork,
  type StaticNetworkPolicy,
  type StaticNotary,
  saveParameters,
  saveStaticNetwork,
} from "@bowline/membership";
import { type NotaryRunner, notaryKeyOfMember, withNotary } from "@bowline/membership/notaries";
import type { GroupParameters, PublicKeyText, SignedGroupParameters } from "@bowline/sdk";
import type { CryptoService } from "../services.ts";

const TENANT = "p2p";
/** Epochs that others may make while we make one. */
const ATTEMPTS_MAX = 10;

type Keys = Pick<CryptoService, "generateKey" | "sign">;

/** The network of this policy: made with its first parameters where it is new. */
export async function ensureStaticNetwork(
  config: Database,
  crypto: Keys,
  policy: StaticNetworkPolicy,
  now: number,
): Promise<StaticNetwork> {
  const { groupId } = policy;
  const known = await loadStaticNetwork(config.sql, groupId);
  if (known !== undefined && (await loadParameters(config.sql, groupId, null)) !== null) return known;
  const { publicKey } = await crypto.generateKey({
    tenant: TENANT,
    alias: `static-network-${groupId}`,
    category: "SESSION_INIT",
    scheme: DEFAULT_SCHEME,
  });
  const signed = await signParameters(crypto, publicKey, firstParameters(policy, now));
  await config.transaction(async (sql) => {
    await saveStaticNetwork(sql, { groupId, signingKey: publicKey });
    await saveParameters(sql, signed);
  });
  return { groupId, signingKey: publicKey };
}

/**
 * A new epoch with this notary service as all its registered members run it, unless it is in force already. Whoever registers is
 * saved before this is asked for: of two that register at once, the later one finds both.
 */
export async function admitNotary(config: Database, crypto: Keys, groupId: string, notary: StaticNotary, now: number): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const current = await inForce(config.sql, groupId);
    const parameters = decodeParameters(current.bytes);
    const runners = (await loadMembers(config.sql, groupId))
      .filter(({ info }) => info.notaryService === notary.serviceName)
      .flatMap((member): NotaryRunner[] => {
        const key = notaryKeyOfMember(member);
        return key === undefined ? [] : [{ member: member.info.name, key }];
      });
    const next = withNotary(parameters, notary, runners, now);
    if (next === parameters) return;
    if (await saveParameters(config.sql, await signParameters(crypto, current.signedBy, next))) return;
  }
  invariant(false, `group ${groupId} changes its parameters faster than a notary can join`);
}

async function inForce(sql: Sql, groupId: string): Promise<SignedGroupParameters> {
  const current = await loadParameters(sql, groupId, null);
  invariant(current !== null, `the static network ${groupId} has parameters since its first upload`);
  return current;
}

async function signParameters(crypto: Keys, signedBy: PublicKeyText, parameters: GroupParameters): Promise<SignedGroupParameters> {
  const bytes = encodeParameters(parameters);
  const { signature } = await crypto.sign({ tenant: TENANT, publicKey: signedBy, purpose: "group-parameters", parts: { bytes } });
  return { bytes, signature, signedBy };
}
