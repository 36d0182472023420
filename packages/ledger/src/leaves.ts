// What stands in each leaf of a transaction: its schema, its canonical bytes, and the component group it belongs to.
// A leaf is encoded once, by the builder, and from then on carried and hashed as bytes. Decoding is strict: canonical
// form, no unknown fields, canonical names, bounded texts.

import { badRequest, type Data, decode, decoder, encode, parseName, type SecureHash, type X500Name } from "@bowline/base";
import { LEDGER_DIGESTS, leafKeys, schemeOf } from "@bowline/crypto";
import type { PublicKeyText, StateRef, TimeWindow } from "@bowline/sdk";
import Type, { type Static } from "typebox";
import { ENCUMBRANCE_TAG_CHARACTERS_MAX, NAME_CHARACTERS_MAX, PUBLIC_KEY_CHARACTERS_MAX } from "./limits.ts";

/** A group's number is its place in the transaction's tree. */
export const GROUP = {
  metadata: 0,
  notary: 1,
  signatories: 2,
  outputsInfo: 3,
  commandsInfo: 4,
  unused: 5,
  inputs: 6,
  references: 7,
  outputs: 8,
  commands: 9,
} as const;
export const GROUP_COUNT = 10;

export const LEDGER_VERSION = 1;
export const LEDGER_MODEL = "bowline.utxo";
/** What each leaf of each group is, in order; a group of one entry repeats it. Metadata names it, so that a reader can tell. */
export const COMPONENT_GROUPS: readonly (readonly string[])[] = [
  ["metadata"],
  ["notaryName", "notaryKey", "timeWindow"],
  ["publicKey"],
  ["outputInfo"],
  ["commandInfo"],
  [],
  ["stateRef"],
  ["stateRef"],
  ["state"],
  ["command"],
];

const STRICT = { additionalProperties: false } as const;
const HASH_PATTERN = "^SHA-256:[0-9A-F]{64}$";
/** Of the digests that ledger version 1 allows. */
const ID_PATTERN = "(SHA-256D?|SHA3-256):[0-9A-F]{64}|SHA-384:[0-9A-F]{96}|SHA-512:[0-9A-F]{128}";
/** Printable, so that it can stand in a log, a message and a column. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: it is the control characters that are refused.
const PRINTABLE = /^[^\u0000-\u001f\u007f-\u009f]+$/.source;

/** Canonical decoding makes nothing else of a byte string. */
export const Bytes = Type.Refine(
  Type.Unsafe<Uint8Array>(Type.Unknown()),
  (value) => value instanceof Uint8Array,
  () => "must be bytes",
);
const Hash = Type.Unsafe<SecureHash>(Type.String({ pattern: HASH_PATTERN }));
/** A transaction's id, as text that came from outside. */
export const TransactionId = Type.Unsafe<SecureHash>(Type.String({ pattern: `^(${ID_PATTERN})$` }));
/** Of a type, a contract, a command, a package, a version. */
export const Name = Type.String({ minLength: 1, maxLength: NAME_CHARACTERS_MAX, pattern: PRINTABLE });
export const PublicKey = Type.String({ minLength: 1, maxLength: PUBLIC_KEY_CHARACTERS_MAX, pattern: "^[A-Za-z0-9+/]+={0,2}$" });
const Count = Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 });
export const Time = Type.Integer({ minimum: 0, maximum: 8.64e15 });
export const Version = Type.Integer({ minimum: 1, maximum: 2 ** 31 - 1 });
export const StateReference = Type.String({ pattern: `^(${ID_PATTERN}):(0|[1-9][0-9]{0,8})$` });
export const EncumbranceTag = Type.String({ minLength: 1, maxLength: ENCUMBRANCE_TAG_CHARACTERS_MAX, pattern: PRINTABLE });
const Package = Type.Object({ name: Name, version: Name, signerSummaryHash: Hash, fileChecksum: Hash }, STRICT);

const Metadata = Type.Object(
  {
    ledgerModel: Type.Literal(LEDGER_MODEL),
    ledgerVersion: Type.Literal(LEDGER_VERSION),
    transactionSubtype: Type.Literal("GENERAL"),
    schemaVersion: Type.Literal(1),
    /** Of all the transaction's trees, and of its id. A ledger version allows its digests, a group chooses; nothing is negotiated. */
    digest: Type.Enum([...LEDGER_DIGESTS]),
    platformVersion: Count,
    cpiMetadata: Package,
    cpkMetadata: Type.Array(Package, { minItems: 1, maxItems: 64 }),
    componentGroups: Type.Array(Type.Array(Name)),
    membershipGroupParametersHash: Hash,
  },
  STRICT,
);

const OutputInfo = Type.Object(
  {
    type: Name,
    version: Version,
    contract: Name,
    /** Whose code guards the state: what spends it names a package of the same name and signers. */
    cpk: Type.Object({ name: Name, version: Name, signerSummaryHash: Hash }, STRICT),
    notary: Name,
    notaryKey: PublicKey,
    encumbrance: Type.Union([Type.Null(), Type.Object({ tag: EncumbranceTag, size: Count }, STRICT)]),
  },
  STRICT,
);

const Window = Type.Object({ from: Type.Union([Type.Null(), Time]), until: Time }, STRICT);
const StateLeaf = Type.Object({ type: Name, version: Version, data: Type.Unsafe<Data>(Type.Unknown()) }, STRICT);
const CommandInfo = Type.Object({ type: Name, contract: Name }, STRICT);
const CommandLeaf = Type.Object({ type: Name, data: Type.Unsafe<Data>(Type.Unknown()) }, STRICT);

export type CpkIdentity = Readonly<Static<typeof Package>>;
/** Set by the platform: no flow can say what ran. Always shown, also in filtered transactions. */
export type TransactionMetadata = Readonly<Static<typeof Metadata>>;
export type OutputInfo = Readonly<Omit<Static<typeof OutputInfo>, "notary"> & { notary: X500Name }>;
export type StateLeaf = Readonly<Static<typeof StateLeaf>>;
export type CommandInfo = Readonly<Static<typeof CommandInfo>>;
export type CommandLeaf = Readonly<Static<typeof CommandLeaf>>;

const readMetadata = decoder(Metadata, "metadata leaf");
const readOutputInfo = decoder(OutputInfo, "output info leaf");
const readWindow = decoder(Window, "time window leaf");
const readState = decoder(StateLeaf, "state leaf");
const readCommandInfo = decoder(CommandInfo, "command info leaf");
const readCommand = decoder(CommandLeaf, "command leaf");
const readPublicKey = decoder(PublicKey, "public key leaf");
const readStateRef = decoder(StateReference, "state reference");

/**
 * What a leaf says is a function of its bytes, and all transactions of one application under one set of parameters have the same
 * metadata, notary and keys: what these said last is kept.
 */
function remembered<T>(read: (leaf: Uint8Array) => T): (leaf: Uint8Array) => T {
  const known = new Map<string, T>();
  return (leaf) => {
    if (leaf.length > REMEMBERED_BYTES_MAX) return read(leaf);
    const key = Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength).toString("latin1");
    const before = known.get(key);
    if (before !== undefined) return before;
    const value = read(leaf);
    const [oldest] = known.keys();
    if (known.size >= REMEMBERED_MAX && oldest !== undefined) known.delete(oldest);
    known.set(key, value);
    return value;
  };
}
const REMEMBERED_MAX = 64;
const REMEMBERED_BYTES_MAX = 8 * 1024;

export const metadataOf = remembered((leaf): TransactionMetadata => {
  const metadata = readMetadata(decode(leaf));
  if (JSON.stringify(metadata.componentGroups) !== JSON.stringify(COMPONENT_GROUPS))
    throw badRequest("ledger.metadataUnknown", `Metadata describes component groups that ledger version ${LEDGER_VERSION} does not have.`);
  return metadata;
});

/** Simple or composite. Throws `crypto.keyMalformed` or `crypto.compositeInvalid` on text that is no key. */
export const publicKeyOf = remembered((leaf): PublicKeyText => checkedKey(readPublicKey(decode(leaf))));

export function checkedKey(text: PublicKeyText): PublicKeyText {
  for (const key of leafKeys(text)) schemeOf(key);
  return text;
}

export const stateRefOf = (leaf: Uint8Array): StateRef => readStateRef(decode(leaf));
export const stateOf = (leaf: Uint8Array): StateLeaf => readState(decode(leaf));
export const commandInfoOf = (leaf: Uint8Array): CommandInfo => readCommandInfo(decode(leaf));
export const commandOf = (leaf: Uint8Array): CommandLeaf => readCommand(decode(leaf));

export function outputInfoOf(leaf: Uint8Array): OutputInfo {
  const info = readOutputInfo(decode(leaf));
  return { ...info, notary: canonicalName(info.notary) };
}

export const nameOf = remembered((leaf): X500Name => {
  const text = decode(leaf);
  if (typeof text !== "string") throw badRequest("ledger.nameMalformed", "A name leaf does not hold text.");
  return canonicalName(text);
});

/** `from` < `until`, half-open. */
export function timeWindowOf(leaf: Uint8Array): TimeWindow {
  const { from, until } = readWindow(decode(leaf));
  if (from !== null && from >= until)
    throw badRequest("ledger.timeWindowEmpty", `The time window from ${from} until ${until} contains no moment.`);
  return from === null ? { until } : { from, until };
}

export const timeWindowLeaf = ({ from, until }: TimeWindow): Uint8Array => encode({ from: from ?? null, until });

/** Undefined for text that is no transaction's id. */
export const parseTransactionId = (text: string): SecureHash | undefined => (IS_ID.test(text) ? (text as SecureHash) : undefined);
const IS_ID = new RegExp(`^(${ID_PATTERN})$`);

/** The transaction and the index of the output that a reference names. */
export function parseStateRef(ref: StateRef): { readonly transactionId: SecureHash; readonly index: number } {
  readStateRef(ref);
  const colon = ref.lastIndexOf(":");
  return { transactionId: ref.slice(0, colon) as SecureHash, index: Number(ref.slice(colon + 1)) };
}

export const stateRef = (transactionId: SecureHash, index: number): StateRef => `${transactionId}:${index}`;

export function canonicalName(text: string): X500Name {
  const name = parseName(text);
  if (name !== text) throw badRequest("ledger.nameMalformed", `"${text}" is not in canonical form: write "${name}".`, { name: text });
  return name;
}
