// `META-INF/cordapp.json`: what a CPK says of its CorDapp. Written when it is packaged, by the machine of its author; the
// host holds it against what the bundle itself says, in the sandbox.

import { badRequest, type Decoder, decoder } from "@bowline/base";
import type { CordappManifest } from "@bowline/sdk";
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
    states: list(Type.Object({ name: Name, version: Version, contract: Name, schema: Schema }, { additionalProperties: false })),
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
  },
  { additionalProperties: false },
);

const decodeShape: Decoder<CordappManifest> = decoder(Manifest, "CorDapp manifest");

/** Throws `input.invalid`, or `package.nameTwice` where two flows, two states or two contracts have one name. */
export function decodeManifest(value: unknown): CordappManifest {
  const manifest = decodeShape(value);
  for (const kind of ["flows", "states", "contracts"] as const) {
    const names = new Set<string>();
    for (const { name } of manifest[kind]) {
      if (names.has(name))
        throw badRequest("package.nameTwice", `The CorDapp has two ${kind} called ${name}. Give each a name of its own.`, { name });
      names.add(name);
    }
  }
  return manifest;
}

/** Contracts and states are verified by everyone and for ever; a CorDapp without them only says how its member works. */
export const cpkType = ({ contracts, states }: CordappManifest): "contract" | "workflow" =>
  contracts.length > 0 || states.length > 0 ? "contract" : "workflow";
