// Contracts that are put together from constraints: which commands change states of a type in which way, and what always holds.
//
// Guarantees: where states of a type are consumed or created, exactly one command of their rules is there. States under the
// contract that no rules are given for are refused. All rules that are broken are reported together; an author's own rules
// run when none is, and may rely on all of them.

import type { Data } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import * as Type from "typebox";
import { type BrokenRule, brokenByChange, type Change, type ChangeKind, type Constraint, unless } from "./change.ts";
import { type ContractDefinition, contract, type StateDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import type { StateAndRef, StateData, TransactionView } from "./transaction.ts";

export interface CommandRules<T extends Data, D extends TSchema = TSchema> {
  readonly change: ChangeKind;
  /** What the command says; nothing where nothing is said. */
  readonly data?: D;
  /** Throws where a rule of its own is broken, as a contract does. */
  verify?(change: Change<T>, data: Static<D>): void;
}

export interface StateRules<T extends Data, C extends Readonly<Record<string, TSchema>>> {
  readonly commands: { readonly [K in keyof C]: ChangeKind | CommandRules<T, C[K]> };
  readonly constraints: readonly Constraint<T>[];
  /** An update may create more states than it consumes, though no constraint bounds them: the author's own rules do. */
  readonly multiplies?: boolean;
}

/** The rules for one type of state: values, made by `rulesFor`. */
export interface Rules {
  readonly commands: Readonly<Record<string, TSchema>>;
  readonly contract: string;
  covers(state: StateData): boolean;
  broken(transaction: TransactionView): readonly BrokenRule[];
  /** The author's own. */
  verify(transaction: TransactionView): void;
}

export interface ConstrainedContract {
  readonly name: string;
  readonly rules: readonly Rules[];
  /** Rules of the whole transaction, beside those of its states. */
  verify?(transaction: TransactionView): void;
}

const NO_DATA = Type.Object({}, { additionalProperties: false });

/**
 * @example
 * export const CashContract = constrainedContract({
 *   name: "com.example.CashContract",
 *   rules: [
 *     rulesFor(Cash, {
 *       commands: { Issue: "create", Pay: "update", Redeem: "delete" },
 *       constraints: [
 *         fungible({ amount: ({ amount }) => amount, kind: ({ currency, issuer }) => [currency, issuer.key] }),
 *         issuable(({ issuer }) => issuer.key),
 *         ownable(({ owner }) => owner.key),
 *       ],
 *     }),
 *   ],
 * });
 */
export function constrainedContract({ name, rules, verify }: ConstrainedContract): ContractDefinition {
  const commands = new Map<string, TSchema>();
  for (const each of rules) {
    if (each.contract !== name) throw wrong(`the rules of contract ${name} are for a state under ${each.contract}`);
    for (const [command, schema] of Object.entries(each.commands)) {
      if (commands.has(command)) throw wrong(`two states under contract ${name} have a command ${command}`);
      commands.set(command, schema);
    }
  }
  return contract({
    name,
    commands: Object.fromEntries(commands),
    verify(transaction) {
      refuse([...uncovered(name, rules, transaction), ...rules.flatMap((each) => each.broken(transaction))]);
      for (const each of rules) each.verify(transaction);
      verify?.(transaction);
    },
  });
}

/** What may be done with states of one type, which the platform shows in its newest version. */
export function rulesFor<S extends TSchema, const C extends Readonly<Record<string, TSchema>>>(
  { name, contract: under }: StateDefinition<S>,
  { commands, constraints, multiplies = false }: StateRules<Static<S> & Data, C>,
): Rules {
  type T = Static<S> & Data;
  const known = commandRules<T>(commands);
  const covers = ({ type, contract }: StateData): boolean => type === name && contract === under;
  // A contract runs over states that fit its schemas.
  const among = (states: readonly StateAndRef[]) => states.filter((each): each is StateAndRef<T> => covers(each.state));
  const areBounded = constraints.some(({ bounds }) => bounds === true);
  const mayCreateMany = { update: areBounded || multiplies, delete: areBounded };
  /** Each command of these rules, with the change that it says the transaction is. */
  const commanded = (transaction: TransactionView) =>
    transaction.commands.flatMap(({ contract, type, data }) => {
      const rules = contract === under ? known.get(type) : undefined;
      if (rules === undefined) return [];
      const change: Change<T> = {
        kind: rules.change,
        consumed: among(transaction.inputs),
        created: among(transaction.outputs),
        transaction,
      };
      return [{ rules, change, data }];
    });
  return {
    commands: Object.fromEntries([...known].map(([name, { data = NO_DATA }]) => [name, data])),
    contract: under,
    covers,
    broken(transaction) {
      const [command, another] = commanded(transaction);
      if (command === undefined) {
        const changes = [...transaction.inputs, ...transaction.outputs].some((each) => covers(each.state));
        return unless(!changes, "change.commandMissing", `a command says how states of ${name} change`);
      }
      return [
        ...unless(another === undefined, "change.commandRepeated", `one command says how states of ${name} change, not several`),
        ...brokenByChange(command.change, mayCreateMany),
        ...constraints.flatMap((constraint) => constraint.broken(command.change)),
      ];
    },
    verify(transaction) {
      for (const { rules, change, data } of commanded(transaction)) rules.verify?.(change, data);
    },
  };
}

/** An entry may be no more than the kind of the change. */
const commandRules = <T extends Data>(commands: Readonly<Record<string, ChangeKind | CommandRules<T>>>) =>
  new Map<string, CommandRules<T>>(
    Object.entries(commands).map(([name, rules]) => [name, typeof rules === "string" ? { change: rules } : rules]),
  );

/** A state that no rules are for could be made and taken by anyone. */
function uncovered(contract: string, rules: readonly Rules[], { inputs, outputs }: TransactionView): readonly BrokenRule[] {
  const strange = [...inputs, ...outputs].find(({ state }) => state.contract === contract && !rules.some((each) => each.covers(state)));
  return unless(strange === undefined, "change.stateUncovered", `${contract} has rules for ${strange?.state.type}`);
}

/** The failure is of the first rule's type, and tells of all. */
function refuse(broken: readonly BrokenRule[]): void {
  const [first] = broken;
  if (first === undefined) return;
  const rules = broken.map(({ rule }) => rule).join("; ");
  throw new FlowError(first.code, `Broken rule${broken.length === 1 ? "" : "s"}: ${rules}.`, {
    rules: broken.map(({ code }) => code).join(" "),
  });
}

const wrong = (why: string): FlowError => new FlowError("rules.invalid", `These are no rules of a contract: ${why}.`);
