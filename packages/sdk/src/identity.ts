// States that remain the same thing while they change: known by an id, or linked to what they were before.
//
// A thing is called by the reference of the state that it began as. The first state cannot know its own reference, so its id
// is null; all that follow carry it.

import type { Data } from "@bowline/base";
import type { TSchema } from "typebox";
import * as Type from "typebox";
import { type BrokenRule, type Change, type Constraint, unless } from "./change.ts";
import type { StateDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import { inVersionOf } from "./state-versions.ts";
import type { StateAndRef, StateRef } from "./transaction.ts";

/** The reference of a state, as a state holds it: an id, or a pointer. */
export const StatePointer = Type.String({
  pattern: "^((SHA-256D?|SHA3-256):[0-9A-F]{64}|SHA-384:[0-9A-F]{96}|SHA-512:[0-9A-F]{128}):(0|[1-9][0-9]{0,8})$",
});

/** What the state is called: its id, or where it is the first one, its own reference. */
export const identityOf = (ref: StateRef, id: StateRef | null): StateRef => id ?? ref;

/**
 * Nothing is there twice, and nobody gives a thing the id of another: who is created has no id yet, and who is updated keeps
 * its own.
 *
 * @example identifiable(({ id }) => id)
 */
export const identifiable = <T extends Data>(idOf: (state: T) => StateRef | null): Constraint<T> => ({
  broken({ kind, consumed, created }) {
    const before = consumed.map(({ ref, state }) => identityOf(ref, idOf(state.data)));
    const after = created.map(({ state }) => idOf(state.data)).filter((id) => id !== null);
    const areDistinct = isDistinct(before) && isDistinct(after);
    return [
      ...unless(kind !== "create" || after.length === 0, "identifiable.createIdentified", "what is created has no id yet"),
      ...unless(areDistinct, "identifiable.idRepeated", "no two states that are consumed, or created, have one id"),
      ...unless(
        kind === "create" || after.every((id) => before.includes(id)),
        "identifiable.idUnknown",
        "the id of what is created is that of a state which is consumed",
      ),
    ];
  },
});

/**
 * Every state says which one it follows; none has two that follow it.
 *
 * @example chainable(({ previous }) => previous)
 */
export const chainable = <T extends Data>(previousOf: (state: T) => StateRef | null): Constraint<T> => ({
  broken(change) {
    const pointers = change.created.map(({ state }) => previousOf(state.data));
    switch (change.kind) {
      case "create":
        return unless(
          pointers.every((pointer) => pointer === null),
          "chainable.createLinked",
          "what is created follows nothing",
        );
      case "update":
        return brokenLinks(change, pointers);
      case "delete":
        return [];
    }
  },
});

function brokenLinks({ consumed }: Pick<Change, "consumed">, pointers: readonly (StateRef | null)[]): readonly BrokenRule[] {
  const linked = pointers.filter((pointer) => pointer !== null);
  return [
    ...unless(linked.length === pointers.length, "chainable.updateUnlinked", "what an update creates says which state it follows"),
    ...unless(
      linked.every((pointer) => consumed.some(({ ref }) => ref === pointer)),
      "chainable.linkElsewhere",
      "what an update creates follows a state which is consumed",
    ),
    ...unless(isDistinct(linked), "chainable.linkRepeated", "no two states follow the same one"),
  ];
}

const isDistinct = (texts: readonly string[]): boolean => new Set(texts).size === texts.length;

/**
 * The state that a pointer points at, among those of a transaction (`transaction.references`, say) or those that
 * `context.vault.resolve` gave; in the newest version of its type. Throws `pointer.unresolved` where none of this type is.
 */
export function pointed<S extends TSchema>(definition: StateDefinition<S>, pointer: StateRef, among: readonly StateAndRef[]) {
  const found = among.find(({ ref, state }) => ref === pointer && state.type === definition.name);
  if (found !== undefined) return inVersionOf(definition, found);
  throw new FlowError("pointer.unresolved", `There is no ${definition.name} ${pointer} here.`, { pointer });
}
