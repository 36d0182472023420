// What all members of a group agree on. Every change is a new epoch; the canonical bytes are what is signed, and their
// hash is what transactions name.

import {
  BowlineError,
  type Data,
  type Decoder,
  decode,
  decoder,
  encode,
  type Instant,
  type SecureHash,
  type X500Name,
} from "@bowline/base";
import { secureHashOf } from "@bowline/crypto";
import type { GroupParameters, NotaryInfo, PublicKeyText } from "@bowline/sdk";
import Type from "typebox";
import type { StaticNetworkPolicy, StaticNotary } from "./group-policy.ts";
import { type Context, publicKeyPem } from "./member.ts";

const shape = decoder(
  Type.Object(
    {
      groupId: Type.String(),
      epoch: Type.Integer({ minimum: 1 }),
      modifiedAt: Type.Integer(),
      minimumPlatformVersion: Type.Integer(),
      notaries: Type.Array(
        Type.Object(
          {
            name: Type.String(),
            key: Type.String(),
            protocol: Type.String(),
            backchainRequired: Type.Boolean(),
            members: Type.Array(Type.String()),
          },
          { additionalProperties: false },
        ),
      ),
      extensions: Type.Optional(Type.Record(Type.String(), Type.String())),
    },
    { additionalProperties: false },
  ),
  "group parameters",
) as Decoder<unknown> as Decoder<GroupParameters>;

export function firstParameters(policy: StaticNetworkPolicy, now: Instant): GroupParameters {
  const { groupId, minimumPlatformVersion, extensions } = policy;
  return {
    groupId,
    epoch: 1,
    modifiedAt: now,
    minimumPlatformVersion,
    notaries: [],
    ...(Object.keys(extensions).length === 0 ? {} : { extensions }),
  };
}

/** The next epoch, with this member's notary service in it; the same parameters where it is there already. */
export function withNotary(
  parameters: GroupParameters,
  notary: StaticNotary & { readonly member: X500Name; readonly key: PublicKeyText },
  now: Instant,
): GroupParameters {
  const entry: NotaryInfo = {
    name: notary.serviceName,
    key: notary.key,
    protocol: notary.flowProtocolName,
    backchainRequired: notary.backchainRequired,
    members: [notary.member],
  };
  const there = parameters.notaries.find(({ name }) => name === entry.name);
  if (there !== undefined) {
    if (there.key === entry.key && there.members.includes(notary.member)) return parameters;
    throw new BowlineError(
      "conflict",
      "membership.notaryServiceTaken",
      `The notary service ${entry.name} is run by ${there.members.join("; ")}.`,
      {
        service: entry.name,
      },
    );
  }
  return { ...parameters, epoch: parameters.epoch + 1, modifiedAt: now, notaries: [...parameters.notaries, entry] };
}

export const encodeParameters = (parameters: GroupParameters): Uint8Array => encode(parameters as unknown as Data);

export const decodeParameters = (bytes: Uint8Array): GroupParameters => shape(decode(bytes));

export const parametersHash = (bytes: Uint8Array): SecureHash => secureHashOf(bytes);

/** As REST shows them: one flat map of text. */
export function flatParameters(parameters: GroupParameters): Context {
  const entries: [string, string][] = [];
  parameters.notaries.forEach((notary, n) => {
    const prefix = `corda.notary.service.${n}`;
    entries.push(
      [`${prefix}.name`, notary.name],
      [`${prefix}.flow.protocol.name`, notary.protocol],
      [`${prefix}.flow.protocol.version.0`, "1"],
      [`${prefix}.backchain.required`, String(notary.backchainRequired)],
      [`${prefix}.keys.0`, publicKeyPem(notary.key)],
    );
  });
  return {
    ...parameters.extensions,
    "corda.minimum.platform.version": String(parameters.minimumPlatformVersion),
    ...Object.fromEntries(entries),
    "corda.epoch": String(parameters.epoch),
    "corda.modifiedTime": new Date(parameters.modifiedAt).toISOString(),
  };
}
