// The OpenAPI document of one version, from the routes alone. OpenAPI 3.0 knows neither `null` as a type nor
// `const`, so schemas are rewritten to its dialect; those with a title become components.

import { ErrorBody } from "./errors.ts";
import type { ApiVersion, Route, RouteBody } from "./route.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { [key: string]: Json };

/** An OpenAPI 3.0.1 document of the routes that `version` serves. */
export function openApi(routes: readonly Route[], version: ApiVersion): JsonObject {
  const components = new Components();
  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    if (!route.versions.includes(version)) continue;
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation(route, components) };
  }
  return {
    openapi: "3.0.1",
    info: {
      title: "Bowline REST API",
      description: "What an operator and a client may do with a Bowline cluster.",
      version: version.replace("v", "").replace("_", "."),
    },
    servers: [{ url: `/api/${version}` }],
    tags: [...new Set(routes.map(({ tag }) => tag))].sort().map((name) => ({ name })),
    paths,
    components: {
      schemas: components.schemas,
      securitySchemes: { basicAuth: { type: "http", scheme: "basic" } },
    },
  };
}

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
    schema: components.inline(property),
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

function responses(route: Route, components: Components, secured: boolean): JsonObject {
  const all: JsonObject = {};
  for (const status of route.statuses)
    all[status] =
      route.reply === null
        ? { description: "Done." }
        : { description: "Success.", content: { "application/json": { schema: components.use(route.reply) } } };
  const errors: Record<number, string> = {
    ...(secured ? { 401: "Credentials are missing or wrong.", 403: "No permission allows this call, or one denies it." } : {}),
    ...route.errors,
  };
  for (const [status, description] of Object.entries(errors))
    all[status] = { description, content: { "application/json": { schema: components.use(ErrorBody) } } };
  return all;
}

class Components {
  readonly schemas: JsonObject = {};

  /** A reference to the named schema, or the schema itself where it has no name. */
  use(schema: unknown): Json {
    return this.inline(JSON.parse(JSON.stringify(schema)));
  }

  inline(schema: unknown): Json {
    if (typeof schema !== "object" || schema === null) return {};
    const { title, ...rest } = schema as Record<string, unknown>;
    if (typeof title !== "string") return this.#rewrite(rest);
    if (this.schemas[title] === undefined) {
      this.schemas[title] = {};
      this.schemas[title] = this.#rewrite(rest);
    }
    return { $ref: `#/components/schemas/${title}` };
  }

  #rewrite(schema: Record<string, unknown>): Json {
    const { anyOf, const: constant, properties, items, patternProperties, type, examples, ...rest } = schema;
    if (type === "null") return { nullable: true, enum: [null] };
    if (Array.isArray(anyOf)) return this.#union(anyOf);
    const result: JsonObject = { ...(rest as JsonObject) };
    if (typeof type === "string") result.type = type;
    if (constant !== undefined) result.enum = [constant as Json];
    if (Array.isArray(examples)) result.example = examples[0] as Json;
    if (Array.isArray(result.enum) && type === undefined) result.type = "string";
    if (properties !== undefined) result.properties = this.#each(properties as Record<string, unknown>);
    if (items !== undefined) result.items = this.inline(items);
    // A map of text to something: its one pattern says what the values are.
    const [values] = Object.values((patternProperties ?? {}) as Record<string, unknown>);
    if (values !== undefined) result.additionalProperties = this.inline(values);
    return result;
  }

  #union(members: readonly unknown[]): Json {
    const others = members.filter((member) => (member as { type?: unknown }).type !== "null").map((member) => this.inline(member));
    const nullable = others.length < members.length;
    const [first] = others;
    if (others.length > 1) return { anyOf: others, ...(nullable ? { nullable } : {}) };
    if (first === undefined || typeof first !== "object" || first === null || Array.isArray(first)) return {};
    // A reference takes no siblings in OpenAPI 3.0.
    return nullable ? ("$ref" in first ? { allOf: [first], nullable } : { ...first, nullable }) : first;
  }

  #each(properties: Record<string, unknown>): JsonObject {
    return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, this.inline(property)]));
  }
}
