// The past of what a party is shown: whole, transaction by transaction, where the notary has seen none of it; and where the
// notary verifies, its word alone on each state that is used. (docs/decisions/009-bounded-history.md)
//
// Guarantee: whoever relies on a notary's word relies on a notary that verifies, by the group parameters in force here. What the
// peer says of that is not asked.

import type { SecureHash } from "@bowline/base";
import { type FlowContext, FlowError, type SessionId, type StateRef } from "@bowline/sdk";
import { ask, writeVault } from "./asking.ts";
import { type Resolved, resolveFromPeer } from "./backchain.flow.ts";
import type { FilteredDependency } from "./dependencies.ts";
import { decodeGroupParameters, notaryOf } from "./group-parameters.ts";
import type { LedgerServices } from "./ports.ts";
import type { Transaction } from "./transaction.ts";

type Proving = LedgerServices["verification.dependencies"]["request"]["proving"];

/** What goes with a transaction whose notary verifies; undefined where its past is served on request. */
export async function showPast(
  context: FlowContext,
  { notary, inputs, references }: Pick<Transaction, "notary" | "inputs" | "references">,
): Promise<readonly FilteredDependency[] | undefined> {
  const refs = [...inputs, ...references];
  if (refs.length === 0) return undefined;
  const service = await context.notaries.lookup(notary);
  return service === undefined || service.backchainRequired ? undefined : ask(context, "vault.dependencies", { refs });
}

/** Inputs and references, proven as the notary's group parameters ask: from rows of this vault, which are there afterwards. */
export async function resolvePast(
  context: FlowContext,
  session: SessionId,
  shown: {
    readonly proving: Proving;
    readonly dependencies: readonly FilteredDependency[] | undefined;
    readonly groupParameters: Uint8Array;
  },
): Promise<Resolved> {
  const { proving, dependencies, groupParameters } = shown;
  const notary = notaryOf(decodeGroupParameters(groupParameters), proving.notary);
  const refs: readonly StateRef[] = [...proving.inputs, ...proving.references];
  if (refs.length === 0 || notary === undefined || notary.backchainRequired) return resolveFromPeer(context, session, proving);
  if (dependencies === undefined)
    throw new FlowError(
      "ledger.dependenciesMissing",
      `Notary ${proving.notary} verifies, and nothing came that proves what ${proving.id} builds upon.`,
    );
  const { mac, ...resolved } = await ask(context, "verification.dependencies", {
    proving: provingOf(proving),
    dependencies,
    groupParameters,
  });
  await writeVault(context, { kind: "filtered", dependencies, mac });
  return resolved;
}

/** Of a transaction nothing else goes to the role. */
const provingOf = ({ id, groupId, notary, inputs, references }: Proving): Proving & { readonly id: SecureHash } => ({
  id,
  groupId,
  notary,
  inputs,
  references,
});
