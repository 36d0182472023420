// How an engine runs a bundle. A bundle evaluates to a `CordappBundle`; a fiber is one running flow function in it.
//
// One activation: `deliver` settles the promises of the steps whose results arrived, the microtasks drain, and
// `collect` says what the fibers ask for next. So the engine sees a step, `(journal, results) -> syscalls`, and never a promise.
// Everything that crosses is plain data: the other side of this interface may be another heap.

import type { Data, X500Name } from "@bowline/base";
import type { EntityQuery } from "./entity.ts";
import type { Failure, Outcome } from "./failure.ts";
import type { FlowProperties } from "./properties.ts";
import type { Protocol, SessionId, Syscall } from "./syscalls.ts";
import type { TokenDescription } from "./tokens.ts";

/** `1`, `2`, … in a flow's own function; `3.1` is the first step of the child that step 3 runs. */
export type StepPath = string;

/** Who is running, as flow code may know it. */
export interface FlowIdentity {
  readonly flowId: string;
  readonly me: X500Name;
  readonly groupId: string;
  /** Of a flow that answers a session: what its initiator was told and said. A peer's word, like all that it sends. */
  readonly properties: FlowProperties;
}

export type FiberStart = {
  /** Unique in the isolate: `<flow id>/<path of the step this fiber is the child of>`; an empty path for the flow itself. */
  readonly fiber: string;
  /** Prefix of the paths of its steps: empty, or the path of the parent's step. */
  readonly path: StepPath;
  readonly flow: string;
  readonly identity: FlowIdentity;
  /** Of a flow that runs again over its journal, where sub-flows of it are over. */
  readonly replayed?: Replayed;
} & (
  | { readonly kind: "initiated"; readonly session: SessionId; readonly counterparty: X500Name; readonly version: number }
  /** A client's or a parent's call: `input` as the flow's schema describes it. */
  | { readonly kind: "called"; readonly input: Data }
);

/** What is settled though the code that asked it will not run again. */
export interface Replayed {
  /** Sub-flows that are one step now: they are asked for without being run. */
  readonly subFlows: readonly StepPath[];
  /** Decisions, wherever they were asked for: they are settled without being asked. */
  readonly decisions: readonly StepPath[];
}

/** Settles one step of one fiber. Those of one activation are settled in order before any code runs. */
export interface Delivery {
  readonly fiber: string;
  readonly path: StepPath;
  readonly outcome: Outcome;
}

/** What happened in one fiber since the last `collect`. */
export interface FiberReport {
  readonly fiber: string;
  readonly syscalls: readonly {
    readonly path: StepPath;
    readonly call: Syscall;
    /** It is settled with this, and never performed: what was asked could not leave the sandbox, and `call` only names it. */
    readonly refused?: Failure;
  }[];
  readonly logs: readonly { readonly level: "debug" | "info" | "warn" | "error"; readonly message: string; readonly facts: Data }[];
  /** Set when the function returned or threw; no syscalls follow. */
  readonly finished?: Outcome;
  /** What it threw, as it lies in its heap: it never leaves it. */
  readonly thrown?: unknown;
  /** Where in the bundle that was thrown: for operators, and no part of what the flow did. */
  readonly stack?: string;
}

/** What a bundle's script evaluates to. */
export interface CordappBundle extends CordappRuntime {
  /** The same definitions with no fibers: what another process has, or this one after a crash. */
  fresh(): CordappBundle;
  /**
   * All of it for whoever asks first, and from then on nothing for anybody else: author code holds the bundle too, and must not collect or settle
   * the steps of its neighbours. Throws `cordapp.handedOver`.
   */
  handOver(): CordappRuntime;
}

/** Data that describes a bundle, and the two halves of an activation. */
export interface CordappRuntime {
  readonly manifest: CordappManifest;
  start(start: FiberStart): void;
  deliver(deliveries: readonly Delivery[]): void;
  collect(): readonly FiberReport[];
  /** Forgets a fiber; what it still waits for never settles. */
  drop(fiber: string): void;
  /**
   * Every rule that the transaction breaks of these contracts; empty when they pass. Who asks says which contracts judge:
   * others that the transaction names may be in other packages, or belong to what it only refers to. Synchronous and pure.
   */
  verify(transaction: Data, contracts: readonly string[]): readonly ContractViolation[];
  /** The JSON form of a state, for queries, the keys of its participants, and who sees it. Synchronous and pure. */
  describeState(state: { readonly type: string; readonly data: Data }): StateDescription;
}

export interface ContractViolation {
  readonly contract: string;
  readonly failure: Failure;
}

export interface StateDescription {
  /** Base64 of the SubjectPublicKeyInfo of each participant. */
  readonly participants: readonly string[];
  readonly json: Data;
  /** Absent where every participant sees it, and nobody else. */
  readonly visible?: Visibility;
  /** Where the state is one. */
  readonly token?: TokenDescription;
}

/** The answer of a state's `visible`, or the questions that lead to it; the first is asked first. */
export type Visibility = boolean | readonly VisibilityQuestion[];

/** Whether a member holds one of these keys; then the answer, or the place of the next question. */
export interface VisibilityQuestion {
  readonly keys: readonly string[];
  readonly yes: boolean | number;
  readonly no: boolean | number;
}

/** What the platform knows of a bundle without running its flows. Schemas are JSON Schema. */
export interface CordappManifest {
  readonly flows: readonly {
    readonly name: string;
    readonly startable: boolean;
    /** The protocol that this flow initiates. */
    readonly initiates?: Protocol;
    /** The protocol that this flow answers. */
    readonly answers?: Protocol;
    readonly input?: unknown;
    readonly output?: unknown;
  }[];
  readonly states: readonly {
    readonly name: string;
    readonly version: number;
    /** The oldest version that is still read; absent where there is none but its own. */
    readonly oldest?: number;
    readonly contract: string;
    readonly schema: unknown;
  }[];
  readonly contracts: readonly {
    readonly name: string;
    readonly commands: readonly { readonly name: string; readonly schema: unknown }[];
  }[];
  /** Rows of its own tables; absent where it has none. */
  readonly entities?: readonly EntityDescription[];
  /** Over states in the vault; absent where it has none. */
  readonly queries?: readonly StateQueryDescription[];
  readonly channels?: readonly { readonly name: string; readonly type: "SEND" }[];
}

/** How an entity lies in its table. */
export interface EntityDescription {
  readonly name: string;
  readonly table: string;
  /** Properties. */
  readonly key: readonly string[];
  readonly properties: readonly EntityProperty[];
  readonly queries: Readonly<Record<string, EntityQuery>>;
}

export interface EntityProperty {
  readonly name: string;
  readonly column: string;
  readonly kind: "text" | "integer" | "bigint" | "decimal" | "instant" | "uuid" | "bytes" | "boolean" | "json";
  /** What an empty column stands for: a property that is left out, a null, or nothing, where it cannot be empty. */
  readonly missing: "never" | "omitted" | "null";
}

/** A named query over the states of a vault, by their JSON form. */
export interface StateQueryDescription {
  readonly name: string;
  /** Types. */
  readonly states: readonly string[];
  readonly standing: "unconsumed" | "consumed" | "all";
  readonly fields: readonly StateField[];
  readonly where: EntityQuery["where"];
  readonly orderBy: readonly string[];
  readonly descending: boolean;
  /** Fields, in the order of an index that is made for this query; null where none is. */
  readonly index: readonly string[] | null;
  readonly join: readonly {
    /** What its properties are called by: `name.property`. */
    readonly name: string;
    readonly entity: string;
    /** The properties of the entity's key, each with the field that it equals. */
    readonly on: Readonly<Record<string, string>>;
    /** States without such a row are found too. */
    readonly optional: boolean;
  }[];
}

/** A member of the JSON form: its path, such as `owner.key`, and what lies there. */
export type StateField = Pick<EntityProperty, "name" | "kind" | "missing">;
