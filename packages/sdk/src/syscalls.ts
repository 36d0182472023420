// The closed union of all that a flow may ask of the platform. Each is one step: numbered by path, journaled with its
// answer, and never performed twice once its row is committed.

import type { Data, X500Name } from "@bowline/base";
import type { Outcome } from "./failure.ts";
import type { SignatureSpec } from "./signature-specs.ts";
import type { TokenCriteria, TokenFilter } from "./tokens.ts";
import type { PublicKeyText } from "./transaction.ts";

/** `<initiator's flow id>:<path of the step that opened it>`, the same on both sides. */
export type SessionId = string;

/** How a counterparty answers a protocol: by name and by the versions that the caller can speak, in order of preference. */
export interface Protocol {
  readonly name: string;
  /** Positive integers; the responder with the highest version common to both sides is chosen. */
  readonly versions: readonly number[];
}

/** How a counterparty answers: the version is the highest that both sides speak. */
export interface CounterpartyInfo {
  readonly protocol: string;
  readonly version: number;
}

/** What author code may ask. */
export type AuthorSyscall =
  | {
      readonly kind: "session.open";
      readonly counterparty: X500Name;
      readonly protocol: Protocol;
      readonly timeoutMs?: number;
      /** User properties for the flow that answers. */
      readonly properties?: Readonly<Record<string, string>>;
    } // -> SessionId
  /** Sends first, in order, then waits until every session in `receives` has a message. -> Data[], in the order of `receives` */
  | {
      readonly kind: "session.exchange";
      readonly sends: readonly { readonly session: SessionId; readonly payload: Data }[];
      readonly receives: readonly SessionId[];
    }
  /** Asks the counterparty where it has not said it yet, and so starts its flow. -> CounterpartyInfo */
  | { readonly kind: "session.info"; readonly session: SessionId }
  /**
   * With a failure the counterparties' next operation fails with it. Awaited: of sessions that this flow initiated, waits until the
   * responders have closed too. Sessions that are over stay as they are. -> null
   */
  | {
      readonly kind: "session.close";
      readonly sessions: readonly SessionId[];
      readonly awaited?: true;
      readonly failure?: { readonly type: string; readonly message: string };
    }
  | { readonly kind: "clock.now" } // -> number, milliseconds since 1970
  | { readonly kind: "clock.sleep"; readonly durationMs: number } // -> null
  | { readonly kind: "random"; readonly length: number } // -> Uint8Array
  /** Settled by the commit that contains it, and all before it. `reached` is for whoever reads the journal. -> null */
  | { readonly kind: "checkpoint"; readonly reached?: Data }
  /**
   * A sub-flow is over, and its steps are this one from here on. The sessions that an initiating one has opened end with it. Without an
   * outcome it was over before: the journal has it. Its outcome is no part of what is asked. -> what it returned
   */
  | { readonly kind: "subFlow"; readonly flow: string; readonly input: Data; readonly initiating?: true; readonly outcome?: Outcome }
  /** Whether the flow comes here for the first time in code that asks this. -> boolean */
  | { readonly kind: "patched"; readonly name: string }
  /** All, or those of a name or of a ledger key. -> Member[] */
  | { readonly kind: "members.find"; readonly name?: X500Name; readonly key?: PublicKeyText }
  | { readonly kind: "notaries.find"; readonly name?: X500Name } // -> NotaryInfo[]
  | { readonly kind: "group.parameters" } // -> ParametersInForce
  /** Under the purpose `app` and this virtual node, with a ledger key of this member. -> DigitalSignature */
  | { readonly kind: "keys.sign"; readonly key: PublicKeyText; readonly spec?: SignatureSpec; readonly bytes: Uint8Array }
  | { readonly kind: "keys.mine"; readonly keys: readonly PublicKeyText[] } // -> PublicKeyText[]
  /** -> PublicKeyText */
  | {
      readonly kind: "keys.compose";
      readonly threshold: number;
      readonly children: readonly { readonly key: PublicKeyText; readonly weight: number }[];
    }
  /** Leaves with the step commit. -> null */
  | { readonly kind: "external.send"; readonly channel: string; readonly id?: string; readonly message: string }
  | { readonly kind: "vault.find"; readonly query: VaultQuery } // -> { states: StateAndRef[], next: string | null }
  /** -> { states: StateAndRef[], joined: (Data | null)[][], next: string | null }: of each state the rows of its joins, in order */
  | {
      readonly kind: "vault.query";
      readonly query: string;
      readonly parameters: Data;
      readonly refs?: readonly string[];
      /** Milliseconds since 1970: states that came later are left out. */
      readonly createdUntil?: number;
      readonly limit?: number;
      readonly after?: string;
    }
  | { readonly kind: "vault.resolve"; readonly refs: readonly string[] } // -> StateAndRef[], in order
  | { readonly kind: "vault.transaction"; readonly id: string } // -> TransactionView | null
  /** The claim's id is this step's; it ends with the flow at the latest. -> { id, tokens: ClaimedToken[] } | null */
  | { readonly kind: "tokens.claim"; readonly criteria: TokenCriteria & { readonly amount: string } }
  | { readonly kind: "tokens.balance"; readonly filter: TokenFilter } // -> TokenBalance
  /** Ends a claim of this flow, with the step commit. -> null */
  | { readonly kind: "tokens.release"; readonly claim: string; readonly used: readonly string[] }
  /** Rows of the CorDapp's own table, written in the step commit. Of `remove` a row is its key. -> null */
  | {
      readonly kind: "entity.write";
      readonly entity: string;
      readonly action: "persist" | "merge" | "remove";
      readonly rows: readonly Data[];
    }
  | { readonly kind: "entity.find"; readonly entity: string; readonly keys: readonly Data[] } // -> Data[]: those that are there
  /** All rows where `query` is null. -> { items: Data[], next: string | null } */
  | {
      readonly kind: "entity.query";
      readonly entity: string;
      readonly query: string | null;
      readonly parameters: Data;
      readonly limit?: number;
      readonly after?: string;
    }
  /** Runs one of the platform's flows as a child of this step, on canonical bytes. -> what that flow returns */
  | {
      readonly kind: "platform";
      readonly flow: PlatformFlowName;
      readonly input: Data;
      /** User properties for it. */
      readonly properties?: Readonly<Record<string, string>>;
    };

/** The platform's flows that author code may call. Each is written on this sdk, in the package of its domain. */
export type PlatformFlowName =
  | "ledger.sign"
  | "ledger.signAll"
  | "ledger.signatures"
  | "ledger.finalize"
  | "ledger.receiveProposal"
  | "ledger.answerProposal"
  | "ledger.filter"
  | "ledger.verifyFiltered"
  | "ledger.mergeFiltered"
  | "ledger.send"
  | "ledger.receive"
  | "ledger.keepDraft"
  | "ledger.findDraft"
  | "ledger.takeUpDraft"
  | "ledger.exchangeBuilder"
  | "ledger.receiveBuilder"
  | "ledger.updateBuilder"
  /** What other flows of the platform call. */
  | "ledger.resolve";

/** What the platform's own flows may ask besides. The host refuses these to author code. */
export type PlatformSyscall =
  /** A call to a role. Whether it leaves a mark outside the step's transaction is the host's table to say, not the caller's. */
  | { readonly kind: "service"; readonly service: string; readonly request: Data }
  /** Rows of the virtual node's vault, written in the step commit of this flow and of nothing else. -> null */
  | { readonly kind: "vault.write"; readonly writes: readonly Data[] };

export type Syscall = AuthorSyscall | PlatformSyscall;

/** A find over the vault's unconsumed states, in stable order, page by page. */
export interface VaultQuery {
  /** The name of the state type. */
  readonly state: string;
  readonly consumed?: boolean;
  /** Every pair must equal the member of the state's JSON form at that path (`amount.currency`). */
  readonly where?: Readonly<Record<string, string | number | boolean>>;
  /** At most 1,000; 100 where nothing is said. */
  readonly limit?: number;
  /** Where the page before ended. */
  readonly after?: string;
}
