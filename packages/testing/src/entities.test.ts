import assert from "node:assert/strict";
import { test } from "node:test";
import { cordapp, entity, type FlowError, flow } from "@bowline/sdk";
import { jsonTypes } from "@bowline/sdk/encoding";
import * as Type from "typebox";
import { createNetwork } from "./index.ts";

const Booking = entity({
  name: "Booking",
  schema: Type.Object({
    id: jsonTypes.uuid(),
    document: jsonTypes.bytes(),
    serial: jsonTypes.int64(),
    amount: jsonTypes.decimal(),
    bookedAt: jsonTypes.instant(),
    fee: Type.Optional(jsonTypes.decimal()),
  }),
  key: "id",
  queries: {
    above: { where: [{ property: "amount", operator: ">" }], orderBy: ["amount", "bookedAt"] },
    of: {
      where: [
        { property: "document", operator: "=" },
        { property: "serial", operator: "in", parameter: "serials" },
      ],
    },
  },
});

const Book = flow({
  name: "Book",
  startable: true,
  input: Type.Object({ amounts: Type.Array(Type.String()) }),
  output: Type.Unknown(),
  async call(context, { amounts }) {
    const bookedAt = await context.now();
    const document = Uint8Array.of(1, 2, 3);
    const rows = [];
    for (const [i, amount] of amounts.entries()) {
      const row = { id: await context.uuid(), document, serial: 2n ** 62n + BigInt(i), amount, bookedAt };
      rows.push(await context.persistence.merge(Booking, row));
    }
    const first = rows[0];
    const found = first === undefined ? undefined : await context.persistence.find(Booking, first.id);
    const above = await context.persistence.query(Booking, "above", { amount: "9.50" });
    const of = await context.persistence.query(Booking, "of", { document, serials: [2n ** 62n + 1n] });
    return {
      merged: rows.map(({ amount }) => amount),
      first: found ?? null,
      above: above.items.map(({ amount }) => amount),
      of: of.items.map(({ serial }) => serial),
    };
  },
});

test("a flow keeps exact numbers, moments, ids and bytes, and is told of a row that does not fit where it writes it", async () => {
  const network = await createNetwork({
    cordapps: [cordapp({ flows: [Book], states: [], contracts: [], entities: [Booking] })],
    members: ["Alice"],
    notary: false,
  });
  const alice = network.node("Alice");
  const { first, ...answer } = (await alice.start(Book, { amounts: ["12.50", "9.5", "10", "9.51"] })) as {
    first: { document: Uint8Array };
  };
  assert.deepEqual({ ...answer }, { merged: ["12.5", "9.5", "10", "9.51"], above: ["9.51", "10", "12.5"], of: [2n ** 62n + 1n] });
  assert.deepEqual([...first.document], [1, 2, 3]);
  await assert.rejects(alice.start(Book, { amounts: ["1e3"] }), { type: "persistence.invalid" });
  await assert.rejects(alice.start(Book, { amounts: ["1".repeat(61)] }), (thrown: FlowError) => thrown.type === "decimal.invalid");
});

test("keys and orders take all but booleans and JSON", () => {
  const of = (schema: Type.TSchema) => () => entity({ name: "Odd", schema: Type.Object({ id: schema }), key: "id" as never });
  for (const schema of Object.values([jsonTypes.uuid(), jsonTypes.bytes(), jsonTypes.int64(), jsonTypes.decimal(), jsonTypes.instant()]))
    assert.doesNotThrow(of(schema));
  for (const schema of [Type.Boolean(), Type.Object({}), Type.Union([jsonTypes.uuid(), Type.Integer()]), Type.Optional(jsonTypes.uuid())])
    assert.throws(of(schema), { type: "entity.invalid", message: /key's id must be required, and neither a boolean nor JSON/ });
});
