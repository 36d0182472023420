// Work that is asked for again and again, by virtual node.

import type { ShortHash } from "@bowline/base";

/** Never twice at once for one virtual node; what is asked while it runs is done once more after it. */
export function oneAfterAnother(work: (vnode: ShortHash) => Promise<void>): (vnode: ShortHash) => Promise<void> {
  const running = new Map<ShortHash, Promise<void>>();
  const queued = new Map<ShortHash, Promise<void>>();
  return (vnode) => {
    const next =
      queued.get(vnode) ??
      Promise.resolve(running.get(vnode)).then(() => {
        queued.delete(vnode);
        const run = work(vnode);
        running.set(vnode, run);
        return run;
      });
    queued.set(vnode, next);
    return next;
  };
}
