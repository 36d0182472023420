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
  u32,
  type X500Name,
} from "@bowline/base";
import { batchLeaf, LEDGER_DIGESTS, ledgerHashes, sha256 } from "@bowline/crypto";
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
    id: packedId(spend.transactionId),
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
        transactionId: unpackedId(id),
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

const INDEX_LENGTH = 4;

/** The place of its digest in `LEDGER_DIGESTS`, and the hash. */
const packedId = (id: SecureHash): Uint8Array =>
  concat(Uint8Array.of(LEDGER_DIGESTS.findIndex((name) => id.startsWith(`${name}:`))), digestOf(id));

const packed = (refs: readonly StateRef[]): Uint8Array =>
  concat(...refs.map(parseStateRef).flatMap(({ transactionId, index }) => [packedId(transactionId), u32(index)]));

function unpacked(bytes: Uint8Array): readonly StateRef[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const refs: StateRef[] = [];
  for (let at = 0; at < bytes.length; ) {
    const { id, next } = idAt(bytes, at);
    if (next + INDEX_LENGTH > bytes.length) throw cutShort();
    refs.push(stateRef(id, view.getUint32(next)));
    at = next + INDEX_LENGTH;
  }
  return refs;
}

function unpackedId(bytes: Uint8Array): SecureHash {
  const { id, next } = idAt(bytes, 0);
  if (next !== bytes.length) throw cutShort();
  return id;
}

function idAt(bytes: Uint8Array, at: number): { readonly id: SecureHash; readonly next: number } {
  const name = LEDGER_DIGESTS[bytes[at] ?? LEDGER_DIGESTS.length];
  if (name === undefined) throw badRequest("ledger.historyInvalid", "A transaction's id is of no digest that the ledger knows.");
  const next = at + 1 + ledgerHashes(name).length;
  if (next > bytes.length) throw cutShort();
  return { id: secureHash(bytes.slice(at + 1, next), name), next };
}

const cutShort = () =>
  badRequest("ledger.historyInvalid", "A transaction's id, or a list of states, is cut short or goes on after its end.");
