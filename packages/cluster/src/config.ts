// Configuration that operators change over REST, by section. A section that was never stored has version 0 and its defaults.
// Who changes one names the version that he saw.

import { BowlineError, badRequest } from "@bowline/base";
import { type ConfigSection, SECTION_NAMES, sectionOf } from "./config-sections.ts";

export interface StoredConfig {
  readonly section: string;
  /** As it was given. */
  readonly source: string;
  readonly version: number;
}

export const CONFIG_SCHEMA_VERSION = { major: 1, minor: 0 } as const;
const SOURCE_CHARS_MAX = 64 * 1_024;

/** A section's text with all that it leaves out. Throws as `ConfigSection.read`, and `config.sectionUnknown`. */
export function withDefaults({ section, source }: Pick<StoredConfig, "section" | "source">): string {
  const known = knownSection(section, "notFound");
  return JSON.stringify({ ...(source.trim() === "" ? {} : JSON.parse(source)), ...known.read(source) });
}

export function knownSection(name: string, kind: "badRequest" | "notFound"): ConfigSection<object> {
  const known = sectionOf(name);
  if (known !== undefined) return known;
  const message = `There is no configuration section ${name}: those that are served are ${SECTION_NAMES.join(", ")}.`;
  throw new BowlineError(kind, "config.sectionUnknown", message, { section: name });
}

export interface ConfigChange {
  readonly section: string;
  readonly source: string;
  readonly schemaVersion: { readonly major: number; readonly minor: number };
  readonly version: number;
}

/** Throws `config.sectionUnknown`, `config.schemaVersion`, `config.versionConflict`, and as `ConfigSection.read`. */
export function changedConfig(stored: StoredConfig | undefined, { section, source, schemaVersion, version }: ConfigChange): StoredConfig {
  const known = knownSection(section, "badRequest");
  const { major, minor } = CONFIG_SCHEMA_VERSION;
  if (schemaVersion.major !== major || schemaVersion.minor !== minor)
    throw badRequest("config.schemaVersion", `Section ${section} has schema version ${major}.${minor} and no other.`, { section });
  if (source.length > SOURCE_CHARS_MAX)
    throw badRequest("config.invalid", `The configuration of ${section} takes more than ${SOURCE_CHARS_MAX} characters.`, { section });
  known.read(source);
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
