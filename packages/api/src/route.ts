// What an HTTP operation is, as one value. The server, the client, the CLI and the OpenAPI document all derive from it.

import type { Static, TObject, TSchema } from "typebox";
import Type from "typebox";

/** The first segment under `/api`. */
export const API_VERSIONS = ["v5_1", "v5_2", "v5_3"] as const;
export type ApiVersion = (typeof API_VERSIONS)[number];

/** What `getprotocolversion` answers, and what member infos say of this software. */
export const PLATFORM_VERSION = 50200;
export const SOFTWARE_VERSION = "0.1.0";

/** A file in a multipart body. */
export interface FilePart {
  readonly kind: "file";
  /** Whether the part may come several times. */
  readonly many: boolean;
}

export type RouteBody =
  /** Both the bare object and `{ [wrapper]: object }` are accepted. */
  | { readonly kind: "json"; readonly schema: TSchema; readonly wrapper?: string }
  | { readonly kind: "multipart"; readonly texts: readonly string[]; readonly files: Readonly<Record<string, FilePart>> };

export interface Route<
  Params extends TObject = TObject,
  Query extends TObject = TObject,
  Body extends RouteBody | undefined = RouteBody | undefined,
  Reply extends TSchema | null = TSchema | null,
> {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below `/api/<version>`, lower case; parameters in braces. */
  readonly path: string;
  readonly operationId: string;
  readonly tag: string;
  readonly summary: string;
  readonly versions: readonly ApiVersion[];
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** Every status of success; all carry `reply`. */
  readonly statuses: readonly number[];
  /** Null: no content. */
  readonly reply: Reply;
  /** The reply is text as it is, not a JSON string. */
  readonly raw: boolean;
  /** With `text/event-stream` each event's data is one `reply`. */
  readonly media: "application/json" | "text/event-stream";
  readonly errors: Readonly<Record<number, string>>;
  /** `permission`: Basic credentials and an RBAC permission that matches `METHOD:/api/<version>/path`. */
  readonly auth: "none" | "permission";
}

type RouteInput<P extends TObject, Q extends TObject, B extends RouteBody | undefined, R extends TSchema | null> = Pick<
  Route<P, Q, B, R>,
  "method" | "path" | "tag" | "summary" | "params" | "query" | "body" | "reply"
> &
  Partial<Pick<Route, "versions" | "statuses" | "errors" | "raw" | "media" | "auth">>;

/** Fills in what most operations share. */
export function defineRoute<
  const P extends TObject,
  const Q extends TObject,
  const B extends RouteBody | undefined,
  const R extends TSchema | null,
>(input: RouteInput<P, Q, B, R>): Route<P, Q, B, R> {
  return {
    versions: API_VERSIONS,
    statuses: [input.reply === null ? 204 : 200],
    errors: {},
    raw: false,
    media: "application/json",
    auth: "permission",
    ...input,
    operationId: operationIdOf(input.method, input.path),
  };
}

/** As the original names them: `post_flow__holdingidentityshorthash_`. */
function operationIdOf(method: string, path: string): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]/g, "_")}`;
}

/** A reply, or a part of one, that the OpenAPI document lists by name. */
export const named = <S extends TSchema>(title: string, schema: S): S => ({ ...schema, title });

/** Strict: a property that is not listed is refused. */
export const strictObject = <P extends Record<string, TSchema>>(properties: P) => Type.Object(properties, { additionalProperties: false });

export const nullable = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()]);
export const instant = Type.String({ format: "date-time" });
export const noParams = Type.Object({});

export type ParamsOf<R extends Route> = Static<R["params"]>;
export type QueryOf<R extends Route> = Static<R["query"]>;
export type BodyOf<R extends Route> = R["body"] extends { readonly kind: "json"; readonly schema: infer S extends TSchema }
  ? Static<S>
  : never;
export type ReplyOf<R extends Route> = R["reply"] extends TSchema ? Static<R["reply"]> : null;
