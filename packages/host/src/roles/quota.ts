// How much each of many may ask for: so many units a second, and so many at once after a rest.

import type { Instant } from "@bowline/base";
import type { NotaryQuota } from "@bowline/cluster/config-sections";

/** Who was not heard of for longest is forgotten past this; what was forgotten has its full quota. */
const REMEMBERED_MAX = 10_000;

export interface Quota {
  /** 0 where the units are there, and gone now; else the milliseconds after which they will be. More units than fit are taken as all. */
  take(who: string, asked: { readonly units: number; readonly of: NotaryQuota }, now: Instant): number;
}

/** What it is may change at any time: who has more left than may be asked at once has just that. */
export function createQuota(): Quota {
  const left = new Map<string, { readonly units: number; readonly at: Instant }>();
  return {
    take(who, { units: asked, of: { unitsPerSecond, unitsAtOnce } }, now) {
      const units = Math.min(asked, unitsAtOnce);
      const known = left.get(who) ?? { units: unitsAtOnce, at: now };
      // A clock that goes back gives nothing, and takes nothing away.
      const there = Math.min(unitsAtOnce, known.units + (Math.max(now - known.at, 0) * unitsPerSecond) / 1_000);
      const granted = there >= units;
      left.delete(who);
      left.set(who, { units: granted ? there - units : there, at: Math.max(now, known.at) });
      const [oldest] = left.keys();
      if (left.size > REMEMBERED_MAX && oldest !== undefined) left.delete(oldest);
      return granted ? 0 : Math.ceil(((units - there) * 1_000) / unitsPerSecond);
    },
  };
}
