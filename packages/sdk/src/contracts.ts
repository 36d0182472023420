// Contract code as the platform calls it: synchronous, pure, on a frozen transaction; and what a state tells of itself.

import type { Data } from "@bowline/base";
import { Check } from "typebox/schema";
import type { ContractViolation, StateDescription } from "./activation.ts";
import type { ContractDefinition, StateDefinition } from "./definition.ts";
import { FlowError, failureOf } from "./failure.ts";
import { deepFreeze, fitting, plain } from "./plain.ts";
import type { StateAndRef, TransactionView } from "./transaction.ts";

/**
 * Every rule that the transaction breaks, of the contracts that are to judge it. Data under them that fits no schema is
 * a broken rule too, and a contract runs only over data that does fit.
 */
export function brokenRules(
  states: readonly StateDefinition[],
  contracts: ReadonlyMap<string, ContractDefinition>,
  { transaction, judges }: { readonly transaction: Data; readonly judges: readonly string[] },
): readonly ContractViolation[] {
  const view = deepFreeze(transaction as unknown as TransactionView);
  const violations: ContractViolation[] = [];
  for (const name of judges) {
    const contract = contracts.get(name);
    const check = (rule: () => void): boolean => {
      try {
        rule();
        return true;
      } catch (thrown) {
        violations.push({ contract: name, failure: failureOf(thrown) });
        return false;
      }
    };
    if (contract === undefined) {
      check(() => {
        throw new FlowError("contract.unknown", `This package has no contract ${name}.`);
      });
      continue;
    }
    const commands = view.commands.filter((command) => command.contract === name);
    const fits = [
      ...commands.map((command) => check(() => checkCommand(contract, command))),
      ...statesUnder(view, name).map((state) => check(() => checkState(states, state))),
    ];
    if (fits.every((fit) => fit)) check(() => runContract(contract, view));
  }
  return violations;
}

const statesUnder = (view: TransactionView, contract: string): readonly StateAndRef[] =>
  [...view.inputs, ...view.references, ...view.outputs].filter(({ state }) => state.contract === contract);

function runContract(contract: ContractDefinition, view: TransactionView): void {
  const returned: unknown = contract.verify(view);
  // A promise would be a verdict that comes too late to count.
  if (returned instanceof Promise) {
    returned.catch(() => {});
    throw new FlowError("contract.asynchronous", `Contract ${contract.name} must verify at once: its verify may not be async.`);
  }
}

function checkCommand(contract: ContractDefinition, { type, data }: TransactionView["commands"][number]): void {
  const schema = Object.hasOwn(contract.commands, type) ? contract.commands[type] : undefined;
  if (schema === undefined) throw new FlowError("contract.commandUnknown", `Contract ${contract.name} has no command ${type}.`);
  fitting(schema, data, "contract.commandInvalid", `command ${type}`);
}

function checkState(states: readonly StateDefinition[], { ref, state }: StateAndRef): void {
  const definition = states.find(({ name, version }) => name === state.type && version === state.version);
  if (definition === undefined) {
    throw new FlowError("state.unknown", `This package has no state ${state.type} of version ${state.version} (${ref}).`);
  }
  if (definition.contract !== state.contract) {
    throw new FlowError(
      "state.wrongContract",
      `State ${state.type} is under contract ${definition.contract}, not ${state.contract} (${ref}).`,
    );
  }
  fitting(definition.schema, state.data, "state.invalid", `state ${ref}`);
}

/** Of the newest version that the data fits. Throws `state.unknown` or `state.invalid`. */
export function describeState(
  states: readonly StateDefinition[],
  { type, data }: { readonly type: string; readonly data: Data },
): StateDescription {
  const candidates = states.filter(({ name }) => name === type).sort((a, b) => b.version - a.version);
  const definition = candidates.find(({ schema }) => Check(schema, data)) ?? candidates[0];
  if (definition === undefined) throw new FlowError("state.unknown", `This package has no state ${type}.`);
  const frozen = deepFreeze(fitting(definition.schema, data, "state.invalid", `state ${type}`));
  const json = definition.json === undefined ? frozen : definition.json(frozen);
  return { participants: [...definition.participants(frozen)], json: plain(json, `the JSON form of ${type}`) };
}
