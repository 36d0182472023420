// What a transaction needs of the parameters that its group agreed on. Whoever hands them over has checked who signed them
// (the membership role, against the group policy); here their bytes must have the hash that the transaction names.

import { badRequest, decode, decoder, type SecureHash, type X500Name } from "@bowline/base";
import { LEDGER_DIGESTS, type LedgerDigest, secureHashOf } from "@bowline/crypto";
import type { GroupParameters, NotaryInfo, PublicKeyText } from "@bowline/sdk";
import Type from "typebox";

const Name = Type.Unsafe<X500Name>(Type.String({ minLength: 1, maxLength: 1_024 }));
const readGroupParameters = decoder(
  Type.Object(
    {
      groupId: Type.String(),
      epoch: Type.Integer({ minimum: 1 }),
      modifiedAt: Type.Integer({ minimum: 0 }),
      minimumPlatformVersion: Type.Integer({ minimum: 0 }),
      notaries: Type.Array(
        Type.Object({
          name: Name,
          key: Type.String(),
          formerKeys: Type.Optional(Type.Array(Type.String())),
          protocol: Type.String(),
          versions: Type.Optional(Type.Array(Type.Integer({ minimum: 1 }), { minItems: 1 })),
          backchainRequired: Type.Boolean(),
          requesterSigns: Type.Optional(Type.Boolean()),
          members: Type.Array(Name),
        }),
      ),
    },
    { additionalProperties: true },
  ),
  "group parameters",
);

export const groupParametersHash = (bytes: Uint8Array): SecureHash => secureHashOf(bytes);

/** Throws where the bytes are not the parameters of that hash. */
export function decodeGroupParameters(bytes: Uint8Array, hash?: SecureHash): GroupParameters {
  const parameters: GroupParameters = readGroupParameters(decode(bytes));
  if (hash !== undefined && groupParametersHash(bytes) !== hash)
    throw badRequest("ledger.groupParametersWrong", `Group parameters of epoch ${parameters.epoch} do not have the hash ${hash}.`, {
      hash,
    });
  return parameters;
}

export const notaryOf = ({ notaries }: GroupParameters, name: X500Name): NotaryInfo | undefined =>
  notaries.find((notary) => notary.name === name);

/** What a transaction under this notary names as its key today. */
export const notaryKeyOf = (parameters: GroupParameters, name: X500Name): PublicKeyText | undefined => notaryOf(parameters, name)?.key;

/** Every key under which this notary's word holds: today's, and those it had before. */
export const notaryKeysOf = ({ key, formerKeys = [] }: NotaryInfo): readonly PublicKeyText[] => [key, ...formerKeys];

/** What a group says to have its transactions hashed with another digest than SHA-256. */
export const DIGEST_EXTENSION = "ext.bowline.ledger.digest";

/** The digest of all transactions under these parameters. Throws `ledger.digestUnknown`. */
export function digestOfGroup({ extensions }: GroupParameters): LedgerDigest {
  const chosen = extensions?.[DIGEST_EXTENSION] ?? "SHA-256";
  const digest = LEDGER_DIGESTS.find((name) => name === chosen);
  if (digest !== undefined) return digest;
  throw badRequest("ledger.digestUnknown", `The group chose ${chosen}, and the ledger allows ${LEDGER_DIGESTS.join(", ")}.`, {
    digest: chosen,
  });
}
