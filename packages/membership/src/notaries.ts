// Notary services in group parameters: who runs them, and under which key.
//
// Guarantees: a service is listed only when as many members run it as must sign; what its key was stays listed; nobody who runs
// it is dropped.

import { isDeepStrictEqual } from "node:util";
import { BowlineError, type Instant, invariant, type X500Name } from "@bowline/base";
import { composeKeys } from "@bowline/crypto";
import type { GroupParameters, NotaryInfo, PublicKeyText } from "@bowline/sdk";
import type { StaticNotary } from "./group-policy.ts";
import type { Member } from "./member.ts";

/** A member that runs a notary service, with its own notary key. */
export interface NotaryRunner {
  readonly member: X500Name;
  readonly key: PublicKeyText;
}

/**
 * The next epoch, with this notary service as these members run it; the same parameters where nothing changes, or where they
 * are fewer than must sign. What its key was goes on being its key for the transactions that name it.
 */
export function withNotary(
  parameters: GroupParameters,
  notary: StaticNotary,
  runners: readonly NotaryRunner[],
  now: Instant,
): GroupParameters {
  if (runners.length < notary.signaturesRequired) return parameters;
  const there = parameters.notaries.find(({ name }) => name === notary.serviceName);
  const key = serviceKey(notary, runners);
  const members = runners.map(({ member }) => member).sort();
  if (there !== undefined) {
    if (there.key === key) return parameters;
    const lost = there.members.find((member) => !members.includes(member));
    if (lost !== undefined)
      throw new BowlineError("conflict", "membership.notaryServiceTaken", `The notary service ${there.name} is run by ${lost}.`, {
        service: there.name,
      });
  }
  const formerKeys = there === undefined ? [] : [there.key, ...(there.formerKeys ?? [])];
  const entry: NotaryInfo = {
    name: notary.serviceName,
    key,
    ...(formerKeys.length === 0 ? {} : { formerKeys }),
    protocol: notary.flowProtocolName,
    ...(isDeepStrictEqual(notary.flowProtocolVersions, [1]) ? {} : { versions: notary.flowProtocolVersions }),
    backchainRequired: notary.backchainRequired,
    ...(notary.requesterSigns ? { requesterSigns: true } : {}),
    members,
  };
  const others = parameters.notaries.filter(({ name }) => name !== entry.name);
  return { ...parameters, epoch: parameters.epoch + 1, modifiedAt: now, notaries: [...others, entry] };
}

function serviceKey({ signaturesRequired }: StaticNotary, runners: readonly NotaryRunner[]): PublicKeyText {
  const [first, ...more] = runners;
  invariant(first !== undefined, "a service has as many runners as must sign, and one at least");
  if (more.length === 0) return first.key;
  return composeKeys({ threshold: signaturesRequired, children: runners.map(({ key }) => ({ key, weight: 1 })) });
}

/** The key under which a member speaks as a notary; undefined where it is none. */
export function notaryKeyOfMember({ memberContext }: Pick<Member, "memberContext">): PublicKeyText | undefined {
  return memberContext["corda.notary.keys.0.pem"]?.replace(/-----[A-Z ]+-----|\s/g, "");
}
