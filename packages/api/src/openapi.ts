// The OpenAPI document of one version: from the routes, and from the flows that clients may start.

import { ErrorBody } from "./errors.ts";
import { FlowResultReply, startFlowOfClass } from "./flows.ts";
import { type Json, type JsonObject, openApiSchema } from "./openapi-schema.ts";
import type { ApiVersion, Route, RouteBody } from "./route.ts";

/** A flow that clients may start, with the JSON Schemas of its author. */
export interface FlowClass {
  readonly name: string;
  readonly input: unknown;
  readonly output: unknown;
}

/**
 * An OpenAPI 3.0.1 document of the routes that `version` serves. Each of `flows` is an operation of its own, so that a
 * generated client knows its input and its result by type.
 */
export function openApi(routes: readonly Route[], version: ApiVersion, flows: readonly FlowClass[] = []): JsonObject {
  const components = new Components();
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    if (!route.versions.includes(version)) continue;
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, components) };
  }
  if (routes.includes(startFlowOfClass) && startFlowOfClass.versions.some((each) => each === version)) addFlows(flows, paths, components);
  return {
    openapi: "3.0.1",
    info: {
      title: "Bowline REST API",
      description: "What an operator and a client may do with a Bowline cluster.",
      version: version.replace("v", "").replace("_", "."),
    },
    servers: [{ url: `/api/${version}` }],
    tags: [...new Set([...routes.map(({ tag }) => tag), ...(flows.length === 0 ? [] : [FLOWS_TAG])])].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: { basicAuth: { type: "http", scheme: "basic" } },
    },
  };
}

const FLOWS_TAG = "Flows";

/** Two packages may have a flow of one name: then either's input is taken, as the virtual node at hand has it. */
function addFlows(flows: readonly FlowClass[], paths: Record<string, JsonObject>, components: Components): void {
  const byName = new Map<string, FlowClass[]>();
  for (const flow of flows) {
    const known = byName.get(flow.name) ?? [];
    if (known.some((each) => JSON.stringify(each) === JSON.stringify(flow))) continue;
    byName.set(flow.name, [...known, flow]);
  }
  const general = operation(startFlowOfClass, components);
  for (const [name, variants] of [...byName].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const input = oneOf(variants.map((flow, at) => components.own(flow.input ?? {}, `${name}.Input${at === 0 ? "" : at + 1}`)));
    const output = oneOf(variants.map((flow, at) => components.own(flow.output ?? {}, `${name}.Output${at === 0 ? "" : at + 1}`)));
    const { json: _, ...common } = FlowResultReply.properties;
    const reply = components.use({ ...FlowResultReply, title: `${name}.Result`, properties: common });
    const replied = components.schemas[`${name}.Result`] as { properties: JsonObject };
    replied.properties.json = { allOf: [output], nullable: true, description: "What the flow returned; null until it has." };
    const success = { description: "Success.", content: { "application/json": { schema: reply } } };
    paths[startFlowOfClass.path.replace("{flowclassname}", name)] = {
      post: {
        ...general,
        tags: [FLOWS_TAG],
        operationId: `start_${name.replaceAll(/[^A-Za-z0-9]/g, "_")}`,
        summary: `Starts ${name}.`,
        parameters: (general.parameters as readonly { readonly name: string }[]).filter((each) => each.name !== "flowclassname") as never,
        requestBody: { required: true, content: { "application/json": { schema: input } } },
        responses: { ...(general.responses as JsonObject), 200: success, 202: success },
      },
    };
  }
}

const oneOf = (schemas: readonly Json[]): Json => (schemas.length === 1 ? (schemas[0] as Json) : { anyOf: schemas });

function operation(route: Route, components: Components): JsonObject {
  const secured = route.auth === "permission";
  return {
    tags: [route.tag],
    summary: route.summary,
    operationId: route.operationId,
    parameters: [...parameters("path", route.params, components), ...parameters("query", route.query, components)],
    ...(route.body === undefined ? {} : { requestBody: requestBody(route.body, components) }),
    responses: responses(route, components, secured),
    ...(secured ? { security: [{ basicAuth: [] }] } : {}),
  };
}

function parameters(place: "path" | "query", schema: Route["params"], components: Components): Json[] {
  const required: readonly string[] = schema.required ?? [];
  return Object.entries(schema.properties).map(([name, property]) => ({
    name,
    in: place,
    required: place === "path" || required.includes(name),
    schema: components.use(property),
  }));
}

function requestBody(body: RouteBody, components: Components): Json {
  if (body.kind === "json") {
    const bare = components.use(body.schema);
    const wrapped: Json[] =
      body.wrapper === undefined
        ? []
        : [{ type: "object", required: [body.wrapper], properties: { [body.wrapper]: bare }, additionalProperties: false }];
    const schema: Json = wrapped.length === 0 ? bare : { oneOf: [bare, ...wrapped] };
    return { required: true, content: { "application/json": { schema } } };
  }
  const file: Json = { type: "string", format: "binary" };
  const properties: JsonObject = {};
  for (const name of body.texts) properties[name] = { type: "string" };
  for (const [name, part] of Object.entries(body.files)) properties[name] = part.many ? { type: "array", items: file } : file;
  return {
    required: true,
    content: { "multipart/form-data": { schema: { type: "object", required: Object.keys(properties), properties } } },
  };
}

const NO_CONTENT = 204;

function responses(route: Route, components: Components, secured: boolean): JsonObject {
  const all: JsonObject = {};
  for (const status of route.statuses)
    all[status] =
      route.reply === null || status === NO_CONTENT
        ? { description: "Done." }
        : { description: "Success.", content: { [route.media]: { schema: components.use(route.reply) } } };
  const errors: Record<number, string> = {
    ...(secured ? { 401: "Credentials are missing or wrong.", 403: "No permission allows this call, or one denies it." } : {}),
    ...route.errors,
  };
  for (const [status, description] of Object.entries(errors))
    all[status] = { description, content: { "application/json": { schema: components.use(ErrorBody) } } };
  return all;
}

/** The schemas that have a name stand once, under it. */
class Components {
  readonly schemas: JsonObject = {};

  /** A reference to the named schema, or the schema itself where it has no name. */
  use(schema: unknown): Json {
    return openApiSchema(schema, (given) => this.#name(given));
  }

  /** As it is, but for its name: a schema of an author's, whose titles mean nothing to us. */
  own(schema: unknown, name: string): Json {
    this.schemas[name] ??= openApiSchema(JSON.parse(JSON.stringify(schema)));
    return { $ref: `#/components/schemas/${name}` };
  }

  #name({ title, ...rest }: Readonly<Record<string, unknown>>): Json | undefined {
    if (typeof title !== "string") return undefined;
    if (this.schemas[title] === undefined) {
      this.schemas[title] = {};
      this.schemas[title] = this.use(rest);
    }
    return { $ref: `#/components/schemas/${title}` };
  }
}
