// What an operator may say of the notaries that a worker runs, in its environment.

import { badRequest } from "@bowline/base";
import type { QuotaLimits } from "./quota.ts";

export interface NotarySettings {
  readonly quota: QuotaLimits;
  /** Serves databases too that may forget what they committed: for tests and demonstrations. */
  readonly allowForgetful: boolean;
}

export const QUOTA_DEFAULT: QuotaLimits = { unitsPerSecond: 2_000, unitsAtOnce: 10_000 };

/**
 * `BOWLINE_NOTARY_QUOTA` is `<units a second>/<units at once>`, for each originator; `BOWLINE_NOTARY_FORGETFUL_DATABASE` may be
 * `allow`. Throws `notary.settingsInvalid`.
 */
export function readNotarySettings(environment: Readonly<Record<string, string | undefined>>): NotarySettings {
  const forgetful = environment["BOWLINE_NOTARY_FORGETFUL_DATABASE"] ?? "refuse";
  if (forgetful !== "allow" && forgetful !== "refuse")
    throw invalid("BOWLINE_NOTARY_FORGETFUL_DATABASE", `is "${forgetful}", and allow or refuse is meant`);
  return { quota: quotaOf(environment["BOWLINE_NOTARY_QUOTA"]), allowForgetful: forgetful === "allow" };
}

function quotaOf(text: string | undefined): QuotaLimits {
  if (text === undefined) return QUOTA_DEFAULT;
  const [, perSecond = "0", atOnce = "0"] = /^([1-9]\d{0,8})\/([1-9]\d{0,8})$/.exec(text) ?? [];
  if (perSecond === "0") throw invalid("BOWLINE_NOTARY_QUOTA", `is "${text}", and two whole numbers are meant, as in 2000/10000`);
  return { unitsPerSecond: Number(perSecond), unitsAtOnce: Number(atOnce) };
}

const invalid = (name: string, reason: string) => badRequest("notary.settingsInvalid", `${name} ${reason}.`, { name });
