import assert from "node:assert/strict";
import { test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import fc from "fast-check";
import Type from "typebox";
import { allRoutes, type FlowClass, openApi } from "./index.ts";
import { openApiSchema } from "./openapi-schema.ts";

async function assertValid(document: object): Promise<void> {
  const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)));
  assert.ok(valid, JSON.stringify(errors, null, 2));
}

const Order = Type.Object(
  {
    kind: Type.Union([Type.Literal("buy"), Type.Literal("sell")]),
    amount: Type.Integer({ exclusiveMinimum: 0 }),
    note: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    route: Type.Tuple([Type.String(), Type.Integer()]),
    labels: Type.Record(Type.String(), Type.String()),
    nothing: Type.Null(),
  },
  // A title of an author's is no name of ours.
  { title: "FlowStatusResponse", additionalProperties: false },
);
const FLOWS: readonly FlowClass[] = [
  { name: "com.example.Order", input: Order, output: Type.Object({ id: Type.String() }) },
  { name: "com.example.Say", input: Type.String(), output: undefined },
  { name: "com.example.Say", input: Type.Object({ text: Type.String() }), output: undefined },
];

type Document = {
  readonly paths: Record<
    string,
    { readonly post?: { readonly requestBody: { content: Record<string, { schema: unknown }> }; operationId: string } }
  >;
  readonly components: { readonly schemas: Record<string, Record<string, unknown>> };
};

test("The document of every version is valid OpenAPI, with and without flows", async () => {
  for (const version of ["v5_1", "v5_2", "v5_3"] as const) {
    await assertValid(openApi(allRoutes, version));
    await assertValid(openApi(allRoutes, version, FLOWS));
  }
});

test("Each flow is an operation with the schemas of its author", () => {
  const { paths, components } = openApi(allRoutes, "v5_3", FLOWS) as unknown as Document;
  const order = paths["/flowclass/{holdingidentityshorthash}/com.example.Order"]?.post;
  assert.equal(order?.operationId, "start_com_example_Order");
  assert.deepEqual(order?.requestBody.content["application/json"]?.schema, { $ref: "#/components/schemas/com.example.Order.Input" });
  assert.deepEqual(components.schemas["com.example.Order.Input"], {
    type: "object",
    required: ["kind", "amount", "route", "labels", "nothing"],
    properties: {
      kind: {
        anyOf: [
          { type: "string", enum: ["buy"] },
          { type: "string", enum: ["sell"] },
        ],
      },
      amount: { type: "integer", minimum: 0, exclusiveMinimum: true },
      note: { type: "string", nullable: true },
      route: { type: "array", items: { anyOf: [{ type: "string" }, { type: "integer" }] }, minItems: 2 },
      labels: { type: "object", additionalProperties: { type: "string" } },
      nothing: { type: "string", nullable: true, enum: [null] },
    },
    additionalProperties: false,
  });
  const result = components.schemas["com.example.Order.Result"] as { properties: { json: unknown; flowStatus: unknown } };
  assert.deepEqual((result.properties.json as { allOf: unknown }).allOf, [{ $ref: "#/components/schemas/com.example.Order.Output" }]);
  assert.ok(result.properties.flowStatus);
  const { properties = {} } = components.schemas.FlowStatusResponse ?? {};
  assert.ok("flowStatus" in (properties as object), "the author's title has taken our name");
  const say = paths["/flowclass/{holdingidentityshorthash}/com.example.Say"]?.post;
  const inputs = ["Input", "Input2"].map((name) => ({ $ref: `#/components/schemas/com.example.Say.${name}` }));
  assert.deepEqual(say?.requestBody.content["application/json"]?.schema, { anyOf: inputs });
  assert.ok(!("/flowclass/{holdingidentityshorthash}/com.example.Say" in (openApi(allRoutes, "v5_2", FLOWS) as unknown as Document).paths));
});

test("Whatever an author's schema says, the document stays valid", async () => {
  const { schema } = fc.letrec((tie) => ({
    schema: fc.oneof(
      { maxDepth: 3 },
      fc.boolean(),
      fc.record(
        {
          type: fc.oneof(
            fc.constantFrom("string", "integer", "null", "object", "array", "madness"),
            fc.constantFrom(["string", "null"], ["array", "object"]),
          ),
          minimum: fc.oneof(fc.integer(), fc.string()),
          exclusiveMaximum: fc.integer(),
          minLength: fc.integer(),
          required: fc.oneof(fc.array(fc.string()), fc.boolean()),
          description: fc.oneof(fc.string(), fc.integer()),
          const: fc.jsonValue(),
          enum: fc.array(fc.jsonValue()),
          $ref: fc.constantFrom("#/$defs/x", "#"),
        },
        { requiredKeys: [] },
      ),
      fc.record({ anyOf: fc.array(tie("schema")) }),
      fc.record({ oneOf: fc.array(tie("schema")), type: fc.constant("object") }),
      fc.record({ allOf: fc.array(tie("schema")) }),
      fc.record({
        type: fc.constant("object"),
        properties: fc.dictionary(fc.string(), tie("schema")),
        additionalProperties: tie("schema"),
      }),
      fc.record({ type: fc.constant("array"), items: fc.oneof(tie("schema"), fc.array(tie("schema"))) }),
      fc.record({ type: fc.constant("object"), patternProperties: fc.dictionary(fc.string(), tie("schema")) }),
      fc.record({ not: tie("schema") }),
    ),
  }));
  const base = openApi([], "v5_3") as { components: object };
  await fc.assert(
    fc.asyncProperty(fc.array(schema, { minLength: 1, maxLength: 20 }), async (schemas) => {
      const listed = Object.fromEntries(schemas.map((each, at) => [`S${at}`, openApiSchema(each)]));
      await assertValid({ ...base, components: { ...base.components, schemas: listed } });
    }),
    { numRuns: 15 },
  );
});
