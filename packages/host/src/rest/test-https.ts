// HTTPS as tests speak it: to a server with an authority of its own.

import { type Agent, request } from "node:https";
import type { Fetch } from "@bowline/api";
import { ADMIN } from "../roles/test-cluster.ts";

export function fetchThrough(agent: Agent): Fetch {
  return async (url, { method, headers, body }) => {
    const form = body instanceof FormData ? new Response(body) : undefined;
    const bytes = form === undefined ? Buffer.from((body as string | undefined) ?? "") : Buffer.from(await form.arrayBuffer());
    const type = form?.headers.get("content-type");
    return new Promise((resolve, reject) => {
      const sent = request(url, { agent, method, headers: { ...headers, ...(type == null ? {} : { "content-type": type }) } }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("end", () => {
          const received = new Headers(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
          resolve({ status: answer.statusCode ?? 0, headers: received, text: async () => Buffer.concat(chunks).toString() });
        });
      });
      sent.on("error", reject);
      sent.end(bytes);
    });
  };
}

export interface RawInit {
  readonly headers?: Record<string, string>;
  readonly body?: string | FormData;
  readonly anonymous?: boolean;
}

/** Without the client: what goes over the wire, and what comes back. */
export const rawHttp =
  (agent: Agent, port: () => number) =>
  async (method: string, path: string, init: RawInit = {}) => {
    const authorization = `Basic ${Buffer.from(`${ADMIN.login}:${ADMIN.password}`).toString("base64")}`;
    const headers = { ...(init.anonymous ? {} : { authorization }), ...init.headers };
    const answer = await fetchThrough(agent)(`https://localhost:${port()}${path}`, {
      method,
      headers,
      ...(init.body === undefined ? {} : { body: init.body }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, text, json: () => JSON.parse(text) };
  };
