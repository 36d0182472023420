// A typed client over the same values that the server serves. It speaks through the `fetch` it is given, so that a
// process decides about certificates and connections, and a browser can use it too.

import { BowlineError, unavailable } from "@bowline/base";
import { errorOf } from "./errors.ts";
import type { ApiVersion, BodyOf, ParamsOf, QueryOf, ReplyOf, Route } from "./route.ts";

type Answer = Pick<Response, "status" | "headers" | "text">;
export type Fetch = (
  url: string,
  init: { readonly method: string; readonly headers: Record<string, string>; readonly body?: string | FormData },
) => Promise<Answer>;

export interface ClientOptions {
  /** `https://localhost:8888`, without `/api`. */
  readonly baseUrl: string;
  readonly user: string;
  readonly password: string;
  readonly version?: ApiVersion;
  /** The platform's own where nothing is given. To trust a certificate authority of your own, pass one that does. */
  readonly fetch?: Fetch;
}

type Needs<Key extends string, Value> =
  Record<never, never> extends Value ? { readonly [K in Key]?: Value } : { readonly [K in Key]: Value };

/** What a call of one operation takes; what is optional in the operation is optional here. */
export type CallInput<R extends Route> = Needs<"params", ParamsOf<R>> &
  Needs<"query", QueryOf<R>> &
  (R["body"] extends { readonly kind: "json" }
    ? { readonly body: BodyOf<R> }
    : R["body"] extends { readonly kind: "multipart" }
      ? { readonly body: FormData }
      : { readonly body?: never });

export interface Client {
  /** Throws the server's refusal as a `BowlineError`, and `rest.unreachable` where there was no answer. */
  call<R extends Route>(route: R, input: CallInput<R>): Promise<{ readonly status: number; readonly body: ReplyOf<R> }>;
}

export function createClient(options: ClientOptions): Client {
  const { baseUrl, user, password, version = "v5_2" } = options;
  const send: Fetch = options.fetch ?? ((url, init) => fetch(url, init));
  const authorization = `Basic ${base64(`${user}:${password}`)}`;
  return {
    async call(route, input) {
      const url = `${baseUrl.replace(/\/+$/, "")}/api/${version}${fillPath(route.path, input.params)}${queryText(input.query)}`;
      const headers: Record<string, string> = { accept: "application/json", authorization };
      if (route.body?.kind === "json") headers["content-type"] = "application/json";
      const body = input.body === undefined ? undefined : input.body instanceof FormData ? input.body : JSON.stringify(input.body);
      const answer = await reach(baseUrl, () => send(url, { method: route.method, headers, ...(body === undefined ? {} : { body }) }));
      const text = await reach(baseUrl, () => answer.text());
      if (answer.status < 200 || answer.status > 299) throw errorOf(answer.status, parsed(text));
      return { status: answer.status, body: readReply(route, text) as ReplyOf<typeof route> };
    },
  };
}

async function reach<T>(baseUrl: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BowlineError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw unavailable("rest.unreachable", `${baseUrl} cannot be reached: ${reason}. Is the network running, and is the address right?`);
  }
}

function readReply(route: Route, text: string): unknown {
  if (route.reply === null) return null;
  if (route.raw) return text;
  const value = parsed(text);
  if (value === undefined) throw new BowlineError("internal", "rest.answer", "The server's answer is not JSON.");
  return value;
}

function fillPath(path: string, params: unknown): string {
  const values = (params ?? {}) as Readonly<Record<string, string>>;
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
}

function queryText(query: unknown): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries((query ?? {}) as Readonly<Record<string, unknown>>)) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) search.append(name, String(each));
  }
  const text = search.toString();
  return text === "" ? "" : `?${text}`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function base64(text: string): string {
  let binary = "";
  for (const byte of new TextEncoder().encode(text)) binary += String.fromCharCode(byte);
  return btoa(binary);
}
