// Contract code as the platform calls it: synchronous, pure, on a frozen transaction; and what a state tells of itself.

import type { Data } from "@bowline/base";
import type { ContractViolation, StateDescription } from "./activation.ts";
import type { ContractDefinition, StateDefinition } from "./definition.ts";
import { FlowError, failureOf } from "./failure.ts";
import { deepFreeze, fitting, plain } from "./plain.ts";
import { inVersionOf } from "./state-versions.ts";
import { describeToken } from "./tokens.ts";
import type { ContractTransaction, StateAndRef } from "./transaction.ts";
import { visibilityOf } from "./visibility.ts";

/** Definitions by name. */
type States = ReadonlyMap<string, StateDefinition>;

/**
 * Every rule that the transaction breaks, of the contracts that are to judge it. Data under them that fits no schema is
 * a broken rule too, and a contract runs only over data that does fit: in the newest version of each state that is its own.
 */
export function brokenRules(
  states: States,
  contracts: ReadonlyMap<string, ContractDefinition>,
  { transaction, judges }: { readonly transaction: Data; readonly judges: readonly string[] },
): readonly ContractViolation[] {
  const view = deepFreeze(transaction as unknown as ContractTransaction);
  return judges.flatMap((name) => {
    const contract = contracts.get(name);
    const failures = contract === undefined ? [unknownContract(name)] : failuresOf(contract, states, view);
    return failures.map((thrown) => ({ contract: name, failure: failureOf(thrown) }));
  });
}

const unknownContract = (name: string): FlowError => new FlowError("contract.unknown", `This package has no contract ${name}.`);

/** What was thrown. */
function failuresOf(contract: ContractDefinition, states: States, view: ContractTransaction): readonly unknown[] {
  const failures: unknown[] = [];
  const attempt = <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (thrown) {
      failures.push(thrown);
      return undefined;
    }
  };
  for (const command of view.commands.filter((one) => one.contract === contract.name)) attempt(() => checkCommand(contract, command));
  const seen = (all: readonly StateAndRef[]): readonly StateAndRef[] =>
    all.map((one) => (one.state.contract === contract.name ? (attempt(() => current(states, one)) ?? one) : one));
  const newest = { ...view, inputs: seen(view.inputs), references: seen(view.references), outputs: seen(view.outputs) };
  if (failures.length === 0) attempt(() => runContract(contract, deepFreeze(newest)));
  return failures;
}

function runContract(contract: ContractDefinition, view: ContractTransaction): void {
  const returned: unknown = contract.verify(view);
  // A promise would be a verdict that comes too late to count.
  if (returned instanceof Promise) {
    returned.catch(() => {});
    throw new FlowError("contract.asynchronous", `Contract ${contract.name} must verify at once: its verify may not be async.`);
  }
}

function checkCommand(contract: ContractDefinition, { type, data }: ContractTransaction["commands"][number]): void {
  const schema = Object.hasOwn(contract.commands, type) ? contract.commands[type] : undefined;
  if (schema === undefined) throw new FlowError("contract.commandUnknown", `Contract ${contract.name} has no command ${type}.`);
  fitting(schema, data, "contract.commandInvalid", `command ${type}`);
}

function current(states: States, whole: StateAndRef): StateAndRef {
  const definition = states.get(whole.state.type);
  if (definition !== undefined) return inVersionOf(definition, whole);
  throw new FlowError("state.unknown", `This package has no state ${whole.state.type} (${whole.ref}).`);
}

/** Of an output, which is in the newest version. Throws `state.unknown` or `state.invalid`. */
export function describeState(states: States, { type, data }: { readonly type: string; readonly data: Data }): StateDescription {
  const definition = states.get(type);
  if (definition === undefined) throw new FlowError("state.unknown", `This package has no state ${type}.`);
  const frozen = deepFreeze(fitting(definition.schema, data, "state.invalid", `state ${type}`));
  const json = definition.json === undefined ? frozen : definition.json(frozen);
  const visible = visibilityOf(definition, frozen as Data);
  const token = definition.token?.(frozen) ?? null;
  return {
    participants: [...definition.participants(frozen)],
    json: plain(json, `the JSON form of ${type}`),
    ...(visible === undefined ? {} : { visible }),
    ...(token === null ? {} : { token: describeToken(type, token) }),
  };
}
