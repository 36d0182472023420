// Configuration that operators change over REST, by section. A section that was never stored has version 0 and its defaults.
// Who changes one names the version that he saw.

import { BowlineError, badRequest, decoder } from "@bowline/base";
import Type from "typebox";
import { ROUTE_DEFAULTS, type RouteDefaults } from "./external-routes.ts";

export interface StoredConfig {
  readonly section: string;
  /** As it was given. */
  readonly source: string;
  readonly version: number;
}

export const EXTERNAL_MESSAGING = "corda.externalMessaging";
export const CONFIG_SCHEMA_VERSION = { major: 1, minor: 0 } as const;
const SOURCE_CHARS_MAX = 64 * 1_024;
/** Topics of systems outside, told apart from the platform's own by their name. */
const TOPIC_PATTERN = "^([a-zA-Z0-9._-]){0,100}(ext|EXT)([a-zA-Z0-9._-]|\\$HOLDING_ID|\\$CHANNEL_NAME){1,100}$";

const decodeExternalMessaging = decoder(
  Type.Object({
    routeDefaults: Type.Optional(
      Type.Object(
        {
          receiveTopicPattern: Type.Optional(Type.String({ pattern: TOPIC_PATTERN })),
          active: Type.Optional(Type.Boolean()),
          inactiveResponseType: Type.Optional(Type.Enum(["ERROR", "IGNORE"])),
        },
        { additionalProperties: false },
      ),
    ),
  }),
  `section ${EXTERNAL_MESSAGING}`,
);

/** Throws `config.sectionUnknown`, `config.invalid` or `input.invalid`. */
export function routeDefaultsOf(source: string): RouteDefaults {
  if (source.trim() === "") return ROUTE_DEFAULTS;
  const { routeDefaults = {} } = decodeExternalMessaging(jsonOf(source));
  return { ...ROUTE_DEFAULTS, ...routeDefaults };
}

export const withDefaults = (source: string): string => JSON.stringify({ ...objectOf(source), routeDefaults: routeDefaultsOf(source) });

export function checkSection(section: string, kind: "badRequest" | "notFound"): void {
  if (section === EXTERNAL_MESSAGING) return;
  throw new BowlineError(
    kind,
    "config.sectionUnknown",
    `There is no configuration section ${section}: only ${EXTERNAL_MESSAGING} is served.`,
    {
      section,
    },
  );
}

export interface ConfigChange {
  readonly section: string;
  readonly source: string;
  readonly schemaVersion: { readonly major: number; readonly minor: number };
  readonly version: number;
}

/** Throws `config.sectionUnknown`, `config.schemaVersion`, `config.versionConflict`, and as `routeDefaultsOf`. */
export function changedConfig(stored: StoredConfig | undefined, { section, source, schemaVersion, version }: ConfigChange): StoredConfig {
  checkSection(section, "badRequest");
  const { major, minor } = CONFIG_SCHEMA_VERSION;
  if (schemaVersion.major !== major || schemaVersion.minor !== minor)
    throw badRequest("config.schemaVersion", `Section ${section} has schema version ${major}.${minor} and no other.`, { section });
  if (source.length > SOURCE_CHARS_MAX)
    throw badRequest("config.invalid", `The configuration of ${section} takes more than ${SOURCE_CHARS_MAX} characters.`, { section });
  routeDefaultsOf(source);
  const current = stored?.version ?? 0;
  if (version !== current && !(stored === undefined && version === -1))
    throw new BowlineError(
      "conflict",
      "config.versionConflict",
      `Section ${section} has version ${current}, not ${version}: read it again.`,
      {
        section,
        version: String(current),
      },
    );
  return { section, source, version: current + 1 };
}

function jsonOf(source: string): unknown {
  try {
    return JSON.parse(source);
  } catch {
    throw badRequest("config.invalid", "The configuration is no JSON.", {});
  }
}

function objectOf(source: string): object {
  const value = source.trim() === "" ? {} : jsonOf(source);
  return typeof value === "object" && value !== null ? value : {};
}
