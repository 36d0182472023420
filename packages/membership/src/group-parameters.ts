// What all members of a group agree on. Every change is a new epoch; the canonical bytes are what is signed, and their
// hash is what transactions name.

import { type Data, type Decoder, decode, decoder, encode, type Instant, type SecureHash } from "@bowline/base";
import { leafKeys, secureHashOf } from "@bowline/crypto";
import type { GroupParameters } from "@bowline/sdk";
import Type from "typebox";
import type { StaticNetworkPolicy } from "./group-policy.ts";
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
            formerKeys: Type.Optional(Type.Array(Type.String())),
            protocol: Type.String(),
            versions: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1 })),
            backchainRequired: Type.Boolean(),
            requesterSigns: Type.Optional(Type.Boolean()),
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
      ...(notary.versions ?? [1]).map((version, i): [string, string] => [`${prefix}.flow.protocol.version.${i}`, String(version)]),
      [`${prefix}.backchain.required`, String(notary.backchainRequired)],
      ...leafKeys(notary.key).map((key, i): [string, string] => [`${prefix}.keys.${i}`, publicKeyPem(key)]),
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
