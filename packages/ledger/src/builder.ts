// From what an author proposes to a transaction's bytes. The platform adds all that an author may not say: metadata, notary
// key, salt, whose code guards each output.

import { BowlineError, badRequest, type Data, encode, parseName, type SecureHash, type X500Name } from "@bowline/base";
import type { LedgerDigest } from "@bowline/crypto";
import type { PublicKeyText, TransactionProposal } from "@bowline/sdk";
import { brokenTransactionRules, encumbranceSizes, listed, type RuleFailure, worded } from "@bowline/sdk/transaction-rules";
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
  /** Which the group has chosen. */
  readonly digest: LedgerDigest;
  /** Of the notary that the proposal names; undefined where the group parameters do not list it. */
  readonly notaryKey: PublicKeyText | undefined;
  /** 32 random bytes, journaled. */
  readonly salt: Uint8Array;
}

/** Throws `ledger.proposalInvalid` with everything that is wrong, not just the first of it. */
export function buildTransaction(proposal: TransactionProposal, facts: PlatformFacts): Transaction {
  const failures = [...proposalFailures(proposal, facts)];
  if (failures.length > 0)
    throw badRequest("ledger.proposalInvalid", `This transaction cannot be built: ${worded(failures)}.`, listed(failures));
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

/** The rules of every transaction, and what only the platform can see. */
function* proposalFailures(proposal: TransactionProposal, facts: PlatformFacts): Generator<RuleFailure> {
  const { notary, outputs } = proposal;
  yield* brokenTransactionRules(proposal);
  for (const contract of new Set(outputs.map((output) => output.contract)))
    if (packageOf(contract, facts) === undefined)
      yield { code: "transaction.contractUnknown", message: `no contract package of this CPI has the contract ${contract}` };
  if (notary === undefined) return; // The rule that names it has said so.
  if (!isName(notary)) yield { code: "transaction.notaryMalformed", message: `the notary "${notary}" is not a name in canonical form` };
  else if (facts.notaryKey === undefined)
    yield { code: "transaction.notaryUnlisted", message: `the group parameters list no notary ${notary}` };
}

function metadata(facts: PlatformFacts): TransactionMetadata & Data {
  return {
    ledgerModel: LEDGER_MODEL,
    ledgerVersion: LEDGER_VERSION,
    transactionSubtype: "GENERAL",
    schemaVersion: 1,
    digest: facts.digest,
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
    encumbrance: tag === undefined ? null : { tag, size: encumbranceSizes(proposal.outputs).get(tag) ?? 0 },
  };
}

const identity = ({ name, version, signerSummaryHash, fileChecksum }: CpkIdentity) => ({ name, version, signerSummaryHash, fileChecksum });

const packageOf = (contract: string, { packages }: PlatformFacts): InstalledPackage | undefined =>
  packages.find(({ contracts }) => contracts.includes(contract));

function isName(text: string): text is X500Name {
  try {
    return parseName(text) === text;
  } catch (error) {
    if (error instanceof BowlineError) return false;
    throw error;
  }
}
