// Payments are instructed once, and creditors are told of them.

import { FlowError, flow, responder } from "@bowline/sdk";
import * as Type from "typebox";
import { Account, Payment, PaymentData } from "./entities.ts";

export const PAYMENTS = { name: "com.example.payments", versions: [1] };

const Noted = Type.Object({ noted: Type.Boolean() }, { additionalProperties: false });

/**
 * Notes a payment to where the creditor has said that it wants to be paid, and tells the creditor. However often it is
 * started, and whatever breaks on the way, one reference is one payment.
 */
export const InstructPayment = flow({
  name: "com.example.accounts.InstructPayment",
  startable: true,
  initiates: PAYMENTS,
  input: Type.Object(Type.Omit(PaymentData, ["debtor", "iban", "instructedAt"]).properties, { additionalProperties: false }),
  output: PaymentData,
  async call(context, asked) {
    const { creditor, currency, reference } = asked;
    const account = await context.persistence.find(Account, { owner: creditor, currency });
    if (account === undefined) throw new FlowError("accounts.unknown", `${creditor} has not said where it is to be paid in ${currency}.`);
    const payment = { ...asked, debtor: context.me, iban: account.iban, instructedAt: await context.now() };
    try {
      await context.persistence.persist(Payment, payment);
    } catch (thrown) {
      if (!(thrown instanceof FlowError) || thrown.type !== "persistence.exists") throw thrown;
      throw new FlowError("payments.referenceUsed", `There is a payment with the reference ${reference} already.`);
    }
    const session = await context.initiate(creditor);
    await session.sendAndReceive(payment, Noted);
    return payment;
  },
});

export const NotePayment = responder({
  name: "com.example.accounts.NotePayment",
  answers: PAYMENTS,
  async call(context, session) {
    const payment = await session.receive(PaymentData);
    if (payment.debtor !== session.counterparty || payment.creditor !== context.me)
      throw new FlowError("payments.notTheirs", `${session.counterparty} may tell of its own payments to this member only.`);
    await context.persistence.persist(Payment, payment);
    await session.send({ noted: true });
  },
});

/** Payments to one creditor, the newest first, page by page. */
export const ListPayments = flow({
  name: "com.example.accounts.ListPayments",
  startable: true,
  input: Type.Object(
    {
      creditor: Type.String(),
      atLeast: Type.Optional(Type.Integer()),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 })),
      after: Type.Optional(Type.String()),
    },
    { additionalProperties: false },
  ),
  output: Type.Object({ payments: Type.Array(PaymentData), next: Type.Union([Type.String(), Type.Null()]) }),
  async call(context, { creditor, atLeast = 0, ...page }) {
    const { items, next } = await context.persistence.query(Payment, "newest", { creditor, atLeast }, page);
    return { payments: [...items], next: next ?? null };
  },
});
