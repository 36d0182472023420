// The log of a notary's decisions: what stands in an entry, and how each is bound to the one before it.
//
// An entry is what one commit decided, and the notary's signature over a tree whose leaves are its words on the transactions,
// with one leaf more for the hash of the whole. Entries are numbered without gaps, and each head is a hash of the head before
// it and of its decisions: an entry that is changed, left out, added or moved shows, and whoever kept a head can tell whether
// a later log continues it. Order is that of the commits: where two decisions touch one state, the earlier stands first.

import {
  badRequest,
  concat,
  type Data,
  decode,
  decoder,
  digestOf,
  encode,
  type Instant,
  type SecureHash,
  secureHash,
  type X500Name,
} from "@bowline/base";
import { batchLeaf, sha256 } from "@bowline/crypto";
import type { StateRef } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { Bytes, parseStateRef, stateRef } from "./leaves.ts";
import { GROUP_LEAVES_MAX, REFUSAL_CHARACTERS_MAX, UNIQUENESS_BATCH_MAX } from "./limits.ts";
import type { Spend } from "./ports.ts";
import type { NotaryWord } from "./signatures.ts";

/** As it is stored, and as it travels. */
export interface LogEntry {
  /** From 1. */
  readonly seq: number;
  readonly head: Uint8Array;
  /** `encodeDecisions`. */
  readonly decisions: Uint8Array;
  /** The notary's `encodeSignature`, without a word of its own. */
  readonly seal: Uint8Array;
}

/** One transaction, with everything that was decided on. */
export interface Decision {
  readonly spend: Omit<Spend, "mode">;
  /** Null where it was accepted. */
  readonly refusal: { readonly code: string; readonly message: string } | null;
}

export interface Decisions {
  /** The database's clock, read after all that the decisions rest on was locked. */
  readonly at: Instant;
  readonly decisions: readonly Decision[];
}

/** Before the first entry. */
export const FIRST_HEAD = new Uint8Array(32);

const REF_LENGTH = 36;
const STRICT = { additionalProperties: false } as const;
const Time = Type.Integer({ minimum: 0, maximum: 8.64e15 });
const Stored = Type.Object(
  {
    at: Time,
    decisions: Type.Array(
      Type.Object(
        {
          id: Bytes,
          originator: Type.String({ maxLength: 1_024 }),
          inputs: Bytes,
          references: Bytes,
          outputCount: Type.Integer({ minimum: 0, maximum: GROUP_LEAVES_MAX }),
          from: Type.Union([Type.Null(), Time]),
          until: Time,
          refusal: Type.Union([
            Type.Null(),
            Type.Object({ code: Type.String({ maxLength: 128 }), message: Type.String({ maxLength: REFUSAL_CHARACTERS_MAX }) }, STRICT),
          ]),
        },
        STRICT,
      ),
      { minItems: 1, maxItems: UNIQUENESS_BATCH_MAX },
    ),
  },
  STRICT,
);
const readStored = decoder(Stored, "decisions of a notary");

export function encodeDecisions({ at, decisions }: Decisions): Uint8Array {
  const rows = decisions.map(({ spend, refusal }): Static<typeof Stored>["decisions"][number] => ({
    id: digestOf(spend.transactionId),
    originator: spend.originator,
    inputs: packed(spend.inputs),
    references: packed(spend.references),
    outputCount: spend.outputCount,
    from: spend.from ?? null,
    until: spend.until,
    refusal: refusal === null ? null : { code: refusal.code, message: refusal.message },
  }));
  return encode({ at, decisions: rows } as unknown as Data);
}

/** Throws `input.invalid` or what the codec throws where the bytes are not canonical decisions. */
export function decodeDecisions(bytes: Uint8Array): Decisions {
  const { at, decisions } = readStored(decode(bytes));
  return {
    at,
    decisions: decisions.map(({ id, originator, inputs, references, from, refusal, ...rest }) => ({
      spend: {
        ...rest,
        transactionId: secureHash(id),
        originator: originator as X500Name,
        inputs: unpacked(inputs),
        references: unpacked(references),
        ...(from === null ? {} : { from }),
      },
      refusal,
    })),
  };
}

/** The notary's words on them, in order: the leaves of the tree that it signs. */
export const wordsOf = ({ at, decisions }: Decisions): readonly NotaryWord[] =>
  decisions.map(({ spend: { transactionId }, refusal }) =>
    refusal === null ? { kind: "accepted", transactionId, at } : { kind: "refused", transactionId, ...refusal },
  );

/** The leaf after the words: it makes the signature one over everything in the entry. It can pass for no word, which has an id. */
export const logLeaf = (index: number, decisions: Uint8Array): Uint8Array =>
  batchLeaf(index, encode({ kind: "log", decisions: sha256(decisions) }));

export const headAfter = (head: Uint8Array, decisions: Uint8Array): Uint8Array => sha256(concat(head, sha256(decisions)));

function packed(refs: readonly StateRef[]): Uint8Array {
  const bytes = new Uint8Array(refs.length * REF_LENGTH);
  const view = new DataView(bytes.buffer);
  refs.forEach((ref, i) => {
    const { transactionId, index } = parseStateRef(ref);
    bytes.set(digestOf(transactionId), i * REF_LENGTH);
    view.setUint32(i * REF_LENGTH + REF_LENGTH - 4, index);
  });
  return bytes;
}

function unpacked(bytes: Uint8Array): readonly StateRef[] {
  if (bytes.length % REF_LENGTH !== 0)
    throw badRequest("ledger.historyInvalid", `A list of states has ${bytes.length} bytes, and each state ${REF_LENGTH}.`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refs: StateRef[] = [];
  for (let at = 0; at + REF_LENGTH <= bytes.length; at += REF_LENGTH) {
    const id: SecureHash = secureHash(bytes.slice(at, at + REF_LENGTH - 4));
    refs.push(stateRef(id, view.getUint32(at + REF_LENGTH - 4)));
  }
  return refs;
}
