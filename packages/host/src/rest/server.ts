// The rest role: HTTPS in front of the other roles. It holds its TLS key, in memory, and no credential of any database;
// it writes nothing but files on their way to the db role.
//
// Each request passes: length, credentials, permission, decoding, answer. One log line each. Closing answers what is in
// hand first.

import { readdir, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type ApiVersion, allRoutes, errorBody, operations, PLATFORM_VERSION, protocolVersions, type Route } from "@bowline/api";
import { BowlineError, type Clock, type Log, readJson } from "@bowline/base";
import type { BootKey } from "@bowline/crypto";
import multipart from "@fastify/multipart";
import { type FastifyInstance, type FastifyReply, type FastifyRequest, fastify } from "fastify";
import { createDirectory } from "../directory.ts";
import type { Granted } from "../grants.ts";
import { openTlsKey } from "../sealed-tls-key.ts";
import { accessAnswers } from "./access-answers.ts";
import type { Answer, Answers, RestShell } from "./answers.ts";
import { type Authentication, createAuthentication } from "./authentication.ts";
import { openStreams } from "./event-streams.ts";
import { contentType, refuseConnection, sendFailure } from "./failures.ts";
import { flowAnswers } from "./flow-answers.ts";
import { serveFlowEvents } from "./flow-events.ts";
import { flowOperatorAnswers } from "./flow-operator.ts";
import { inputReader, tooLarge, UPLOAD_BYTES_MAX } from "./input.ts";
import { ledgerAnswers } from "./ledger-answers.ts";
import { notaryAnswers } from "./notary-answers.ts";
import { certificateAnswers, configAnswers, cpiAnswers, helloAnswers, memberAnswers, virtualNodeAnswers } from "./operator-answers.ts";
import { serveSwagger } from "./swagger.ts";
import { vaultAnswers } from "./vault-answers.ts";
import { serveVaultEvents } from "./vault-events.ts";

const JSON_BYTES_MAX = 8 * 1024 * 1024;
const REQUESTS_AT_ONCE_MAX = 1_000;
/** Headers and body of one request must arrive within this. */
const REQUEST_TIMEOUT_MS = 300_000;
const KEEP_ALIVE_MS = 72_000;
const DRAIN_MS = 3_000;
const PARAMETER_LENGTH_MAX = 512;

export interface RestRoleOptions {
  readonly services: Granted<"rest">;
  readonly bootKey: BootKey;
  /** Where the certificate authority that signed our certificate is written, for clients to trust. */
  readonly caFile: string;
  /** The first of these ports that is free; 0 is any. */
  readonly listen: { readonly host: string; readonly ports: readonly number[] };
  /** A folder for uploads in progress; what lies in it at the start is a dead process's. */
  readonly uploads: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface RestRole {
  readonly port: number;
  close(): Promise<void>;
}

export async function createRestRole(options: RestRoleOptions): Promise<RestRole> {
  const { services, bootKey, caFile, listen, uploads, clock, log } = options;
  const { sealed, chainPem } = await services.crypto.releaseTls({ tenant: "rest", sealTo: bootKey.publicKey });
  await writeFile(caFile, authorityOf(chainPem));
  await removeFiles(uploads);
  const app = fastify({
    https: { key: openTlsKey(bootKey, sealed), cert: chainPem, minVersion: "TLSv1.2" },
    logger: false,
    bodyLimit: JSON_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: "idle",
    clientErrorHandler: refuseConnection,
    frameworkErrors: (error, _, reply) => sendFailure(error, reply, log),
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: PARAMETER_LENGTH_MAX },
  });
  await prepare(app, options);
  const shell: RestShell = { services, directory: createDirectory(services.db, clock) };
  serve(app, shell, { authentication: createAuthentication(services.db, clock.now), uploads, clock });
  await listenOn(app, listen);
  const address = app.server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  log.info("REST is listening", { host: listen.host, port });
  return { port, close: () => drain(app, clock) };
}

/** Answers what is in hand; who waits for longer than that is cut off, and asks again elsewhere. */
async function drain(app: FastifyInstance, clock: Clock): Promise<void> {
  const cancel = clock.after(DRAIN_MS, () => app.server.closeAllConnections());
  await app.close();
  cancel();
}

/** Trying to listen is the only question whose answer still holds when it is used: another process may be as quick. */
async function listenOn(app: FastifyInstance, { host, ports }: RestRoleOptions["listen"]): Promise<void> {
  for (const port of ports) {
    try {
      await app.listen({ host, port });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
  const taken = ports.length === 1 ? `Port ${ports[0]} is taken` : `The ports ${ports.join(", ")} are taken`;
  throw new BowlineError("conflict", "port.taken", `${taken}. Stop what listens there, or choose another with --port.`);
}

/** The last certificate of the chain; a self-signed one is its own. */
function authorityOf(chainPem: string): string {
  const blocks = chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return `${blocks.at(-1) ?? ""}\n`;
}

async function removeFiles(folder: string): Promise<void> {
  for (const name of await readdir(folder)) if (name.endsWith(".upload")) await unlink(join(folder, name));
}

/** What is the same for all requests. */
async function prepare(app: FastifyInstance, { log, clock }: RestRoleOptions): Promise<void> {
  let running = 0;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_, text, done) => {
    try {
      done(null, text === "" ? undefined : readJson(String(text), "request body"));
    } catch (error) {
      done(error as Error);
    }
  });
  await app.register(multipart);
  app.decorateRequest("startedAt", 0);
  app.decorateRequest("login", "");
  app.addHook("onRequest", async (request, reply) => {
    running++;
    // "close" comes for every request, also for one whose client has gone.
    reply.raw.once("close", () => {
      running--;
      log.info("request", {
        method: request.method,
        route: request.routeOptions.url ?? "unknown",
        ...(reply.raw.writableFinished ? { status: reply.statusCode } : { aborted: true }),
        ms: clock.now() - request.startedAt,
        ...(request.login === "" ? {} : { user: request.login }),
      });
    });
    request.startedAt = clock.now();
    // As the original's 5.2: any page may ask, none does so with a browser's stored credentials.
    reply.headers({ "cache-control": "no-cache", "access-control-allow-origin": "*", "x-content-type-options": "nosniff" });
    if (running > REQUESTS_AT_ONCE_MAX)
      throw new BowlineError("tooMany", "rest.busy", "The server has too many requests in hand. Try again in a second.");
    // Before credentials are looked at, as in the original.
    const length = Number(request.headers["content-length"] ?? 0);
    if (length > UPLOAD_BYTES_MAX) throw tooLarge(length);
  });
  app.setErrorHandler((error, _, reply) => sendFailure(error, reply, log));
  app.setNotFoundHandler(notFound);
  app.options("/*", (_, reply) =>
    reply
      .headers({
        "access-control-allow-methods": "GET, POST, PUT, DELETE",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "600",
      })
      .code(204)
      .send(),
  );
}

declare module "fastify" {
  interface FastifyRequest {
    startedAt: number;
    login: string;
  }
}

interface Serving {
  readonly authentication: Authentication;
  readonly uploads: string;
  readonly clock: Clock;
}

function serve(app: FastifyInstance, shell: RestShell, { authentication, uploads, clock }: Serving): void {
  const answers: Answers = {
    ...helloAnswers,
    ...cpiAnswers(shell),
    ...certificateAnswers(shell),
    ...virtualNodeAnswers(shell),
    ...flowAnswers(shell),
    ...flowOperatorAnswers(shell),
    ...vaultAnswers(shell),
    ...ledgerAnswers(shell, () => clock.now()),
    ...notaryAnswers(shell),
    ...memberAnswers(shell),
    ...configAnswers(shell),
    ...accessAnswers(shell),
  };
  const admit = admission(shell, authentication);
  for (const [name, route] of Object.entries(operations))
    serveRoute(app, route, answers[name as keyof Answers] as Answer<Route>, admit, uploads);
  for (const route of protocolVersions) serveRoute(app, route, async () => ({ body: PLATFORM_VERSION as never }), admit, uploads);
  const streams = openStreams();
  app.addHook("preClose", async () => streams.endAll());
  serveFlowEvents(app, { shell, clock, admit, streams });
  serveVaultEvents(app, { shell, clock, admit, streams });
  for (const version of ["v5_1", "v5_2", "v5_3"] as const) serveSwagger(app, { version, shell, authentication });
}

type Admission = (request: FastifyRequest, reply: FastifyReply) => Promise<void>;

/** As the original says it. */
const CLOSE_TO_EXPIRY = "199 - PasswordExpiryStatus is CLOSE_TO_EXPIRY";

/** Credentials, then the permission `METHOD:/api/…?query`, both before a body is read. */
function admission({ services }: RestShell, authentication: Authentication): Admission {
  return async (request, reply) => {
    const [path = "", query] = request.raw.url?.split("?", 2) ?? [];
    const permission = `${request.method}:${path.replace(/\/+$/, "")}${query === undefined || query === "" ? "" : `?${query}`}`;
    const { authorization } = request.headers;
    const ask = async () => {
      const { login, stamp } = await authentication.identify(authorization, request.ip);
      request.login = login;
      return services.db.admit({ login, stamp, permission });
    };
    let admitted = await ask();
    if (admitted.kind === "stale") {
      // The password was changed, or the user deleted, since these credentials were looked at.
      authentication.forget(authorization);
      admitted = await ask();
    }
    if (admitted.kind === "expired")
      throw new BowlineError("forbidden", "rest.passwordExpired", "The password has expired: change it with POST /user/selfpassword.", {});
    if (admitted.kind !== "allowed") throw new BowlineError("forbidden", "rest.forbidden", "User not authorized.", { permission });
    if (admitted.closeToExpiry) reply.header("warning", CLOSE_TO_EXPIRY);
  };
}

function serveRoute(app: FastifyInstance, route: Route, answer: Answer<Route>, admit: Admission, uploads: string): void {
  const read = inputReader(route, uploads);
  for (const version of route.versions)
    app.route({
      method: route.method,
      url: `/api/${version}${route.path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
      ...(route.auth === "permission" ? { onRequest: admit } : {}),
      preParsing: async (request: FastifyRequest) => checkContentType(route, request),
      handler: async (request, reply) => {
        const { discard, ...input } = await read(request);
        try {
          const { status, body } = await answer({ version: version as ApiVersion, login: request.login, ...input } as Parameters<
            typeof answer
          >[0]);
          return send(reply, route, status ?? (route.statuses[0] as number), body);
        } finally {
          await discard();
        }
      },
    });
}

function checkContentType({ body }: Route, request: FastifyRequest): void {
  if (body === undefined) return;
  const wanted = body.kind === "json" ? "application/json" : "multipart/form-data";
  const [given = ""] = (request.headers["content-type"] ?? "").split(";");
  if (given.trim().toLowerCase() !== wanted) throw contentType(wanted);
}

function send(reply: FastifyReply, route: Route, status: number, body: unknown): FastifyReply {
  if (route.reply === null) return reply.code(status).send();
  return reply
    .code(status)
    .type("application/json")
    .send(route.raw ? body : JSON.stringify(body));
}

/** A path in capitals is redirected to the one it means; parameters keep their case. */
function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = "", query] = request.url.split("?", 2);
  const meant = lowerCasePath(path);
  if (meant !== undefined && meant !== path) return reply.redirect(query === undefined ? meant : `${meant}?${query}`, 301);
  const error = new BowlineError("notFound", "rest.noSuchPath", `There is no ${request.method} ${path}.`, { url: path });
  return reply
    .code(404)
    .type("application/json")
    .send(JSON.stringify(errorBody(error)));
}

function lowerCasePath(path: string): string | undefined {
  const segments = path.split("/").filter((segment) => segment !== "");
  for (const route of allRoutes) {
    const template = ["api", segments[1]?.toLowerCase() ?? "", ...route.path.slice(1).split("/")];
    if (template.length !== segments.length) continue;
    if (!template.every((part, i) => part.startsWith("{") || part === segments[i]?.toLowerCase())) continue;
    return `/${template.map((part, i) => (part.startsWith("{") ? segments[i] : part)).join("/")}`;
  }
  return undefined;
}
