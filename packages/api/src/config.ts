import Type from "typebox";
import { defineRoute, named, noParams, strictObject } from "./route.ts";

const tag = "Configuration";

const SchemaVersion = named("ConfigSchemaVersion", strictObject({ major: Type.Integer(), minor: Type.Integer() }));

export const getConfig = defineRoute({
  method: "GET",
  path: "/config/{section}",
  tag,
  summary: "A section of the cluster's configuration.",
  params: Type.Object({ section: Type.String({ examples: ["corda.externalMessaging"] }) }),
  query: noParams,
  body: undefined,
  reply: named(
    "GetConfigResponse",
    Type.Object({
      section: Type.String(),
      version: Type.Integer({ description: "0 where it was never stored. Who changes it names it." }),
      schemaVersion: SchemaVersion,
      sourceConfig: Type.String({ description: "As it was given." }),
      configWithDefaults: Type.String(),
    }),
  ),
  errors: { 404: "There is no such section." },
});

export const changeConfig = defineRoute({
  method: "PUT",
  path: "/config",
  tag,
  summary: "Changes a section of the cluster's configuration as a whole. It is in force within seconds.",
  params: noParams,
  query: noParams,
  body: {
    kind: "json",
    schema: named(
      "UpdateConfigParameters",
      strictObject({
        section: Type.String({ examples: ["corda.externalMessaging"] }),
        version: Type.Integer({ description: "The version in force. Of a section that was never stored 0 or -1." }),
        config: Type.Unknown({ description: "JSON, or text that holds JSON." }),
        schemaVersion: SchemaVersion,
      }),
    ),
    wrapper: "request",
  },
  statuses: [202],
  reply: named(
    "UpdateConfigResponse",
    Type.Object({ section: Type.String(), version: Type.Integer(), schemaVersion: SchemaVersion, config: Type.String() }),
  ),
  errors: { 400: "An unknown section or schema version, or a configuration that breaks its schema.", 409: "Another version is in force." },
});
