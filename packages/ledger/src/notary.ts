// Who a notary is, and what it reads of a request.
//
// Guarantees: the notary decides only on complete, proven lists, under its own name and key. What a client sent wrongly is no
// word on the transaction, since another may send it rightly.

import { BowlineError, type X500Name } from "@bowline/base";
import { leafKeys } from "@bowline/crypto";
import type { NotaryInfo, PublicKeyText } from "@bowline/sdk";
import { type NotaryRequest, readForNotary } from "./filter.ts";
import { notaryKeysOf } from "./group-parameters.ts";
import type { NotariseRequest, NotaryAnswer, Spend } from "./ports.ts";
import { checkSignatures, decodeSignature } from "./signatures.ts";

/** Who this notary is. */
export interface NotarySelf {
  readonly groupId: string;
  /** The service's name, as transactions write it. */
  readonly service: X500Name;
  /** The keys of the service that transactions may name: today's, and those it had before. */
  readonly serviceKeys: readonly PublicKeyText[];
  /** This virtual node's own, which signs: a service key itself, or a part of one. */
  readonly key: PublicKeyText;
  /** Whether it decides only on what it has verified. */
  readonly verifies: boolean;
  /** Whether it decides only for who shows a signatory's signature. */
  readonly requesterSigns: boolean;
}

/** Who a member is as a notary, by the group parameters; undefined where it runs none, or its key is no part of the service's. */
export function notarySelf(groupId: string, info: NotaryInfo | undefined, key: PublicKeyText | undefined): NotarySelf | undefined {
  if (info === undefined || key === undefined) return undefined;
  const serviceKeys = notaryKeysOf(info).filter((named) => leafKeys(named).includes(key));
  if (serviceKeys.length === 0) return undefined;
  const { name: service, backchainRequired, requesterSigns = false } = info;
  return { groupId, service, serviceKeys, key, verifies: !backchainRequired, requesterSigns };
}

export type Examined = { readonly kind: "spend"; readonly spend: Spend } | { readonly kind: "malformed"; readonly answer: NotaryAnswer };

export function examine(asked: NotariseRequest, self: NotarySelf): Examined {
  const { originator, filtered, mode, verified, refusal } = asked;
  let request: NotaryRequest;
  try {
    request = readForNotary(filtered);
  } catch (error) {
    if (!(error instanceof BowlineError)) throw error;
    return malformed(error.message);
  }
  const { id, groupId, notary, notaryKey, timeWindow, inputs, references, outputCount } = request;
  if (groupId !== self.groupId) return malformed(`It is of group ${groupId}; this notary serves ${self.groupId}.`);
  if (notary !== self.service) return malformed(`It names notary ${notary}; this is ${self.service}.`);
  if (!self.serviceKeys.includes(notaryKey)) return malformed(`It names a key of ${self.service} that this notary does not sign for.`);
  if (mode === "write" && (verified ?? false) !== self.verifies)
    return malformed(
      `${self.service} ${self.verifies ? "verifies, and is shown the whole transaction" : "is shown no more than it decides on"}.`,
    );
  // Who showed the whole has shown all signatures.
  if (mode === "write" && self.requesterSigns && verified !== true && !isSigned(request, asked.signature))
    return malformed(`${self.service} decides for those who show a signatory's signature.`, "notary.signatureMissing");
  const refused = refusal === undefined ? {} : { refusal };
  return { kind: "spend", spend: { transactionId: id, originator, inputs, references, outputCount, ...timeWindow, mode, ...refused } };
}

/** Whether it is one of a signatory that is shown to be one. */
function isSigned(request: NotaryRequest, signature: Uint8Array | undefined): boolean {
  if (signature === undefined) return false;
  try {
    return checkSignatures(request, [decodeSignature(signature)]).signers.length > 0;
  } catch (error) {
    if (!(error instanceof BowlineError)) throw error;
    return false;
  }
}

const malformed = (message: string, code = "notary.malformedRequest"): Examined => ({
  kind: "malformed",
  answer: { kind: "malformed", signature: new Uint8Array(), code, message },
});
