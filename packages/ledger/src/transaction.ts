// A transaction: ten groups of leaves, the id that binds them, and their bytes.
//
// H is the digest that the metadata name, and that the id begins with.
// leaf = H(0x00 ‖ suite ‖ group ‖ index ‖ nonce ‖ data), nonce = HMAC(salt, group ‖ index); node = H(0x01 ‖ depth ‖ l ‖ r);
// top = H(0x02 ‖ group ‖ count ‖ root); id = H(0x03 ‖ ledger version ‖ group id ‖ group count ‖ root over the tops).
// An empty group has count 0 and a root of zero bytes. (`crypto/merkle.ts` holds the hashes; docs/ledger-vectors.json the numbers.)
//
// Guarantees: what `decodeTransaction` answers has the id that its bytes have, whatever was claimed, and every leaf has
// passed its schema. Two transactions that differ in anything at all have different ids.

import { badRequest, type Data, decode, decoder, encode, type SecureHash, type X500Name } from "@bowline/base";
import { componentNonce, type LedgerHashes, ledgerHashes, secureHashOf } from "@bowline/crypto";
import type { PublicKeyText, StateAndRef, StateRef, TimeWindow, TransactionView } from "@bowline/sdk";
import Type from "typebox";
import {
  Bytes,
  type CommandInfo,
  type CommandLeaf,
  commandInfoOf,
  commandOf,
  GROUP,
  GROUP_COUNT,
  LEDGER_VERSION,
  metadataOf,
  nameOf,
  type OutputInfo,
  outputInfoOf,
  publicKeyOf,
  type StateLeaf,
  stateOf,
  stateRef,
  stateRefOf,
  type TransactionMetadata,
  timeWindowOf,
} from "./leaves.ts";
import {
  DECODED_TRANSACTION_BYTES_MAX,
  DECODED_TRANSACTIONS_MAX,
  GROUP_LEAVES_MAX,
  SIGNATURES_MAX,
  TRANSACTION_BYTES_MAX,
} from "./limits.ts";
import { decodeSignature, encodeSignature, type TransactionSignature } from "./signatures.ts";

/** The leaves of every group, in order: what the id binds. */
export interface Components {
  readonly groupId: string;
  /** 32 random bytes; whoever knows it can guess at leaves that are not shown. */
  readonly salt: Uint8Array;
  readonly groups: readonly (readonly Uint8Array[])[];
}

/** A transaction as the platform works with it: bytes, and what they say. */
export interface Transaction extends Components {
  readonly id: SecureHash;
  /** The canonical bytes, encoded once. */
  readonly bytes: Uint8Array;
  readonly metadata: TransactionMetadata;
  readonly notary: X500Name;
  readonly notaryKey: PublicKeyText;
  readonly timeWindow: TimeWindow;
  readonly signatories: readonly PublicKeyText[];
  readonly inputs: readonly StateRef[];
  readonly references: readonly StateRef[];
  readonly outputs: readonly { readonly info: OutputInfo; readonly state: StateLeaf }[];
  readonly commands: readonly { readonly info: CommandInfo; readonly command: CommandLeaf }[];
}

export interface SignedTransaction {
  readonly transaction: Transaction;
  readonly signatures: readonly TransactionSignature[];
}

/** Leaves that are known to be part of a verified transaction: how inputs and references are resolved. */
export interface ResolvedState {
  readonly ref: StateRef;
  readonly info: Uint8Array;
  readonly data: Uint8Array;
}

const SALT_LENGTH = 32;
const GROUP_ID_PATTERN = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";

const readWire = decoder(
  Type.Object(
    {
      groupId: Type.String({ pattern: GROUP_ID_PATTERN }),
      groups: Type.Array(Type.Array(Bytes, { maxItems: GROUP_LEAVES_MAX }), { minItems: GROUP_COUNT, maxItems: GROUP_COUNT }),
      ledgerVersion: Type.Literal(LEDGER_VERSION),
      salt: Bytes,
    },
    { additionalProperties: false },
  ),
  "transaction",
);

const readSigned = decoder(
  Type.Object({ transaction: Bytes, signatures: Type.Array(Bytes, { maxItems: SIGNATURES_MAX }) }, { additionalProperties: false }),
  "signed transaction",
);

/** The transaction that these leaves make, held to the same bounds as a stranger's. Throws `ledger.transactionMalformed` (or a leaf's own code) on what cannot be one. */
export function transactionOf(components: Components): Transaction {
  const { groupId, salt, groups } = components;
  return decodeTransaction(encode({ groupId, groups, ledgerVersion: LEDGER_VERSION, salt }));
}

/** The inverse of `Transaction.bytes`; the id is computed, never read. */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  if (bytes.length > TRANSACTION_BYTES_MAX) throw malformed(`it has ${bytes.length} bytes, and the limit is ${TRANSACTION_BYTES_MAX}`);
  if (bytes.length > DECODED_TRANSACTION_BYTES_MAX) return decodeAnew(bytes);
  const key = secureHashOf(bytes);
  const known = decoded.get(key);
  const transaction = known ?? decodeAnew(bytes.slice());
  decoded.delete(key);
  decoded.set(key, transaction);
  const [oldest] = decoded.keys();
  if (decoded.size > DECODED_TRANSACTIONS_MAX && oldest !== undefined) decoded.delete(oldest);
  return transaction;
}

// What a transaction is, is a function of its bytes alone. One step after another asks for the same ones (build, verify, sign,
// write, at every party in this process), and hashing all leaves is most of the work.
const decoded = new Map<SecureHash, Transaction>();

function decodeAnew(bytes: Uint8Array): Transaction {
  const { groupId, salt, groups } = readWire(decode(bytes));
  return parse({ groupId, salt, groups }, bytes);
}

export function encodeSigned({ transaction, signatures }: SignedTransaction): Uint8Array {
  return encode({ transaction: transaction.bytes, signatures: signatures.map(encodeSignature) });
}

export function decodeSigned(bytes: Uint8Array): SignedTransaction {
  if (bytes.length > TRANSACTION_BYTES_MAX) throw malformed(`it has ${bytes.length} bytes, and the limit is ${TRANSACTION_BYTES_MAX}`);
  const { transaction, signatures } = readSigned(decode(bytes));
  return { transaction: decodeTransaction(transaction), signatures: signatures.map(decodeSignature) };
}

/** What a transaction's trees are made with. */
export const hashesOf = ({ metadata }: { readonly metadata: TransactionMetadata }): LedgerHashes => ledgerHashes(metadata.digest);

/** The hash of one group as the transaction's tree holds it. */
export function topOf(components: Components, hashes: LedgerHashes, group: number): Uint8Array {
  const leaves = components.groups[group] as readonly Uint8Array[];
  return hashes.top(group, leaves.length, hashes.root(leafHashes(components, hashes, group)));
}

export function leafHashes({ salt, groups }: Components, hashes: LedgerHashes, group: number): readonly Uint8Array[] {
  return (groups[group] as readonly Uint8Array[]).map((data, index) =>
    hashes.leaf({ group, index, nonce: componentNonce(salt, group, index), data }),
  );
}

/** The id over the tops of all groups. */
export const idOfTops = (groupId: string, hashes: LedgerHashes, tops: readonly Uint8Array[]): SecureHash =>
  hashes.id({ ledgerVersion: LEDGER_VERSION, groupId, groupCount: GROUP_COUNT, root: hashes.root(tops) });

/** The output of a transaction as another one resolves it. */
export function resolvedOutput(transaction: Transaction, index: number): ResolvedState | undefined {
  const info = transaction.groups[GROUP.outputsInfo]?.[index];
  const data = transaction.groups[GROUP.outputs]?.[index];
  return info === undefined || data === undefined ? undefined : { ref: stateRef(transaction.id, index), info, data };
}

export function stateAndRef({ ref, info, data }: ResolvedState): StateAndRef {
  return asStateAndRef(ref, outputInfoOf(info), stateOf(data));
}

/** What contracts and flows see. `inputs` and `references` are the resolved ones, in the transaction's order. */
export function viewOf(transaction: Transaction, inputs: readonly StateAndRef[], references: readonly StateAndRef[]): TransactionView {
  const { id, notary, timeWindow, signatories } = transaction;
  return {
    id,
    notary,
    timeWindow,
    signatories,
    inputs,
    references,
    outputs: transaction.outputs.map(({ info, state }, index) => asStateAndRef(stateRef(id, index), info, state)),
    commands: transaction.commands.map(({ info, command }) => ({ type: info.type, contract: info.contract, data: command.data })),
  };
}

/** The transactions that this one builds upon, each once, in order of mention. */
export function dependenciesOf(transaction: Pick<Transaction, "inputs" | "references">): readonly SecureHash[] {
  const ids = [...transaction.inputs, ...transaction.references].map((ref) => ref.slice(0, ref.lastIndexOf(":")) as SecureHash);
  return [...new Set(ids)];
}

function asStateAndRef(ref: StateRef, info: OutputInfo, state: StateLeaf): StateAndRef {
  const { type, version, contract, notary, encumbrance } = info;
  const whole: StateAndRef<Data> = { ref, state: { type, version, contract, data: state.data }, notary };
  return encumbrance === null ? whole : { ...whole, encumbrance: encumbrance.tag };
}

function parse(components: Components, bytes: Uint8Array): Transaction {
  const { groupId, salt, groups } = components;
  if (salt.length !== SALT_LENGTH || salt.every((byte) => byte === 0)) throw malformed(`its salt is not ${SALT_LENGTH} random bytes`);
  const leaves = (group: number) => groups[group] as readonly Uint8Array[];
  const [metadata, ...moreMetadata] = leaves(GROUP.metadata);
  const [notary, notaryKey, window, ...moreNotary] = leaves(GROUP.notary);
  if (metadata === undefined || moreMetadata.length > 0) throw malformed("it has not exactly one metadata leaf");
  if (notary === undefined || notaryKey === undefined || window === undefined || moreNotary.length > 0)
    throw malformed("its notary group is not name, key and time window");
  if (leaves(GROUP.unused).length > 0) throw malformed("the unused group has leaves");
  const described = metadataOf(metadata);
  const hashes = ledgerHashes(described.digest);
  const tops = Array.from({ length: GROUP_COUNT }, (_, group) => topOf(components, hashes, group));
  return {
    id: idOfTops(groupId, hashes, tops),
    bytes,
    groupId,
    salt,
    groups,
    metadata: described,
    notary: nameOf(notary),
    notaryKey: publicKeyOf(notaryKey),
    timeWindow: timeWindowOf(window),
    signatories: leaves(GROUP.signatories).map(publicKeyOf),
    inputs: leaves(GROUP.inputs).map(stateRefOf),
    references: leaves(GROUP.references).map(stateRefOf),
    outputs: paired("outputs", leaves(GROUP.outputsInfo).map(outputInfoOf), leaves(GROUP.outputs).map(stateOf)).map(([info, state]) => ({
      info,
      state,
    })),
    commands: paired("commands", leaves(GROUP.commandsInfo).map(commandInfoOf), leaves(GROUP.commands).map(commandOf)).map(
      ([info, command]) => ({ info, command }),
    ),
  };
}

interface Described {
  readonly type: string;
  readonly version?: number;
}

/** Leaf i of the one group describes leaf i of the other. */
function paired<I extends Described, B extends Described>(
  what: string,
  infos: readonly I[],
  bodies: readonly B[],
): readonly (readonly [I, B])[] {
  if (infos.length !== bodies.length) throw malformed(`it has ${bodies.length} ${what}, and describes ${infos.length}`);
  return infos.map((info, i) => {
    const body = bodies[i] as B;
    if (info.type !== body.type || info.version !== body.version) throw malformed(`${what} ${i} is not of the type that is said of it`);
    return [info, body];
  });
}

const malformed = (reason: string) => badRequest("ledger.transactionMalformed", `Not a transaction: ${reason}.`, { reason });
