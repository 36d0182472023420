import { BowlineError } from "@bowline/base";
import { FlowError } from "./failure.ts";

/** What the platform's own code refuses, as an error that flow code can tell apart by its type. */
export function refusable<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof BowlineError) throw new FlowError(thrown.code, thrown.message, thrown.details);
    throw thrown;
  }
}
