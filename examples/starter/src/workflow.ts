// How companies come to agree on a note. Every `await` is a step that is done once, whatever crashes.

import { cordapp as bundle, FlowError, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Note, NoteContract, noteIn } from "./contract.ts";

const PROTOCOL = { name: "com.example.starter.note", versions: [1] };
const AGREEMENT_MS = 5 * 60_000;

/** Gives a note to another company, and returns the id of the transaction. */
export const WriteNote = flow({
  name: "com.example.starter.WriteNote",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({
    reader: Type.String({ description: "The reader's X.500 name." }),
    text: Type.String({ minLength: 1, maxLength: 1_000 }),
  }),
  output: Type.Object({ transaction: Type.String() }),
  async call(context, { reader, text }) {
    const [mine, theirs, [notary], now] = await Promise.all([
      context.members.mine(),
      context.members.lookup(reader),
      context.notaries.all(),
      context.now(),
    ]);
    const [writerKey, readerKey] = [mine.ledgerKeys[0], theirs?.ledgerKeys[0]];
    if (theirs === undefined || readerKey === undefined)
      throw new FlowError("note.readerUnknown", `"${reader}" is no member of this network.`);
    if (notary === undefined || writerKey === undefined)
      throw new FlowError("note.networkIncomplete", "This network lacks a notary, or we lack a ledger key.");
    const proposal = transaction()
      .notary(notary.name)
      .until(now + AGREEMENT_MS)
      .output(Note, { text, writer: { name: mine.name, key: writerKey }, reader: { name: theirs.name, key: readerKey } })
      .command(NoteContract, "Write")
      .signedBy(writerKey, readerKey)
      .build();
    const session = await context.initiate(theirs.name);
    const final = await context.ledger.finalize(await context.ledger.sign(proposal), [session]);
    return { transaction: final.id };
  },
});

/** Run by the reader, who may refuse. */
export const AcceptNote = responder({
  name: "com.example.starter.AcceptNote",
  answers: PROTOCOL,
  async call(context, session) {
    await context.ledger.receiveFinality(session, (transaction) => {
      const { writer, reader } = noteIn(transaction);
      if (writer.name !== session.counterparty) throw new FlowError("note.forged", "Only its writer may give a note.");
      if (reader.name !== context.me) throw new FlowError("note.misdirected", `${context.me} is not the reader of this note.`);
    });
  },
});

/** The notes that this company has written or been given. */
export const ListNotes = flow({
  name: "com.example.starter.ListNotes",
  startable: true,
  input: Type.Object({}),
  output: Type.Array(Type.Object({ text: Type.String(), writer: Type.String(), reader: Type.String() })),
  async call(context) {
    const { states } = await context.vault.find(Note, { limit: 1_000 });
    return states.map(({ state }) => ({ text: state.data.text, writer: state.data.writer.name, reader: state.data.reader.name }));
  },
});

export const cordapp = bundle({ flows: [WriteNote, AcceptNote, ListNotes], states: [], contracts: [] });
