// What keys sign. Every preimage begins with its purpose, and is built or rebuilt here: no caller can have a key sign bytes
// that mean something else. Each purpose has one role that may ask for it, and the categories of key that do it.

import { BowlineError, badRequest, type Data, decode, decoder, encode, equalBytes, type SecureHash } from "@bowline/base";
import { appPreimage, preimage } from "@bowline/base/preimage";
import { type KeyCategory, keyIdOf, SCHEMES, type SignatureSpec, schemeOf } from "@bowline/crypto";
import {
  encodeSignature,
  notaryPreimage,
  parseTransactionId,
  SIGNED_AT_ONCE_MAX,
  togetherOf,
  transactionPreimage,
} from "@bowline/ledger/signing";
import Type, { type Static } from "typebox";
import type { Caller, CryptoService, RoleName } from "../services.ts";

type SignRequest = Parameters<CryptoService["sign"]>[0];

export interface Signing {
  readonly categories: readonly KeyCategory[];
  readonly bytes: Uint8Array;
  /** The default of the key's scheme where nothing is said. */
  readonly spec?: SignatureSpec;
  /** What the caller is given for the bare signature. */
  readonly reply: (signature: Uint8Array) => Uint8Array;
}

const ASKED_BY: Readonly<Record<SignRequest["purpose"], RoleName>> = {
  transaction: "flow",
  transactions: "flow",
  app: "flow",
  notary: "uniqueness",
  "group-parameters": "db",
};

/** Throws `crypto.callerRefused`, `crypto.preimageRefused` or `input.invalid`. */
export function signingOf(request: SignRequest, caller: Caller): Signing {
  const { tenant, purpose, publicKey, parts } = request;
  if (ASKED_BY[purpose] !== caller.role)
    throw new BowlineError("forbidden", "crypto.callerRefused", `Role ${caller.role} may not have anything signed as ${purpose}.`, {
      role: caller.role,
      purpose,
    });
  switch (purpose) {
    case "transaction":
      return transactionSigning(publicKey, parts);
    case "transactions":
      return transactionsSigning(publicKey, parts);
    case "app":
      return appSigning(tenant, parts);
    case "notary":
      return { categories: ["NOTARY"], bytes: checkNotaryPreimage(parts), reply: (signature) => signature };
    case "group-parameters":
      return { categories: ["SESSION_INIT"], bytes: groupParametersPreimage(decodeBytes(parts).bytes), reply: (signature) => signature };
  }
}

/** An author's own bytes: whatever they say, they are signed as nothing else, and as no other virtual node's. */
function appSigning(tenant: string, parts: Data): Signing {
  const { bytes, spec } = decodeApp(parts);
  return { categories: ["LEDGER"], bytes: appPreimage(tenant, bytes), ...(spec === null ? {} : { spec }), reply: (signature) => signature };
}

/** What the key of a static network signs. */
export const groupParametersPreimage = (parameters: Uint8Array): Uint8Array => preimage("group-parameters", parameters);

const Bytes = Type.Unsafe<Uint8Array>(
  Type.Refine(
    Type.Unknown(),
    (value) => value instanceof Uint8Array,
    () => "must be bytes",
  ),
);
const STRICT = { additionalProperties: false } as const;
const Time = Type.Integer({ minimum: 0 });

const About = { timestamp: Time, platformVersion: Type.Integer({ minimum: 1 }) };
const Metadata = Type.Object(About, STRICT);
const decodeTransaction = decoder(Type.Object({ transactionId: Type.String(), ...About }, STRICT), "parts of a transaction signature");
const decodeTransactions = decoder(
  Type.Object({ transactionIds: Type.Array(Type.String(), { minItems: 1, maxItems: SIGNED_AT_ONCE_MAX }), ...About }, STRICT),
  "parts of a signature of several transactions",
);

function transactionSigning(publicKey: string, parts: Data): Signing {
  const { transactionId, ...about } = decodeTransaction(parts);
  const metadata = metadataOf(publicKey, about);
  return {
    categories: ["LEDGER"],
    bytes: transactionPreimage(idOf(transactionId), metadata),
    reply: (signature) => encodeSignature({ by: keyIdOf(publicKey), signature, metadata }),
  };
}

/** The tree of the ids is made here: nobody hands in a root, which could be of anything. */
function transactionsSigning(publicKey: string, parts: Data): Signing {
  const { transactionIds, ...about } = decodeTransactions(parts);
  const together = togetherOf(transactionIds.map(idOf), publicKey, metadataOf(publicKey, about));
  return {
    categories: ["LEDGER"],
    bytes: together.preimage,
    reply: (signature) => encode(together.sealed(signature).map(encodeSignature)),
  };
}

const metadataOf = (publicKey: string, about: Static<typeof Metadata>): Parameters<typeof transactionPreimage>[1] => ({
  ...about,
  spec: SCHEMES[schemeOf(publicKey)].defaultSpec,
});

function idOf(text: string): SecureHash {
  const id = parseTransactionId(text);
  if (id !== undefined) return id;
  throw badRequest("crypto.preimageRefused", `"${text}" is no transaction id.`);
}

const Spec = Type.Enum([...new Set(Object.values(SCHEMES).flatMap(({ specs }) => specs))]);
const decodeApp = decoder(Type.Object({ bytes: Bytes, spec: Type.Union([Type.Null(), Spec]) }, STRICT), "parts of an app signature");
const decodePreimage = decoder(Type.Object({ preimage: Bytes }, STRICT), "parts of a notary signature");
const decodeBytes = decoder(Type.Object({ bytes: Bytes }, STRICT), "parts of a group parameters signature");

const decodeBatch = decoder(
  Type.Object(
    {
      batch: Bytes,
      metadata: Type.Object(
        {
          timestamp: Time,
          spec: Spec,
          platformVersion: Type.Integer({ minimum: 1 }),
        },
        STRICT,
      ),
    },
    STRICT,
  ),
  "notary preimage",
);

/** Only what the ledger itself would build from a batch's top and its metadata. */
function checkNotaryPreimage(parts: Data): Uint8Array {
  const { preimage } = decodePreimage(parts);
  const refused = () =>
    badRequest("crypto.preimageRefused", "What a notary signs is the top of a batch with its metadata, and this is not.");
  const start = preimage.indexOf(0) + 1;
  if (start === 0) throw refused();
  const { batch, metadata } = decodeBatch(decode(preimage.subarray(start)));
  if (!equalBytes(notaryPreimage(batch, metadata), preimage)) throw refused();
  return preimage;
}
