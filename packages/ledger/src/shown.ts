// What a filtered transaction proves, read: its leaves as what they say, each with its place.

import type { StateAndRef } from "@bowline/sdk";
import type { ShownGroup, ShownTransaction } from "@bowline/sdk/filtered";
import type { ShownParts } from "./filter.ts";
import { commandInfoOf, commandOf, GROUP, nameOf, publicKeyOf, stateRef, stateRefOf, timeWindowOf } from "./leaves.ts";
import { stateAndRef } from "./transaction.ts";

/** Throws the code of a leaf that is not what its group holds. */
export function shownTransaction({ id, groupId, metadata, groups }: ShownParts): ShownTransaction {
  const read = <T>(group: number, value: (leaf: Uint8Array, index: number) => T): ShownGroup<T> | undefined => {
    const shown = groups[group];
    if (shown === undefined) return undefined;
    const items = [...shown.leaves].map(([index, leaf]) => ({ index, value: value(leaf, index) }));
    return { count: shown.count, complete: shown.complete, items };
  };
  /** That the description is shown too was seen when the proof was. */
  const described = (group: number, index: number) => groups[group]?.leaves.get(index) as Uint8Array;
  const notary = groups[GROUP.notary]?.leaves;
  const [name, key, window] = [notary?.get(0), notary?.get(1), notary?.get(2)];
  return whatIsThere({
    id,
    groupId,
    metadata,
    notary: name && nameOf(name),
    notaryKey: key && publicKeyOf(key),
    timeWindow: window && timeWindowOf(window),
    signatories: read(GROUP.signatories, publicKeyOf),
    inputs: read(GROUP.inputs, stateRefOf),
    references: read(GROUP.references, stateRefOf),
    outputs: read(
      GROUP.outputs,
      (data, index): StateAndRef => stateAndRef({ ref: stateRef(id, index), info: described(GROUP.outputsInfo, index), data }),
    ),
    commands: read(GROUP.commands, (leaf, index) => {
      const { type, contract } = commandInfoOf(described(GROUP.commandsInfo, index));
      return { type, contract, data: commandOf(leaf).data };
    }),
  });
}

/** What is undefined is left out, as data wants it. */
const whatIsThere = (parts: { readonly [Name in keyof ShownTransaction]-?: ShownTransaction[Name] | undefined }): ShownTransaction =>
  Object.fromEntries(Object.entries(parts).filter(([, part]) => part !== undefined)) as unknown as ShownTransaction;
