// The OpenAPI document of each version and a page to read and try it on. Neither needs credentials, but for the flows.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type ApiVersion, allRoutes, type FlowClass, openApi } from "@bowline/api";
import type { FastifyInstance } from "fastify";
import type { RestShell } from "./answers.ts";
import type { Authentication } from "./authentication.ts";

const FILES: Readonly<Record<string, string>> = {
  "swagger-ui.css": "text/css",
  "swagger-ui-bundle.js": "text/javascript",
  "favicon-32x32.png": "image/png",
};

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Bowline REST API</title>
    <link rel="icon" href="swagger/favicon-32x32.png">
    <link rel="stylesheet" href="swagger/swagger-ui.css">
  </head>
  <body>
    <div id="page"></div>
    <script src="swagger/swagger-ui-bundle.js"></script>
    <script src="swagger/start.js"></script>
  </body>
</html>
`;
/** Runs in the browser: who signs in on the page is shown the document that is his, and anonymous again who signs out. */
const START = `const show = (system, headers) =>
  fetch("swagger.json", { headers }).then((answer) => (answer.ok ? answer.text().then((text) => system.specActions.updateSpec(text)) : undefined));
const basic = ({ username, password }) => {
  const bytes = new TextEncoder().encode(username + ":" + password);
  return { authorization: "Basic " + btoa(String.fromCharCode(...bytes)) };
};
const Flows = () => ({
  statePlugins: {
    auth: {
      wrapActions: {
        authorize: (original, system) => (given) => {
          const result = original(given);
          for (const { value } of Object.values(given)) if (value && value.username) show(system, basic(value));
          return result;
        },
        logout: (original, system) => (names) => {
          const result = original(names);
          show(system, {});
          return result;
        },
      },
    },
  },
});
SwaggerUIBundle({ url: "swagger.json", dom_id: "#page", deepLinking: true, validatorUrl: null, plugins: [Flows] });
`;
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

export interface SwaggerOptions {
  readonly version: ApiVersion;
  readonly shell: RestShell;
  readonly authentication: Authentication;
}

/**
 * The document is public, as the original's. Whoever sends credentials with it is told of the flows of the cluster's CPIs
 * too, which are nobody else's to know.
 */
export function serveSwagger(app: FastifyInstance, { version, shell, authentication }: SwaggerOptions): void {
  const base = `/api/${version}/swagger`;
  let document: string | undefined;
  app.get(`${base}.json`, async (request, reply) => {
    reply.type("application/json");
    if (request.headers.authorization === undefined) {
      document ??= JSON.stringify(openApi(allRoutes, version));
      return document;
    }
    request.login = (await authentication.identify(request.headers.authorization, request.ip)).login;
    return JSON.stringify(openApi(allRoutes, version, await flowClasses(shell, request.login)));
  });
  app.get(base, (_, reply) => reply.type("text/html; charset=utf-8").header("content-security-policy", POLICY).send(PAGE));
  app.get(`${base}/start.js`, (_, reply) => reply.type("text/javascript").send(START));
  for (const [file, type] of Object.entries(FILES))
    app.get(`${base}/${file}`, async (_, reply) => reply.type(type).send(await readFile(join(folder(), file))));
}

/** Of CPIs that virtual nodes run, and that this user may start. */
async function flowClasses({ services, directory }: RestShell, login: string): Promise<readonly FlowClass[]> {
  const nodes = await services.db.virtualNodes(null);
  const cpis = await Promise.all([...new Set(nodes.map(({ cpi }) => cpi.fileChecksum))].map((checksum) => directory.cpi(checksum)));
  const flows = cpis.flatMap((cpi) => cpi?.cpks.flatMap(({ manifest }) => manifest.flows.filter(({ startable }) => startable)) ?? []);
  const names = [...new Set(flows.map(({ name }) => name))];
  const allowed = await Promise.all(names.map((name) => services.db.authorise({ login, permission: `StartFlow:${name}` })));
  const startable = new Set(names.filter((_, at) => allowed[at]));
  return flows.filter(({ name }) => startable.has(name)).map(({ name, input, output }) => ({ name, input, output }));
}

const folder = (): string => dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
