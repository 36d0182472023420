// `META-INF/cordapp.json`: what a CPK says of its CorDapp. Written when it is packaged, by the machine of its author; the
// host holds it against what the bundle itself says, in the sandbox.

import { badRequest, type Decoder, decoder } from "@bowline/base";
import { type CordappManifest, entityFault } from "@bowline/sdk";
import { stateQueryFault } from "@bowline/sdk/queries";
import * as Type from "typebox";

const Name = Type.String({ pattern: "^[A-Za-z_][A-Za-z0-9_]*(\\.[A-Za-z_][A-Za-z0-9_]*)*$", maxLength: 255 });
const Schema = Type.Union([Type.Object({}), Type.Boolean()]);
const Version = Type.Integer({ minimum: 1, maximum: 2_147_483_647 });
const Protocol = Type.Object(
  { name: Type.String({ minLength: 1, maxLength: 255 }), versions: Type.Array(Version, { minItems: 1, maxItems: 100 }) },
  { additionalProperties: false },
);
const DEFINITIONS_MAX = 10_000;
const list = <S extends Type.TSchema>(item: S) => Type.Array(item, { maxItems: DEFINITIONS_MAX });

const Property = Type.String({ minLength: 1, maxLength: 255 });
const Condition = Type.Object(
  {
    property: Property,
    operator: Type.Enum(["=", "!=", "<", "<=", ">", ">=", "in", "like", "startsWith", "contains", "isNull", "isNotNull"]),
    parameter: Type.Optional(Property),
  },
  { additionalProperties: false },
);
const CONDITIONS_MAX = 100;
const conditions = Type.Array(Condition, { maxItems: CONDITIONS_MAX });
const Where = Type.Array(Type.Union([Condition, Type.Object({ any: conditions }, { additionalProperties: false })]), {
  maxItems: CONDITIONS_MAX,
});
const Query = Type.Object(
  {
    where: Where,
    orderBy: Type.Optional(Type.Array(Property, { maxItems: CONDITIONS_MAX })),
    descending: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);
const Kind = Type.Enum(["text", "integer", "bigint", "decimal", "instant", "uuid", "bytes", "boolean", "json"]);
const Missing = Type.Enum(["never", "omitted", "null"]);
const Entity = Type.Object(
  {
    name: Name,
    table: Property,
    key: Type.Array(Property, { minItems: 1, maxItems: 32 }),
    properties: Type.Array(
      Type.Object({ name: Property, column: Property, kind: Kind, missing: Missing }, { additionalProperties: false }),
      { maxItems: 1_000 },
    ),
    queries: Type.Record(Type.String({ minLength: 1, maxLength: 255 }), Query),
  },
  { additionalProperties: false },
);
const StateQuery = Type.Object(
  {
    name: Name,
    states: Type.Array(Name, { minItems: 1, maxItems: 1_000 }),
    standing: Type.Enum(["unconsumed", "consumed", "all"]),
    fields: Type.Array(Type.Object({ name: Property, kind: Kind, missing: Missing }, { additionalProperties: false }), {
      maxItems: CONDITIONS_MAX,
    }),
    where: Where,
    orderBy: Type.Array(Property, { maxItems: CONDITIONS_MAX }),
    descending: Type.Boolean(),
    index: Type.Union([Type.Array(Property, { maxItems: CONDITIONS_MAX }), Type.Null()]),
    join: Type.Array(
      Type.Object(
        { name: Property, entity: Name, on: Type.Record(Property, Property), optional: Type.Boolean() },
        { additionalProperties: false },
      ),
      { maxItems: 8 },
    ),
  },
  { additionalProperties: false },
);

const Manifest = Type.Object(
  {
    flows: list(
      Type.Object(
        {
          name: Name,
          startable: Type.Boolean(),
          initiates: Type.Optional(Protocol),
          answers: Type.Optional(Protocol),
          input: Type.Optional(Schema),
          output: Type.Optional(Schema),
        },
        { additionalProperties: false },
      ),
    ),
    states: list(
      Type.Object(
        { name: Name, version: Version, oldest: Type.Optional(Version), contract: Name, schema: Schema },
        { additionalProperties: false },
      ),
    ),
    channels: Type.Optional(
      list(
        Type.Object(
          { name: Type.String({ pattern: "^[A-Za-z0-9._-]{1,100}$" }), type: Type.Literal("SEND") },
          { additionalProperties: false },
        ),
      ),
    ),
    contracts: list(
      Type.Object(
        {
          name: Name,
          commands: list(
            Type.Object({ name: Type.String({ minLength: 1, maxLength: 255 }), schema: Schema }, { additionalProperties: false }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    entities: Type.Optional(list(Entity)),
    queries: Type.Optional(list(StateQuery)),
  },
  { additionalProperties: false },
);

const decodeShape: Decoder<CordappManifest> = decoder(Manifest, "CorDapp manifest");

/**
 * Throws `input.invalid`, `package.nameTwice` where two flows, states, contracts, entities or queries have one name,
 * `package.entityInvalid`, or `package.queryInvalid`.
 */
export function decodeManifest(value: unknown): CordappManifest {
  const manifest = decodeShape(value);
  for (const kind of ["flows", "states", "contracts", "entities", "queries", "channels"] as const) {
    const names = new Set<string>();
    for (const { name } of manifest[kind] ?? []) {
      if (names.has(name))
        throw badRequest("package.nameTwice", `The CorDapp has two ${kind} called ${name}. Give each a name of its own.`, { name });
      names.add(name);
    }
  }
  for (const entity of manifest.entities ?? []) {
    const fault = entityFault(entity);
    if (fault !== undefined)
      throw badRequest("package.entityInvalid", `The entity ${entity.name} cannot be kept: ${fault}.`, { entity: entity.name });
  }
  for (const query of manifest.queries ?? []) {
    const fault = stateQueryFault(query, manifest.entities ?? []);
    if (fault !== undefined)
      throw badRequest("package.queryInvalid", `The query ${query.name} cannot be asked: ${fault}.`, { query: query.name });
  }
  return manifest;
}

/** Contracts and states are verified by everyone and for ever; a CorDapp without them only says how its member works. */
export const cpkType = ({ contracts, states }: CordappManifest): "contract" | "workflow" =>
  contracts.length > 0 || states.length > 0 ? "contract" : "workflow";
