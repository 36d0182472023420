// All flows of the ledger that the platform brings: `cordapp({ flows: ledgerFlows, states: [], contracts: [] })`.

import { resolveHistory } from "./backchain.flow.ts";
import { findDraft, keepDraft, takeUpDraft } from "./draft.flow.ts";
import { filter, mergeShown, verifyShown } from "./filtering.flow.ts";
import { answerProposal, finalize, receiveProposal } from "./finality.flow.ts";
import { exchangeBuilder, receiveBuilder, updateBuilder } from "./gathering.flow.ts";
import { notaryResponder, verifyingNotaryResponder } from "./notary.flow.ts";
import { outcomeResponder, repair } from "./repair.flow.ts";
import { sign, signAll, signaturesOf } from "./signing.flow.ts";
import { receiveTransaction, sendTransaction } from "./transmission.flow.ts";

export const ledgerFlows = [
  sign,
  signAll,
  signaturesOf,
  finalize,
  receiveProposal,
  answerProposal,
  filter,
  verifyShown,
  mergeShown,
  resolveHistory,
  sendTransaction,
  receiveTransaction,
  keepDraft,
  findDraft,
  takeUpDraft,
  exchangeBuilder,
  receiveBuilder,
  updateBuilder,
  repair,
  outcomeResponder,
  notaryResponder,
  verifyingNotaryResponder,
] as const;
