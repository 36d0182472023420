// What the constraints of the contract library judge: how one transaction changes the states of one type.
//
// Whatever the constraints, these rules hold, so that no command does more than its name says:
//   create  none -> some   what is there already is left alone
//   update  some -> some   no more of them than there were, unless their amounts are conserved or the author says so
//   delete  some -> none   or what remains, where amounts say how much that may be

import type { Data } from "@bowline/base";
import type { PublicKeyText, StateAndRef, TransactionView } from "./transaction.ts";

export type ChangeKind = "create" | "update" | "delete";

/** How a transaction changes the states of one type. */
export interface Change<T extends Data = Data> {
  readonly kind: ChangeKind;
  readonly consumed: readonly StateAndRef<T>[];
  readonly created: readonly StateAndRef<T>[];
  readonly transaction: TransactionView;
}

/** A rule that a transaction breaks: its stable code, and what it demands. */
export interface BrokenRule {
  readonly code: string;
  readonly rule: string;
}

/** A sort of states that obey rules of their own: fungible ones, ownable ones. Pure; knows nothing of other constraints. */
export interface Constraint<T extends Data = Data> {
  /** Whether its rules bound how much an update or a delete creates, so that the number of states may be any. */
  readonly bounds?: true;
  broken(change: Change<T>): readonly BrokenRule[];
}

export const unless = (condition: boolean, code: string, rule: string): readonly BrokenRule[] => (condition ? [] : [{ code, rule }]);

/** Of a key that stands for several, the platform sees to it that enough of them sign. */
export const isSignedBy = ({ transaction }: Pick<Change, "transaction">, key: PublicKeyText): boolean =>
  transaction.signatories.includes(key);

/** The rules above. `mayCreateMany` says whether an update may create any number of states, and whether a delete may create some. */
export function brokenByChange(
  { kind, consumed, created }: Change,
  mayCreateMany: { readonly update: boolean; readonly delete: boolean },
): readonly BrokenRule[] {
  switch (kind) {
    case "create":
      return [
        ...unless(created.length > 0, "create.nothing", "what creates states creates at least one"),
        ...unless(consumed.length === 0, "create.consumes", "what creates states consumes none"),
      ];
    case "update":
      return [
        ...unless(consumed.length > 0, "update.consumesNothing", "an update consumes at least one state"),
        ...unless(created.length > 0, "update.createsNothing", "an update creates at least one state"),
        ...unless(
          mayCreateMany.update || created.length <= consumed.length,
          "update.multiplies",
          "an update creates no more states than it consumes",
        ),
      ];
    case "delete":
      return [
        ...unless(consumed.length > 0, "delete.nothing", "what deletes states consumes at least one"),
        ...unless(mayCreateMany.delete || created.length === 0, "delete.creates", "what deletes states creates none"),
      ];
  }
}
