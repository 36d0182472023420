// States that outlive the code that wrote them. A state on the ledger never changes: what it says stays what it said, in the version of
// its schema in which it was written. A newer package names the versions before its own, each with its schema and the way onwards, and
// from then on its contracts and flows see every state in the newest version.

import type { Data } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { OlderVersion } from "./canonical.ts";
import type { StateDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import type { StateAndRef, StateData } from "./transaction.ts";

/** The oldest version that a definition reads. */
export const oldestVersion = ({ version, older = [] }: Pick<StateDefinition, "version" | "older">): number => version - older.length;

/** Throws `cordapp.versionsWrong` on a definition that counts its versions wrongly. */
export function requireVersions({ name, version, older = [] }: StateDefinition): void {
  if (!Number.isSafeInteger(version) || version < 1 || older.length >= version)
    throw new FlowError("cordapp.versionsWrong", `State ${name} is of version ${version}, with ${older.length} versions before it.`);
}

/**
 * A state's data in the version of the definition, read from what may be an older one.
 * Throws `state.unknown`, `state.wrongContract` or `state.invalid`, or what an `upgrade` throws.
 *
 * @example const [owed] = transaction.inputs.map((input) => dataOf(Obligation, input));
 */
export function dataOf<S extends TSchema>(definition: StateDefinition<S>, { ref, state }: Pick<StateAndRef, "ref" | "state">): Static<S> {
  const { name, version, schema, older = [] } = definition;
  requireKnown(definition, state, ref);
  const before: readonly OlderVersion[] = older.slice(state.version - oldestVersion(definition));
  let data = state.data;
  for (const [steps, old] of before.entries()) {
    const from = fitting(old.schema, data, "state.invalid", `state ${ref} of version ${state.version + steps}`);
    data = plain(old.upgrade(from), `version ${state.version + steps + 1} of ${name}`);
  }
  return fitting(schema, data, "state.invalid", before.length === 0 ? `state ${ref}` : `state ${ref}, brought to version ${version},`);
}

/** The state as its package's code sees it. */
export function inVersionOf<S extends TSchema>(
  definition: StateDefinition<S>,
  whole: StateAndRef,
): StateAndRef & { readonly state: { readonly data: Static<S> } } {
  const data = dataOf(definition, whole);
  return { ...whole, state: { ...whole.state, version: definition.version, data: data as Data } } as never;
}

function requireKnown(definition: StateDefinition, { type, version, contract }: StateData, ref: string): void {
  const oldest = oldestVersion(definition);
  if (type !== definition.name || version < oldest || version > definition.version)
    throw new FlowError(
      "state.unknown",
      `State ${ref} is a ${type} of version ${version}, and this package reads ${definition.name} of ${oldest === definition.version ? "version" : `versions ${oldest} to`} ${definition.version}.`,
    );
  if (definition.contract !== contract)
    throw new FlowError("state.wrongContract", `State ${type} is under contract ${definition.contract}, not ${contract} (${ref}).`);
}
