// How an author says what a CorDapp is made of. Definitions are values; nothing registers itself.

import type { Data } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { OlderVersion } from "./canonical.ts";
import type { FlowContext, Session } from "./context.ts";
import type { ExternalChannel } from "./external.ts";
import type { AnyEntity } from "./persistence.ts";
import type { AnyStateQuery } from "./state-query.ts";
import type { Protocol } from "./syscalls.ts";
import type { Token } from "./tokens.ts";
import type { ContractTransaction, PublicKeyText } from "./transaction.ts";

/** A flow that a client or another flow calls. */
export interface FlowDefinition<I extends TSchema = TSchema, O extends TSchema = TSchema> {
  readonly kind: "flow";
  /** Dotted, unique in the CorDapp: what clients start, e.g. `com.example.obligation.IssueObligation`. */
  readonly name: string;
  /** Whether clients may start it over REST. */
  readonly startable: boolean;
  readonly initiates?: Protocol;
  readonly input: I;
  readonly output?: O;
  call(context: FlowContext, input: Static<I>): Promise<Static<O>>;
}

/** A flow that answers a protocol. One fresh call per session. */
export interface ResponderDefinition {
  readonly kind: "responder";
  readonly name: string;
  readonly answers: Protocol;
  call(context: FlowContext, session: Session): Promise<void>;
}

/** A type of state: its schema, its contract and who takes part in one. */
export interface StateDefinition<S extends TSchema = TSchema> {
  readonly kind: "state";
  readonly name: string;
  /** Version of the schema, from 1. Every output is written in it. */
  readonly version: number;
  /**
   * The versions right before this one, oldest first, as far back as states are still to be read and consumed: a transaction that
   * consumes a state of a version that is not here does not verify.
   *
   * @example older: [older(ObligationWithoutDueDate, (obligation) => ({ ...obligation, dueDate: "2099-12-31" }))]
   */
  readonly older?: readonly OlderVersion[];
  readonly contract: string;
  readonly schema: S;
  participants(data: Static<S>): readonly PublicKeyText[];
  /** What queries see; the state's own data where nothing is said. */
  json?(data: Static<S>): Data;
  /**
   * Whether a member's vault keeps it as its own. Where nothing is said: whoever has a part in the key of a participant. Pure but for
   * `isMine`, which says whether the member holds one of these keys.
   *
   * @example visible: ({ owner, auditor }, { isMine }) => isMine(owner, auditor)
   */
  visible?(data: Static<S>, member: { isMine(...keys: readonly PublicKeyText[]): boolean }): boolean;
  /** What a state is worth, where it may be claimed by `context.tokens`; null where this one may not. */
  token?(data: Static<S>): Token | null;
}

/** The rules of a transaction. Pure: the transaction is all it may look at. */
export interface ContractDefinition {
  readonly kind: "contract";
  readonly name: string;
  readonly commands: Readonly<Record<string, TSchema>>;
  /** Throws where a rule is broken; `requireThat` says which. */
  verify(transaction: ContractTransaction): void;
}

// The four helpers give the compiler the schema's type; they return what they are given.
export const flow = <I extends TSchema, O extends TSchema = TSchema>(
  definition: Omit<FlowDefinition<I, O>, "kind">,
): FlowDefinition<I, O> => ({
  kind: "flow",
  ...definition,
});
export const responder = (definition: Omit<ResponderDefinition, "kind">): ResponderDefinition => ({ kind: "responder", ...definition });
export const state = <S extends TSchema>(definition: Omit<StateDefinition<S>, "kind">): StateDefinition<S> => ({
  kind: "state",
  ...definition,
});
export const contract = (definition: Omit<ContractDefinition, "kind">): ContractDefinition => ({ kind: "contract", ...definition });

/** Everything that a CorDapp brings. A package's entry exports one as `cordapp`. */
export interface CordappDefinition {
  // biome-ignore lint/suspicious/noExplicitAny: a list holds definitions of many schemas; each checked its own.
  readonly flows: readonly (FlowDefinition<any, any> | ResponderDefinition)[];
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  readonly states: readonly StateDefinition<any>[];
  readonly contracts: readonly ContractDefinition[];
  readonly entities?: readonly AnyEntity[];
  /** Over the states in the vault: what its flows ask by `context.vault.query`. */
  readonly queries?: readonly AnyStateQuery[];
  /** Over which its flows send messages to systems outside. */
  readonly channels?: readonly ExternalChannel[];
}
