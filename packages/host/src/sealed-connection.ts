// A database connection on its way from the db role to the one role that may use it.

import { decoder, fromUtf8, utf8 } from "@bowline/base";
import { type BootKey, openSealed, sealTo } from "@bowline/crypto";
import Type from "typebox";
import type { ConnectionDetails } from "./services.ts";

const CONTEXT = "database connection";

const decodeDetails = decoder(
  Type.Object({
    host: Type.String(),
    port: Type.Integer(),
    database: Type.String(),
    schema: Type.String(),
    user: Type.String(),
    password: Type.String(),
  }),
  "connection details",
);

export const sealConnection = (publicKey: Uint8Array, details: ConnectionDetails): Uint8Array =>
  sealTo(publicKey, utf8(JSON.stringify(details)), CONTEXT);

export const openConnection = (bootKey: BootKey, sealed: Uint8Array): ConnectionDetails =>
  decodeDetails(JSON.parse(fromUtf8(openSealed(bootKey, sealed, CONTEXT))));
