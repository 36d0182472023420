// Who asks. A header whose credentials were right is remembered for a minute by a hash that nobody else can compute, so that
// not every request pays for Argon2; what runs beside is bounded, so that guesses cannot eat the machine.

import { hash, randomBytes } from "node:crypto";
import { BowlineError } from "@bowline/base";
import type { DbService } from "../services.ts";

const KEPT_MS = 60_000;
const KEPT_MAX = 1_000;
const CHECKS_AT_ONCE_MAX = 8;
const CHECKS_WAITING_MAX = 64;

export interface Authentication {
  /** Who sent this header, from where. Throws `rest.unauthenticated`, `rest.tooManyLogins` and `rest.loginDelayed`. */
  identify(authorization: string | undefined, source: string): Promise<Identified>;
  /** What was remembered of this header no longer holds. */
  forget(authorization: string | undefined): void;
}

export interface Identified {
  readonly login: string;
  /** Of the credentials: it is another's when they are changed. */
  readonly stamp: string;
}

export function createAuthentication(db: Pick<DbService, "authenticate">, now: () => number): Authentication {
  const key = randomBytes(32).toString("hex");
  const verified = new Map<string, { readonly who: Identified; readonly until: number }>();
  const checking = new Map<string, Promise<Identified | undefined>>();
  const waiting: (() => void)[] = [];
  let running = 0;

  async function check(name: string, password: string, source: string): Promise<Identified | undefined> {
    if (running >= CHECKS_AT_ONCE_MAX) {
      if (waiting.length >= CHECKS_WAITING_MAX)
        throw new BowlineError("tooMany", "rest.tooManyLogins", "Too many logins at once. Try again in a second.", {});
      await new Promise<void>((turn) => waiting.push(turn));
    }
    running++;
    try {
      const found = await db.authenticate({ login: name, password, source });
      if (found.kind === "wait") throw delayed(found.seconds);
      return found.kind === "known" ? { login: found.login, stamp: found.stamp } : undefined;
    } finally {
      running--;
      waiting.shift()?.();
    }
  }

  function remember(digest: string, who: Identified): void {
    const [oldest] = verified.keys();
    if (verified.size >= KEPT_MAX && oldest !== undefined) verified.delete(oldest);
    verified.set(digest, { who, until: now() + KEPT_MS });
  }

  // One shot over a secret prefix costs a quarter of an HMAC; the digest leaves this process as little as the prefix does.
  const digestOf = (authorization: string | undefined) => hash("sha256", `${key} ${authorization}`, "base64");

  return {
    forget: (authorization) => void verified.delete(digestOf(authorization)),
    async identify(authorization, source) {
      const digest = digestOf(authorization);
      const known = verified.get(digest);
      if (known !== undefined && now() < known.until) return known.who;
      verified.delete(digest);
      const credentials = parseBasic(authorization);
      if (credentials === undefined) throw refused("User credentials are empty or cannot be resolved");
      // Requests with the same credentials that arrive together from one place are checked once.
      const asked = `${digest} ${source}`;
      let checked = checking.get(asked);
      if (checked === undefined) {
        checked = check(...credentials, source).finally(() => checking.delete(asked));
        checking.set(asked, checked);
      }
      const who = await checked;
      if (who === undefined) throw refused("Error during user authentication");
      remember(digest, who);
      return who;
    },
  };
}

const refused = (title: string): BowlineError => new BowlineError("unauthenticated", "rest.unauthenticated", title, {});

const delayed = (seconds: number): BowlineError =>
  new BowlineError("tooMany", "rest.loginDelayed", `Too many failed logins: the next is looked at in ${seconds} s.`, {
    retryAfterSeconds: String(seconds),
  });

/** RFC 7617, as UTF-8; control characters are no part of either, and PostgreSQL's texts cannot hold the null one. */
function parseBasic(authorization: string | undefined): readonly [login: string, password: string] | undefined {
  const [, encoded] = /^Basic +([A-Za-z0-9+/]+={0,2})$/i.exec(authorization ?? "") ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 1 || text.includes("\0") ? undefined : [text.slice(0, colon).toLowerCase(), text.slice(colon + 1)];
}
