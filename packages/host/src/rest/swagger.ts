// The OpenAPI document of each version and a page to read and try it on. Neither needs credentials.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { type ApiVersion, allRoutes, openApi } from "@bowline/api";
import type { FastifyInstance } from "fastify";

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
const START = `SwaggerUIBundle({ url: "swagger.json", dom_id: "#page", deepLinking: true, validatorUrl: null });\n`;
const POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

export function serveSwagger(app: FastifyInstance, version: ApiVersion): void {
  const base = `/api/${version}/swagger`;
  let document: string | undefined;
  app.get(`${base}.json`, (_, reply) => {
    document ??= JSON.stringify(openApi(allRoutes, version));
    return reply.type("application/json").send(document);
  });
  app.get(base, (_, reply) => reply.type("text/html; charset=utf-8").header("content-security-policy", POLICY).send(PAGE));
  app.get(`${base}/start.js`, (_, reply) => reply.type("text/javascript").send(START));
  for (const [file, type] of Object.entries(FILES))
    app.get(`${base}/${file}`, async (_, reply) => reply.type(type).send(await readFile(join(folder(), file))));
}

const folder = (): string => dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
