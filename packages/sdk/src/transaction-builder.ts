// How an author gathers a transaction. A builder is a value: each method gives a new one, so that a half-built
// transaction can be kept and finished in two ways.

import type { Data, X500Name } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { ContractDefinition, StateDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import { deepFreeze, fitting, plain } from "./plain.ts";
import type { PublicKeyText, StateAndRef, StateRef, TransactionProposal } from "./transaction.ts";
import { brokenTransactionRules, type GatheredTransaction, listed, worded } from "./transaction-rules.ts";

export interface TransactionBuilder {
  /** All that is in it: where it came from a counterparty, look here before you go on. */
  readonly gathered: GatheredTransaction;
  /** What came from a counterparty, if this was made of that: it can be added to, and not changed. */
  readonly received?: GatheredTransaction;
  notary(name: X500Name | string): TransactionBuilder;
  /** Not before this moment, milliseconds since 1970. */
  from(instant: number): TransactionBuilder;
  /** Before this moment. Mandatory. */
  until(instant: number): TransactionBuilder;
  /** Consumes these states. */
  input(...states: readonly (StateRef | StateAndRef)[]): TransactionBuilder;
  /** Shows these states without consuming them. */
  reference(...states: readonly (StateRef | StateAndRef)[]): TransactionBuilder;
  /** Outputs of one encumbrance can only be consumed together. */
  output<S extends TSchema>(state: StateDefinition<S>, data: Static<S>, options?: { readonly encumbrance?: string }): TransactionBuilder;
  command(contract: ContractDefinition, type: string, data?: Data): TransactionBuilder;
  /** Who must sign. Keys that are there already are not added again. */
  signedBy(...keys: readonly PublicKeyText[]): TransactionBuilder;
  /** Throws `transaction.invalid` with every rule that is broken: its message words them, and `details.failures` has a line for each, which begins with its code. */
  build(): TransactionProposal;
}

/**
 * @example
 * const proposal = transaction().notary(notary.name).until((await ctx.now()) + 60_000)
 *   .output(Obligation, data).command(ObligationContract, "Issue").signedBy(debtor.key, creditor.key).build();
 */
export const transaction = (): TransactionBuilder => builderOf({ inputs: [], references: [], outputs: [], commands: [], signatories: [] });

export function builderOf(gathered: GatheredTransaction, received?: GatheredTransaction): TransactionBuilder {
  const and = (more: Partial<GatheredTransaction>): TransactionBuilder => builderOf({ ...gathered, ...more }, received);
  return {
    gathered: deepFreeze(gathered),
    ...(received === undefined ? {} : { received }),
    notary: (name) => and({ notary: name as X500Name }),
    from: (from) => and({ from }),
    until: (until) => and({ until }),
    input: (...states) => and({ inputs: [...gathered.inputs, ...states.map(refOf)] }),
    reference: (...states) => and({ references: [...gathered.references, ...states.map(refOf)] }),
    output({ name, version, contract, schema }, data, { encumbrance } = {}) {
      const fit = fitting(schema, plain(data, `the data of ${name}`), "transaction.invalid", `state ${name}`) as Data;
      const output = { type: name, version, contract, data: fit, ...(encumbrance === undefined ? {} : { encumbrance }) };
      return and({ outputs: [...gathered.outputs, output] });
    },
    command(contract, type, data = {}) {
      const schema = Object.hasOwn(contract.commands, type) ? contract.commands[type] : undefined;
      if (schema === undefined) throw new FlowError("transaction.invalid", `Contract ${contract.name} has no command ${type}.`);
      const fit = fitting(schema, plain(data, `command ${type}`), "transaction.invalid", `command ${type}`) as Data;
      return and({ commands: [...gathered.commands, { type, contract: contract.name, data: fit }] });
    },
    signedBy: (...keys) => and({ signatories: [...new Set([...gathered.signatories, ...keys])] }),
    build: () => build(gathered),
  };
}

const refOf = (state: StateRef | StateAndRef): StateRef => (typeof state === "string" ? state : state.ref);

/** The platform checks the same again, on what it is given. */
function build({ notary, from, until, ...lists }: GatheredTransaction): TransactionProposal {
  const timeWindow = { ...(from === undefined ? {} : { from }), ...(until === undefined ? {} : { until }) };
  const failures = [...brokenTransactionRules({ notary, timeWindow, ...lists })];
  if (failures.length > 0 || notary === undefined || until === undefined)
    throw new FlowError("transaction.invalid", `This is no transaction: ${worded(failures)}.`, listed(failures));
  return { notary, timeWindow: { ...timeWindow, until }, ...lists };
}
