// A small network for tests and contract suites: a notary, members with keys, and notes that are issued and moved.

import { type Data, encode, parseName, type SecureHash, utf8, type X500Name } from "@bowline/base";
import { generateKeyPair, type KeyPair, keyIdOf, secureHashOf, sha256, signSync, verifySync } from "@bowline/crypto";
import {
  contract,
  cordapp,
  type MemberInfo,
  type NotaryInfo,
  type PublicKeyText,
  requireThat,
  type SignedGroupParameters,
  type StateRef,
  state,
  type TransactionProposal,
} from "@bowline/sdk";
import Type from "typebox";
import { buildTransaction, type InstalledPackage } from "./builder.ts";
import { groupParametersHash } from "./group-parameters.ts";
import { parseStateRef, stateRef } from "./leaves.ts";
import type { NotarySelf } from "./notary.ts";
import { batchOf, type NotaryWord, signedBytesOf, type TransactionSignature, togetherOf, transactionPreimage } from "./signatures.ts";
import { type ResolvedState, resolvedOutput, type SignedTransaction, type Transaction } from "./transaction.ts";
import {
  type ContractCall,
  type ContractResult,
  completeVerification,
  concludeVerification,
  planVerification,
  type SealedVerdict,
  type VerificationReply,
} from "./verification.ts";

export const NOW = 1_764_000_000_000;
export const GROUP_ID = "5b1e24a5-1a5e-4f0c-9a35-0d3d0a3a8b11";
export const PLATFORM_VERSION = 50_300;
export const MAC_KEY = sha256(utf8("the verification role's key, in a test"));

export const Note = state({
  name: "com.example.Note",
  version: 1,
  contract: "com.example.NoteContract",
  schema: Type.Object({ owner: Type.String(), amount: Type.Integer(), text: Type.String() }),
  participants: ({ owner }) => [owner],
  json: ({ amount, text }) => ({ amount, text, nested: { amount } }),
  // A text that begins with # says priority and tag: `#3 tag`.
  token({ owner, amount, text }) {
    const [, priority, tag] = /^#(\d*) ?(.*)$/s.exec(text) ?? [];
    return {
      issuer: "the mint",
      symbol: "NOTE",
      amount: BigInt(amount),
      owner,
      ...(tag === undefined || tag === "" ? {} : { tag }),
      ...(priority === undefined || priority === "" ? {} : { priority: Number(priority) }),
    };
  },
});

export const NoteContract = contract({
  name: "com.example.NoteContract",
  commands: { Issue: Type.Object({}), Move: Type.Object({}) },
  verify({ inputs, outputs, commands, signatories }) {
    const sum = (states: readonly { readonly state: { readonly data: Data } }[]) =>
      states.reduce((total, { state: { data } }) => total + (data as { amount: number }).amount, 0);
    requireThat(
      outputs.every(({ state: { data } }) => (data as { amount: number }).amount > 0),
      "an amount is positive",
    );
    if (commands.some(({ type }) => type === "Move")) requireThat(sum(inputs) === sum(outputs), "a move neither makes nor destroys");
    const owners = inputs.map(({ state: { data } }) => (data as { owner: string }).owner);
    requireThat(
      owners.every((owner) => signatories.includes(owner)),
      "every owner signs",
    );
  },
});

export const noteApp = cordapp({ flows: [], states: [Note], contracts: [NoteContract] });

const identity = (name: string) => ({
  name,
  version: "1.2.0",
  signerSummaryHash: secureHashOf(utf8("signers")),
  fileChecksum: secureHashOf(utf8(`file ${name}`)),
});
export const CPI = identity("com.example.notes-cpi");
export const PACKAGE: InstalledPackage = { ...identity("com.example.notes"), contracts: [NoteContract.name] };
export const manifests = new Map([[PACKAGE.fileChecksum, noteApp.manifest]]);

export interface Party {
  readonly name: X500Name;
  readonly keys: KeyPair;
}

/** Everything that depends on keys. */
export interface Sample {
  readonly parties: Readonly<Record<"alice" | "bob" | "carol", Party>>;
  readonly members: readonly MemberInfo[];
  readonly notaryKeys: KeyPair;
  readonly notary: NotaryInfo;
  readonly self: NotarySelf;
  readonly parameters: SignedGroupParameters;
  /** An unsigned transaction; `salt` tells equal ones apart. Under the notary's key, where no other is said. */
  build(proposal: TransactionProposal, salt?: string, notaryKey?: PublicKeyText): Transaction;
  propose(notes: {
    readonly inputs?: readonly StateRef[];
    readonly references?: readonly StateRef[];
    readonly outputs: readonly { readonly owner: Party; readonly amount: number; readonly text?: string }[];
    readonly signedBy: readonly Party[];
    readonly until?: number;
  }): TransactionProposal;
  sign(transaction: Transaction, ...by: readonly Party[]): SignedTransaction;
  words(words: readonly NotaryWord[]): readonly TransactionSignature[];
  notarised(signed: SignedTransaction): SignedTransaction;
  verify(signed: SignedTransaction, sources: readonly Transaction[], verified?: SealedVerdict): VerificationReply;
}

export function runContracts(call: ContractCall): ContractResult {
  const violations = noteApp.verify(call.transaction as unknown as Data, call.contracts);
  return { violations, outputs: violations.length > 0 ? [] : call.outputs.map((output) => noteApp.describeState(output)) };
}

/** Its notary verifies where `verifies` is said, and needs no backchain then. */
export async function sample({ verifies = false, requesterSigns = false } = {}): Promise<Sample> {
  const party = async (name: string): Promise<Party> => ({
    name: parseName(`O=${name}, L=London, C=GB`),
    keys: await generateKeyPair("CORDA.ECDSA.SECP256R1"),
  });
  const [alice, bob, carol] = [await party("Alice"), await party("Bob"), await party("Carol")];
  const notaryKeys = await generateKeyPair("CORDA.ECDSA.SECP256R1");
  const notary: NotaryInfo = {
    name: parseName("O=Notary Service, L=London, C=GB"),
    key: notaryKeys.publicKey,
    protocol: `com.r3.corda.notary.plugin.${verifies ? "contractverifying" : "nonvalidating"}`,
    backchainRequired: !verifies,
    ...(requesterSigns ? { requesterSigns } : {}),
    members: [parseName("O=Notary Node, L=London, C=GB")],
  };
  const bytes = encode({
    groupId: GROUP_ID,
    epoch: 1,
    modifiedAt: NOW,
    minimumPlatformVersion: PLATFORM_VERSION,
    notaries: [{ ...notary, members: [...notary.members] }],
  });
  const words = (said: readonly NotaryWord[]) => {
    const batch = batchOf(said, notaryKeys.publicKey, { timestamp: NOW, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION });
    return batch.sealed(signSync(notaryKeys.privateKey, batch.preimage));
  };
  return {
    parties: { alice, bob, carol },
    members: [alice, bob, carol].map(({ name, keys }) => ({ name, status: "ACTIVE", ledgerKeys: [keys.publicKey] })),
    notaryKeys,
    notary,
    self: { groupId: GROUP_ID, service: notary.name, serviceKeys: [notary.key], key: notary.key, verifies, requesterSigns },
    parameters: { bytes, signature: new Uint8Array(64), signedBy: notary.key },
    words,
    propose: (notes) => proposal(notary, notes),
    build: (proposed, salt = "salt", notaryKey = notary.key) =>
      buildTransaction(proposed, {
        groupId: GROUP_ID,
        cpi: CPI,
        packages: [PACKAGE],
        platformVersion: PLATFORM_VERSION,
        groupParametersHash: groupParametersHash(bytes),
        digest: "SHA-256",
        notaryKey,
        salt: sha256(utf8(salt)),
      }),
    sign: (transaction, ...by) => ({ transaction, signatures: by.map(({ keys }) => signatureOf(transaction.id, keys)) }),
    notarised: ({ transaction, signatures }) => ({
      transaction,
      signatures: [...signatures, ...words([{ kind: "accepted", transactionId: transaction.id, at: NOW }])],
    }),
    verify: (signed, sources, verified) => verifyHere(bytes, signed, sources, verified),
  };
}

export function signatureOf(id: SecureHash, { publicKey, privateKey }: KeyPair, timestamp = NOW): TransactionSignature {
  const metadata = { timestamp, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION } as const;
  return { by: keyIdOf(publicKey), signature: signSync(privateKey, transactionPreimage(id, metadata)), metadata };
}

/** With one signature. */
export function signaturesOf(
  ids: readonly SecureHash[],
  { publicKey, privateKey }: KeyPair,
  timestamp = NOW,
): readonly TransactionSignature[] {
  const together = togetherOf(ids, publicKey, { timestamp, spec: "SHA256withECDSA", platformVersion: PLATFORM_VERSION });
  return together.sealed(signSync(privateKey, together.preimage));
}

/** All of the verification role, in process. */
export function verifyWith(
  signed: SignedTransaction,
  context: Parameters<typeof planVerification>[1],
  verified: SealedVerdict | null,
): VerificationReply {
  const valid = signedBytesOf(signed.transaction, signed.signatures).map((item) => item !== undefined && verifySync(item));
  if (verified !== null) return completeVerification(signed, verified, valid, MAC_KEY);
  const plan = planVerification(signed, context, manifests);
  return concludeVerification(plan, plan.calls.map(runContracts), valid, MAC_KEY);
}

/** Where the outputs of `sources` stand in for a vault. */
function verifyHere(
  groupParameters: Uint8Array,
  signed: SignedTransaction,
  sources: readonly Transaction[],
  verified: SealedVerdict | null = null,
): VerificationReply {
  const resolve = (ref: StateRef): ResolvedState => {
    const { transactionId, index } = parseStateRef(ref);
    const source = sources.find(({ id }) => id === transactionId);
    return (source && resolvedOutput(source, index)) as ResolvedState;
  };
  const { inputs, references } = signed.transaction;
  return verifyWith(signed, { inputs: inputs.map(resolve), references: references.map(resolve), groupParameters }, verified);
}

function proposal(notary: NotaryInfo, notes: Parameters<Sample["propose"]>[0]): TransactionProposal {
  const { inputs = [], references = [], outputs, signedBy, until = NOW + 60_000 } = notes;
  return {
    notary: notary.name,
    timeWindow: { until },
    inputs,
    references,
    outputs: outputs.map(({ owner, amount, text = "" }) => ({
      type: Note.name,
      version: 1,
      contract: NoteContract.name,
      data: { owner: owner.keys.publicKey, amount, text },
    })),
    commands: [{ type: inputs.length === 0 ? "Issue" : "Move", contract: NoteContract.name, data: {} }],
    signatories: signedBy.map(({ keys }) => keys.publicKey),
  };
}

/** Notes that Alice and Bob begin with, 5 and 7; and a move of some, to Bob. */
export function notesOf({ build, propose, parties: { alice, bob } }: Sample) {
  const outputs = [
    { owner: alice, amount: 5 },
    { owner: bob, amount: 7 },
  ];
  return {
    issue: build(propose({ outputs, signedBy: [alice, bob] })),
    move: (inputs: readonly StateRef[], amount: number, signedBy: readonly Party[] = [alice, bob]): Transaction =>
      build(propose({ inputs, outputs: [{ owner: bob, amount }], signedBy })),
  };
}

export const firstOutput = ({ id }: Transaction): StateRef => stateRef(id, 0);
