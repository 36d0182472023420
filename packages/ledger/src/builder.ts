// From what an author proposes to a transaction's bytes. The platform adds all that an author may not say: metadata, notary
// key, salt, whose code guards each output.

import { BowlineError, badRequest, type Data, encode, parseName, type SecureHash, type X500Name } from "@bowline/base";
import type { PublicKeyText, StateRef, TransactionProposal } from "@bowline/sdk";
import {
  COMPONENT_GROUPS,
  type CpkIdentity,
  GROUP,
  GROUP_COUNT,
  LEDGER_MODEL,
  LEDGER_VERSION,
  type TransactionMetadata,
  timeWindowLeaf,
} from "./leaves.ts";
import { type Transaction, transactionOf } from "./transaction.ts";

/** A contract package as it is installed, with the contracts that its bundle brings. */
export type InstalledPackage = CpkIdentity & { readonly contracts: readonly string[] };

/** What only the platform knows. */
export interface PlatformFacts {
  readonly groupId: string;
  readonly cpi: CpkIdentity;
  readonly packages: readonly InstalledPackage[];
  readonly platformVersion: number;
  readonly groupParametersHash: SecureHash;
  /** Of the notary that the proposal names; undefined where the group parameters do not list it. */
  readonly notaryKey: PublicKeyText | undefined;
  /** 32 random bytes, journaled. */
  readonly salt: Uint8Array;
}

/** Throws `ledger.proposalInvalid` with everything that is wrong, not just the first of it. */
export function buildTransaction(proposal: TransactionProposal, facts: PlatformFacts): Transaction {
  const failures = [...proposalFailures(proposal, facts)];
  if (failures.length > 0)
    throw badRequest("ledger.proposalInvalid", `This transaction cannot be built: ${failures.join("; ")}.`, {
      failures: failures.join("\n"),
    });
  const groups: Uint8Array[][] = Array.from({ length: GROUP_COUNT }, () => []);
  const put = (group: number, ...leaves: readonly Uint8Array[]) => groups[group]?.push(...leaves);
  put(GROUP.metadata, encode(metadata(facts)));
  put(GROUP.notary, encode(proposal.notary), encode(facts.notaryKey as string), timeWindowLeaf(proposal.timeWindow));
  put(GROUP.signatories, ...proposal.signatories.map(encode));
  put(GROUP.outputsInfo, ...proposal.outputs.map((output) => encode(outputInfo(output, proposal, facts))));
  put(GROUP.commandsInfo, ...proposal.commands.map(({ type, contract }) => encode({ type, contract })));
  put(GROUP.inputs, ...proposal.inputs.map(encode));
  put(GROUP.references, ...proposal.references.map(encode));
  put(GROUP.outputs, ...proposal.outputs.map(({ type, version, data }) => encode({ type, version, data })));
  put(GROUP.commands, ...proposal.commands.map(({ type, data }) => encode({ type, data })));
  return transactionOf({ groupId: facts.groupId, salt: facts.salt, groups });
}

function* proposalFailures(proposal: TransactionProposal, facts: PlatformFacts): Generator<string> {
  const { notary, timeWindow, inputs, references, outputs, commands, signatories } = proposal;
  if (!isName(notary)) yield `the notary "${notary}" is not a name in canonical form`;
  else if (facts.notaryKey === undefined) yield `the group parameters list no notary ${notary}`;
  if (!Number.isSafeInteger(timeWindow.until)) yield "the time window has no upper bound";
  else if (timeWindow.from !== undefined && timeWindow.from >= timeWindow.until) yield "the time window contains no moment";
  for (const [tag, size] of encumbranceSizes(proposal)) if (size < 2) yield `encumbrance group ${tag} has one member, and needs two`;
  if (signatories.length === 0) yield "nobody signs it";
  yield* repeats(signatories, "signatory");
  if (inputs.length === 0 && outputs.length === 0) yield "it has neither inputs nor outputs";
  yield* repeats(inputs, "input");
  yield* repeats(references, "reference");
  for (const ref of inputs) if (references.includes(ref)) yield `${ref} is both an input and a reference`;
  if (commands.length === 0) yield "it has no command";
  for (const contract of new Set(outputs.map((output) => output.contract)))
    if (packageOf(contract, facts) === undefined) yield `no contract package of this CPI has the contract ${contract}`;
}

/** Each thing that stands twice in a list. */
export function* repeats(refs: readonly StateRef[], what: string): Generator<string> {
  const seen = new Set<StateRef>();
  for (const ref of refs) {
    if (seen.has(ref)) yield `${what} ${ref} stands twice`;
    seen.add(ref);
  }
}

function metadata(facts: PlatformFacts): TransactionMetadata & Data {
  return {
    ledgerModel: LEDGER_MODEL,
    ledgerVersion: LEDGER_VERSION,
    transactionSubtype: "GENERAL",
    schemaVersion: 1,
    suite: 1,
    platformVersion: facts.platformVersion,
    cpiMetadata: identity(facts.cpi),
    cpkMetadata: facts.packages.map(identity),
    componentGroups: COMPONENT_GROUPS.map((kinds) => [...kinds]),
    membershipGroupParametersHash: facts.groupParametersHash,
  };
}

function outputInfo(output: TransactionProposal["outputs"][number], proposal: TransactionProposal, facts: PlatformFacts): Data {
  const { name, version, signerSummaryHash } = packageOf(output.contract, facts) as InstalledPackage;
  const { encumbrance: tag } = output;
  return {
    type: output.type,
    version: output.version,
    contract: output.contract,
    cpk: { name, version, signerSummaryHash },
    notary: proposal.notary,
    notaryKey: facts.notaryKey as PublicKeyText,
    encumbrance: tag === undefined ? null : { tag, size: encumbranceSizes(proposal).get(tag) ?? 0 },
  };
}

const identity = ({ name, version, signerSummaryHash, fileChecksum }: CpkIdentity) => ({ name, version, signerSummaryHash, fileChecksum });

const packageOf = (contract: string, { packages }: PlatformFacts): InstalledPackage | undefined =>
  packages.find(({ contracts }) => contracts.includes(contract));

function encumbranceSizes({ outputs }: TransactionProposal): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { encumbrance } of outputs) if (encumbrance !== undefined) sizes.set(encumbrance, (sizes.get(encumbrance) ?? 0) + 1);
  return sizes;
}

function isName(text: string): text is X500Name {
  try {
    return parseName(text) === text;
  } catch (error) {
    if (error instanceof BowlineError) return false;
    throw error;
  }
}
