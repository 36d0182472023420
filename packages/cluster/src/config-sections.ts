// The sections of the cluster's configuration: what each may hold, and what is in force where it says nothing.

import { badRequest, decoder } from "@bowline/base";
import Type, { type Static, type TSchema } from "typebox";
import { ROUTE_DEFAULTS, type RouteDefaults } from "./external-routes.ts";
import { PASSWORD_POLICY, type PasswordPolicy } from "./password-policy.ts";

export interface ConfigSection<Whole extends object> {
  readonly name: string;
  /** All that is in force by this text. Throws `config.invalid` where it is no JSON, and `input.invalid` where it does not fit. */
  read(source: string): Whole;
}

const STRICT = { additionalProperties: false } as const;

/** Topics of systems outside, told apart from the platform's own by their name. */
const TOPIC_PATTERN = "^([a-zA-Z0-9._-]){0,100}(ext|EXT)([a-zA-Z0-9._-]|\\$HOLDING_ID|\\$CHANNEL_NAME){1,100}$";

export const EXTERNAL_MESSAGING: ConfigSection<{ readonly routeDefaults: RouteDefaults }> = section(
  "corda.externalMessaging",
  Type.Object({
    routeDefaults: Type.Optional(
      Type.Object(
        {
          receiveTopicPattern: Type.Optional(Type.String({ pattern: TOPIC_PATTERN })),
          active: Type.Optional(Type.Boolean()),
          inactiveResponseType: Type.Optional(Type.Enum(["ERROR", "IGNORE"])),
        },
        STRICT,
      ),
    ),
  }),
  ({ routeDefaults }) => ({ routeDefaults: { ...ROUTE_DEFAULTS, ...routeDefaults } }),
);

/** How much each requester may ask of a notary, of each worker: so many units a second, and so many at once after a rest. */
export interface NotaryQuota {
  readonly unitsPerSecond: number;
  readonly unitsAtOnce: number;
}

const Units = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000 }));

/** Not of the original. */
export const NOTARY: ConfigSection<{ readonly quota: NotaryQuota }> = section(
  "bowline.notary",
  Type.Object({ quota: Type.Optional(Type.Object({ unitsPerSecond: Units, unitsAtOnce: Units }, STRICT)) }),
  ({ quota }) => ({ quota: { unitsPerSecond: 2_000, unitsAtOnce: 10_000, ...quota } }),
);

/** A hundred years at most: what is added to now stays a date. */
const days = (minimum: number) => Type.Optional(Type.Integer({ minimum, maximum: 36_500 }));

export const RBAC: ConfigSection<{ readonly password: PasswordPolicy }> = section(
  "corda.rbac",
  Type.Object({
    password: Type.Optional(
      Type.Object(
        {
          userPasswordChangeExpiry: days(30),
          adminPasswordChangeExpiry: days(1),
          passwordExpiryWarningWindow: days(0),
          lengthLimit: Type.Optional(Type.Integer({ minimum: 10, maximum: 1_000 })),
        },
        STRICT,
      ),
    ),
  }),
  ({ password }) => ({ password: { ...PASSWORD_POLICY, ...password } }),
);

const SECTIONS: readonly ConfigSection<object>[] = [EXTERNAL_MESSAGING, NOTARY, RBAC];
export const SECTION_NAMES: readonly string[] = SECTIONS.map(({ name }) => name);

export const sectionOf = (name: string): ConfigSection<object> | undefined => SECTIONS.find((each) => each.name === name);

function section<S extends TSchema, Whole extends object>(
  name: string,
  schema: S,
  complete: (given: Static<S>) => Whole,
): ConfigSection<Whole> {
  const decode = decoder(schema, `section ${name}`);
  return { name, read: (source) => complete(decode(source.trim() === "" ? {} : jsonOf(source))) };
}

function jsonOf(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    throw badRequest("config.invalid", "The configuration is no JSON.", {});
  }
}
