// A transaction that two members gather together, before anybody signs it: one sends what it has, the other adds to it, and what was
// added comes back. Each of them has verified what the other's states come from by then.
//
// Nothing that was there is changed or taken away, a notary and a time window that are set among it; but what is added is the
// counterparty's word alone: look at `gathered` before you sign.

import type { Data } from "@bowline/base";
import type { Session } from "./context.ts";
import { FlowError } from "./failure.ts";
import { plain } from "./plain.ts";
import { builderOf, type TransactionBuilder } from "./transaction-builder.ts";
import type { GatheredTransaction } from "./transaction-rules.ts";

export interface BuilderExchange {
  /** Sends what is gathered, and gives it back with what the counterparty has added. */
  sendAndReceiveTransactionBuilder(builder: TransactionBuilder, session: Session): Promise<TransactionBuilder>;
  /** The other side: what is `gathered` so far. The states that it names are in this vault, to be resolved. */
  receiveTransactionBuilder(session: Session): Promise<TransactionBuilder>;
  /** What was added to a builder that was received, to the session that it came from. */
  sendUpdatedTransactionBuilder(builder: TransactionBuilder, session: Session): Promise<void>;
}

export function builderExchangeOf(
  platform: (flow: "ledger.exchangeBuilder" | "ledger.receiveBuilder" | "ledger.updateBuilder", input: Data) => Promise<Data>,
): BuilderExchange {
  const party = ({ id, counterparty }: Session) => ({ id, counterparty });
  const gathered = (came: Data) => came as unknown as GatheredTransaction;
  const sent = (builder: TransactionBuilder) => plain(builder.gathered, "the builder");
  return {
    sendAndReceiveTransactionBuilder: (builder, session) =>
      platform("ledger.exchangeBuilder", { session: party(session), gathered: sent(builder) }).then((came) =>
        builderOf(gathered(came), builder.received),
      ),
    receiveTransactionBuilder: (session) =>
      platform("ledger.receiveBuilder", { session: party(session) }).then((came) => builderOf(gathered(came), gathered(came))),
    sendUpdatedTransactionBuilder(builder, session) {
      if (builder.received === undefined) return Promise.reject(notReceived());
      const received = plain(builder.received, "what was received");
      return platform("ledger.updateBuilder", { session: party(session), received, gathered: sent(builder) }).then(() => undefined);
    },
  };
}

const notReceived = () =>
  new FlowError("transaction.builderNotReceived", "This builder was not received: there is nobody who waits for what was added to it.");
