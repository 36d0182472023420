// The runtime that is bundled with every CorDapp, and that runs the platform's own flows in process.
//
// Guarantees: steps are numbered in the order in which they are asked, so that the same code and the same answers ask
// the same steps again; nothing here looks at a clock, at randomness or at anything but what it is handed. It runs as
// Hardened JavaScript: no host object is used.

import type { CordappBundle, CordappManifest, CordappRuntime, Delivery, FiberReport, FiberStart } from "./activation.ts";
import { freezeAll } from "./constants.ts";
import { brokenRules, describeState } from "./contracts.ts";
import type { CordappDefinition, FlowDefinition, ResponderDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import { Fiber } from "./fiber.ts";
import { callFlow, contextOf } from "./flow-context.ts";
import { manifestOf } from "./manifest.ts";
import { sessionOf } from "./sessions.ts";
import { requireQueries } from "./state-query.ts";
import { requireVersions } from "./state-versions.ts";

/**
 * What a package's entry exports as `cordapp`.
 *
 * @example export const cordapp = bundle({ flows: [IssueObligation], states: [], contracts: [] })
 */
export function cordapp(definition: CordappDefinition): CordappBundle {
  freezeAll(definition); // Functions and schemas too.
  return withRuntime(definition, manifestOf(definition));
}

function withRuntime(definition: CordappDefinition, manifest: CordappManifest): CordappBundle {
  const runtime = runtimeOf(definition, manifest);
  let isHandedOver = false;
  const own = (): CordappRuntime => {
    if (!isHandedOver) return runtime;
    throw new FlowError("cordapp.handedOver", "Only the platform runs a CorDapp: its flows may not.");
  };
  return {
    manifest,
    fresh: () => withRuntime(definition, manifest),
    handOver() {
      const handed = own();
      isHandedOver = true;
      return handed;
    },
    start: (start) => own().start(start),
    deliver: (deliveries) => own().deliver(deliveries),
    collect: () => own().collect(),
    drop: (fiber) => own().drop(fiber),
    verify: (transaction, judges) => own().verify(transaction, judges),
    describeState: (state) => own().describeState(state),
  };
}

function runtimeOf(definition: CordappDefinition, manifest: CordappManifest): CordappRuntime {
  const flows = byName(definition.flows, "flow");
  const contracts = byName(definition.contracts, "contract");
  byName(definition.entities ?? [], "entity");
  byName(definition.queries ?? [], "query");
  requireQueries(manifest);
  const states = byName(definition.states, "state");
  for (const state of definition.states) requireVersions(state);
  const fibers = new Map<string, Fiber>();
  const touched = new Set<Fiber>();
  return {
    manifest,

    start(start: FiberStart): void {
      const fiber = new Fiber(start, definition.channels);
      fibers.set(start.fiber, fiber);
      touched.add(fiber);
      run(fiber, flows.get(start.flow));
    },

    deliver(deliveries: readonly Delivery[]): void {
      for (const delivery of deliveries) {
        const fiber = fibers.get(delivery.fiber);
        if (fiber === undefined) throw new FlowError("fiber.unknown", `There is no fiber ${delivery.fiber} here.`);
        fiber.deliver(delivery);
        touched.add(fiber);
      }
    },

    collect(): readonly FiberReport[] {
      const reports: FiberReport[] = [];
      for (const fiber of touched) {
        const report = fiber.report();
        if (report === undefined) continue;
        reports.push(report);
        if (report.finished !== undefined) fibers.delete(report.fiber);
      }
      touched.clear();
      return reports;
    },

    drop(fiber: string): void {
      fibers.delete(fiber);
    },

    verify: (transaction, judges) => brokenRules(states, contracts, { transaction, judges }),
    describeState: (state) => describeState(states, state),
  };
}

function run(fiber: Fiber, flow: FlowDefinition | ResponderDefinition | undefined): void {
  const { start } = fiber;
  fiber.run(async () => {
    const prefix = start.path === "" ? "" : `${start.path}.`;
    if (flow?.kind === "flow" && start.kind === "called") {
      return callFlow(flow, contextOf({ fiber, prefix, protocol: flow.initiates }), start.input);
    }
    if (flow?.kind === "responder" && start.kind === "initiated") {
      const scope = contextOf({ fiber, prefix, protocol: undefined });
      const { session: id, counterparty, version } = start;
      const { properties } = start.identity;
      await flow.call(scope.context, sessionOf(scope.ask, { id, counterparty, version, properties, awaited: false }));
      return null;
    }
    throw new FlowError("flow.unknown", `This package has no ${start.kind === "called" ? "flow" : "responder"} ${start.flow}.`);
  });
}

function byName<T extends { readonly name: string }>(definitions: readonly T[], what: string): ReadonlyMap<string, T> {
  const map = new Map<string, T>();
  for (const definition of definitions) {
    if (map.has(definition.name)) throw new FlowError("cordapp.repeated", `Two definitions of ${what} ${definition.name}.`);
    map.set(definition.name, definition);
  }
  return map;
}
