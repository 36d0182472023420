// What flow code is handed. Every method that returns a promise is a step: journaled, and never done twice.

import type { Data, X500Name } from "@bowline/base";
import type { Static, TSchema } from "typebox";
import type { BuilderExchange } from "./builder-exchange.ts";
import type { FlowDefinition, StateDefinition } from "./definition.ts";
import type { ExternalMessaging } from "./external.ts";
import type { Filters } from "./filtered.ts";
import type { Keys } from "./keys.ts";
import type { Members, Notaries, ParametersInForce } from "./lookups.ts";
import type { EntityPage, Persistence } from "./persistence.ts";
import type { ContextProperties } from "./properties.ts";
import type { StateQueryDefinition, StateQueryPage } from "./state-query.ts";
import type { CounterpartyInfo, Protocol, SessionId, Syscall, VaultQuery } from "./syscalls.ts";
import type { Tokens } from "./tokens.ts";
import type { StateAndRef, TransactionProposal, TransactionView } from "./transaction.ts";

/** A conversation with one counterparty: exactly once, in order. */
export interface Session {
  readonly id: SessionId;
  readonly counterparty: X500Name;
  /** The responder's view: the version that was chosen. Undefined at the initiator. */
  readonly version?: number;
  /** What the flow that answers is told: the initiator's properties, with those of this session. */
  readonly properties: Readonly<Record<string, string>>;
  /** Starts the counterparty's flow where nothing has done so yet, and waits for its word. */
  counterpartyInfo(): Promise<CounterpartyInfo>;
  send(payload: Data): Promise<void>;
  /** Fails with `session.unexpectedPayload` when the peer's message does not fit `schema`: a peer is never trusted. */
  receive<S extends TSchema>(schema: S): Promise<Static<S>>;
  sendAndReceive<S extends TSchema>(payload: Data, schema: S): Promise<Static<S>>;
  /**
   * Ends the session at both ends; what is sent or received after it fails. The initiator of a session that requires it waits
   * until the responder has closed too, and fails with `session.unread` where that had more to say. Closing what is over does nothing.
   */
  close(): Promise<void>;
}

export interface SessionOptions {
  /** What this flow initiates, where nothing is said. */
  readonly protocol?: Protocol;
  /** How long either side waits for a word of the other; 30 minutes where nothing is said. */
  readonly timeoutMs?: number;
  /** Whether `close` waits for the responder's close; true where nothing is said. */
  readonly requireClose?: boolean;
  /** For the flow that answers, beside the properties of this one. */
  readonly properties?: Readonly<Record<string, string>>;
}

/** A transaction that this member has built or been shown, by id and as a view. */
export interface SignedTransaction {
  readonly id: string;
  readonly transaction: TransactionView;
  /** What the platform's flows need of it, to be handed back as it came. */
  readonly record: Uint8Array;
}

/** A transaction that this member keeps to itself. */
export type DraftTransaction = Omit<SignedTransaction, "record">;

export interface Ledger extends Filters, BuilderExchange {
  /** Builds, verifies and signs with this member's keys among the signatories. Nothing is sent yet. */
  sign(proposal: TransactionProposal): Promise<SignedTransaction>;
  /** The same of several, at most 100: this member signs once, and each has its proof that it was among them. All of them or none. */
  signAll(proposals: readonly TransactionProposal[]): Promise<readonly SignedTransaction[]>;
  /** Collects the other signatures, notarises, records and distributes. Fails with the notary's or a peer's reason. */
  finalize(transaction: SignedTransaction, sessions: readonly Session[]): Promise<SignedTransaction>;
  /**
   * The other side of `finalize`: receives and verifies the proposal, asks `validate` (which throws to refuse),
   * signs, and waits for the notary's word.
   */
  receiveFinality(session: Session, validate: (transaction: TransactionView) => void | Promise<void>): Promise<SignedTransaction>;
  findTransaction(id: string): Promise<TransactionView | undefined>;
  /**
   * Who signed: records as `transactionSignatures` of `@bowline/sdk/crypto` checks them. Of a transaction in hand those that are
   * there, of a verified one of this vault all, its notary's among them. Undefined for an id that the vault has not verified.
   */
  signatures(transaction: SignedTransaction | string): Promise<readonly Uint8Array[] | undefined>;
  /** A final transaction of this vault to members that did not sign it. Fails where one of them does not take it. */
  sendTransaction(transaction: { readonly id: string }, sessions: readonly Session[]): Promise<void>;
  /** The same with all that it descends from, also where the notary's word would do. */
  sendTransactionWithBackchain(transaction: { readonly id: string }, sessions: readonly Session[]): Promise<void>;
  /** Verified in full and kept: what this member takes part in is in its vault afterwards. */
  receiveTransaction(session: Session): Promise<SignedTransaction>;
  /** Without its signatures, to be looked at. */
  sendLedgerTransaction(transaction: SignedTransaction, sessions: readonly Session[]): Promise<void>;
  /** Neither verified nor kept; what it builds upon is. */
  receiveLedgerTransaction(session: Session): Promise<TransactionView>;
  /** Builds, verifies and signs, and keeps it as a draft: its signature goes nowhere until it is taken up. */
  keepDraft(proposal: TransactionProposal): Promise<DraftTransaction>;
  findDraft(id: string): Promise<DraftTransaction | undefined>;
  /** From here on it is a transaction like one that was just signed: to be finalised, and looked after if it is not. */
  takeUpDraft(id: string): Promise<SignedTransaction>;
}

export interface Vault {
  /** Each state in the version of its definition, whatever it was written in. */
  find<S extends TSchema>(
    state: StateDefinition<S>,
    query?: Omit<VaultQuery, "state">,
  ): Promise<{ readonly states: readonly StateAndRef<Static<S> & Data>[]; readonly next: string | undefined }>;
  /**
   * A named query of this CorDapp, page by page: what is thinned out by the query's own code is filled up from the next pages.
   *
   * @example const { items, next } = await ctx.vault.query(BondsOf, { owner }, { limit: 50 });
   */
  query<P, R, C>(query: StateQueryDefinition<P, R, C>, parameters: NoInfer<P>, page?: StateQueryPage): Promise<EntityPage<R>>;
  /** All pages of a named query, folded into one value as the query's `collect` says. */
  collect<P, R, C>(query: StateQueryDefinition<P, R, C>, parameters: NoInfer<P>, among?: Omit<StateQueryPage, "after">): Promise<C>;
  /** Fails with `vault.stateUnknown` for a reference that the vault does not hold. */
  resolve(refs: readonly string[]): Promise<readonly StateAndRef[]>;
}

export interface FlowContext {
  readonly flowId: string;
  readonly me: X500Name;
  readonly groupId: string;
  /** Text that travels with this flow to all that it calls and initiates. */
  readonly properties: ContextProperties;
  /** Opens lazily: the counterparty hears of it with the first message. */
  initiate(counterparty: X500Name | string, options?: SessionOptions): Promise<Session>;
  /** To each session its payload, in one step. */
  sendAll(payloads: ReadonlyMap<Session, Data> | readonly { readonly session: Session; readonly payload: Data }[]): Promise<void>;
  /** The same to all. */
  sendAll(sessions: readonly Session[], payload: Data): Promise<void>;
  /**
   * One message of each session, in one step: all of the same schema, in the order of `sessions`; or of each session its own. Where
   * a session is over it fails, and the messages of the others stay to be received.
   */
  receiveAll<S extends TSchema>(sessions: readonly Session[], schema: S): Promise<Static<S>[]>;
  receiveAll<S extends TSchema>(schemas: ReadonlyMap<Session, S>): Promise<ReadonlyMap<Session, Static<S>>>;
  /**
   * Another flow of this bundle, with steps numbered below this one; when it is over they are one. It takes and returns plain data; what
   * it throws is a `FlowError` here, of the type that it threw. What it left running ends with it.
   */
  subFlow<I extends TSchema, O extends TSchema>(flow: FlowDefinition<I, O>, input: Static<I>): Promise<Static<O>>;
  /** Milliseconds since 1970, journaled. */
  now(): Promise<number>;
  sleep(durationMs: number): Promise<void>;
  /**
   * Resolves when everything up to here is on disk: no crash makes the flow do or ask any of it again. A flow that waits is
   * committed anyway, so this is for work between two waits that is too dear to repeat. `reached` stands in the journal, for
   * whoever reads it.
   */
  checkpoint(reached?: Data): Promise<void>;
  /**
   * For a change of code that is to reach flows which are under way: true where this flow comes here for the first time in the
   * new code, false where it had passed here in the old. Decided once for a flow and a name, whatever dies.
   *
   * @example if (await ctx.patched("check-limit")) await ctx.subFlow(CheckLimit, { amount });
   */
  patched(name: string): Promise<boolean>;
  uuid(): Promise<string>;
  random(length: number): Promise<Uint8Array>;
  /** Does not repeat on replay. */
  readonly log: Record<"debug" | "info" | "warn" | "error", (message: string, facts?: Record<string, Data>) => void>;
  readonly members: Members;
  readonly notaries: Notaries;
  /** What all members of the group agree on, as of now. */
  groupParameters(): Promise<ParametersInForce>;
  readonly keys: Keys;
  readonly externalMessaging: ExternalMessaging;
  readonly ledger: Ledger;
  readonly vault: Vault;
  /** Fungible states, claimed so that no two flows of this member spend the same. */
  readonly tokens: Tokens;
  /** The CorDapp's own tables. */
  readonly persistence: Persistence;
  /** The platform's own flows ask directly; the host refuses the platform's syscalls to author code. */
  syscall(call: Syscall): Promise<Data>;
}
