import type { TSchema } from "typebox";
import type { CordappManifest } from "./activation.ts";
import type { CordappDefinition } from "./definition.ts";
import { describeQuery } from "./state-query.ts";
import { oldestVersion } from "./state-versions.ts";

/** What the platform may know of a package without running its flows: plain data, schemas as JSON Schema. */
export function manifestOf({ flows, states, contracts, entities = [], queries = [], channels }: CordappDefinition): CordappManifest {
  return {
    flows: flows.map((flow) =>
      flow.kind === "flow"
        ? {
            name: flow.name,
            startable: flow.startable,
            ...(flow.initiates === undefined ? {} : { initiates: flow.initiates }),
            input: jsonSchema(flow.input),
            ...(flow.output === undefined ? {} : { output: jsonSchema(flow.output) }),
          }
        : { name: flow.name, startable: false, answers: flow.answers },
    ),
    states: states.map((state) => {
      const { name, version, contract, schema } = state;
      const oldest = oldestVersion(state);
      return { name, version, ...(oldest === version ? {} : { oldest }), contract, schema: jsonSchema(schema) };
    }),
    contracts: contracts.map(({ name, commands }) => ({
      name,
      commands: Object.entries(commands).map(([command, schema]) => ({ name: command, schema: jsonSchema(schema) })),
    })),
    ...(entities.length === 0 ? {} : { entities: entities.map(({ description }) => description) }),
    ...(queries.length === 0 ? {} : { queries: queries.map((query) => describeQuery(query, states)) }),
    ...(channels === undefined ? {} : { channels: channels.map(({ name, type }) => ({ name, type })) }),
  };
}

/** A schema is JSON Schema already; this leaves out what the library keeps beside it. */
const jsonSchema = (schema: TSchema): unknown => JSON.parse(JSON.stringify(schema));
