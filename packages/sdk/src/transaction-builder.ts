// How an author gathers a transaction. A builder is a value: each method gives a new one, so that a half-built
// transaction can be kept and finished in two ways.

import type { Data, X500Name } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { ContractDefinition, StateDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import { fitting, plain } from "./plain.ts";
import type { PublicKeyText, StateAndRef, StateRef, TransactionProposal } from "./transaction.ts";

type Gathered = Omit<TransactionProposal, "notary" | "timeWindow"> & {
  readonly notary?: X500Name;
  readonly from?: number;
  readonly until?: number;
};

export interface TransactionBuilder {
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
  /** Throws `transaction.incomplete` or `transaction.invalid`, naming what is missing or wrong. */
  build(): TransactionProposal;
}

/**
 * @example
 * const proposal = transaction().notary(notary.name).until((await ctx.now()) + 60_000)
 *   .output(Obligation, data).command(ObligationContract, "Issue").signedBy(debtor.key, creditor.key).build();
 */
export const transaction = (): TransactionBuilder => builder({ inputs: [], references: [], outputs: [], commands: [], signatories: [] });

function builder(gathered: Gathered): TransactionBuilder {
  const and = (more: Partial<Gathered>): TransactionBuilder => builder({ ...gathered, ...more });
  return {
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

/** The checks of a builder, in their order; the platform repeats them on what it is given. */
function build({ notary, from, until, ...lists }: Gathered): TransactionProposal {
  const { inputs, references, outputs, commands, signatories } = lists;
  if (notary === undefined) throw incomplete("a notary");
  if (until === undefined) throw incomplete("a time window: say `until` when it ends");
  if (from !== undefined && from >= until) throw invalid(`its time window ends at ${until}, not after ${from} where it begins`);
  for (const [encumbrance, count] of encumbrances(outputs)) {
    if (count < 2) throw invalid(`encumbrance ${encumbrance} holds one output only; it takes two to bind each other`);
  }
  if (signatories.length === 0) throw incomplete("a signatory");
  if (inputs.length === 0 && outputs.length === 0) throw incomplete("an input or an output");
  refuseRepeats(inputs, "an input");
  refuseRepeats(references, "a reference");
  const both = inputs.find((ref) => references.includes(ref));
  if (both !== undefined) throw invalid(`${both} is an input and a reference`);
  if (commands.length === 0) throw incomplete("a command");
  return { notary, timeWindow: { ...(from === undefined ? {} : { from }), until }, ...lists };
}

function encumbrances(outputs: TransactionProposal["outputs"]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { encumbrance } of outputs) {
    if (encumbrance !== undefined) counts.set(encumbrance, (counts.get(encumbrance) ?? 0) + 1);
  }
  return counts;
}

function refuseRepeats(refs: readonly StateRef[], what: string): void {
  const repeated = refs.find((ref, index) => refs.indexOf(ref) !== index);
  if (repeated !== undefined) throw invalid(`${repeated} is ${what} twice`);
}

const incomplete = (what: string): FlowError => new FlowError("transaction.incomplete", `A transaction needs ${what}.`);
const invalid = (why: string): FlowError => new FlowError("transaction.invalid", `This is no transaction: ${why}.`);
