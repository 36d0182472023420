// What a flow is told beside its input: pairs of text that travel downwards only, to sub-flows, to platform flows and to the
// flows that answer its sessions. What one of those sets is never seen above it.

import { FlowError } from "./failure.ts";

type Pairs = Readonly<Record<string, string>>;

/** `platform` is what the platform says, `user` what flows have said. No key is in both. */
export interface FlowProperties {
  readonly platform: Pairs;
  readonly user: Pairs;
}

export const NO_PROPERTIES: FlowProperties = { platform: {}, user: {} };

/** What begins so is the platform's to say. */
const RESERVED = "corda.";
const PROPERTIES_MAX = 64;
const KEY_CHARS_MAX = 256;
const VALUE_CHARS_MAX = 4_096;

export interface ContextProperties {
  get(key: string): string | undefined;
  /**
   * For what this flow calls and initiates from here on. Fails with `properties.reserved` where the key begins with
   * `corda.` or is the platform's.
   */
  set(key: string, value: string): void;
  all(): Pairs;
}

/** All pairs as one. */
export const allOf = ({ platform, user }: FlowProperties): Pairs => ({ ...user, ...platform });

export const propertyOf = ({ platform, user }: FlowProperties, key: string): string | undefined =>
  Object.hasOwn(platform, key) ? platform[key] : Object.hasOwn(user, key) ? user[key] : undefined;

/** What a syscall says of them: nothing where there is nothing to say. */
export const userOf = ({ user }: FlowProperties): { readonly properties?: Pairs } =>
  Object.keys(user).length === 0 ? {} : { properties: user };

/** `added` on top of the user's own. Throws `properties.reserved` and `properties.invalid`. */
export function withUser({ platform, user }: FlowProperties, added: Pairs): FlowProperties {
  const all = new Map(Object.entries(user));
  for (const [key, value] of Object.entries(added)) {
    if (typeof value !== "string" || key === "" || key.length > KEY_CHARS_MAX || value.length > VALUE_CHARS_MAX)
      throw new FlowError(
        "properties.invalid",
        `A property is text of at most ${VALUE_CHARS_MAX} characters under a key of 1 to ${KEY_CHARS_MAX}.`,
      );
    if (key.startsWith(RESERVED) || Object.hasOwn(platform, key))
      throw new FlowError("properties.reserved", `The property ${key} is the platform's to set.`, { key });
    all.set(key, value);
  }
  if (all.size > PROPERTIES_MAX) throw new FlowError("properties.invalid", `A flow sets at most ${PROPERTIES_MAX} properties.`);
  // From entries: a key may be `__proto__`.
  return { platform, user: Object.fromEntries(all) };
}
