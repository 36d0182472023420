// What a note is, and which changes to one are allowed. All who hold a note run exactly this code: it is pure, and sees
// nothing but the transaction.

import { cordapp as bundle, contract, requireThat, state, type TransactionView } from "@bowline/sdk";
import * as Type from "typebox";

const Party = Type.Object({ name: Type.String(), key: Type.String() });

export const NoteData = Type.Object({ text: Type.String({ minLength: 1, maxLength: 1_000 }), writer: Party, reader: Party });
export type NoteData = Type.Static<typeof NoteData>;

export const Note = state({
  name: "com.example.starter.Note",
  version: 1,
  contract: "com.example.starter.NoteContract",
  schema: NoteData,
  participants: ({ writer, reader }) => [writer.key, reader.key],
});

export const NoteContract = contract({
  name: "com.example.starter.NoteContract",
  commands: { Write: Type.Object({}) },
  verify(transaction) {
    const { writer, reader } = noteIn(transaction);
    requireThat(transaction.inputs.length === 0, "A note is written, never changed.");
    requireThat(writer.name !== reader.name, "A note goes to another company.");
    requireThat(
      [writer, reader].every(({ key }) => transaction.signatories.includes(key)),
      "Writer and reader both sign.",
    );
  },
});

/** The note that a transaction writes. */
export function noteIn({ outputs }: TransactionView): NoteData {
  const [output] = outputs;
  requireThat(outputs.length === 1 && output?.state.type === Note.name, "One note at a time, and nothing else.");
  return output.state.data as NoteData;
}

export const cordapp = bundle({ flows: [], states: [Note], contracts: [NoteContract] });
