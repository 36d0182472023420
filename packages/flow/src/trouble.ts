// What keeps a flow from going on: a call that finds the world down is made again, ever less often; one that is down for too
// long parks its flow with all that is known of it; one that never answers fails it. Pure; changes the state it is given.
//
// Other flows are not concerned: whoever backs off is one step of one flow. Waits that have an end of their own (sleeps,
// sessions) are never trouble.

import type { Env, Instant } from "@bowline/base";
import type { Failure, Syscall } from "@bowline/sdk";
import type { Asked, Effect, FlowState, Rules } from "./flow-state.ts";
import { exceed } from "./incoming.ts";
import { IDLE_MS, RETRY_FIRST_MS, RETRY_FOR_MS, RETRY_MAX_MS, STACK_CHARS_MAX } from "./limits.ts";
import { performing } from "./steps.ts";

/** Half of the delay is chance, so that those who failed together do not return together. */
export function backOff(attempts: number, random: Env["random"]): number {
  const chance = (random(1)[0] ?? 0) / 255;
  return Math.round((Math.min(RETRY_FIRST_MS * 2 ** attempts, RETRY_MAX_MS) / 2) * (1 + chance));
}

/** The world was down for this call. */
export function delay(
  rules: Rules,
  state: FlowState,
  { path, failure }: { readonly path: string; readonly failure: Failure },
  env: Env,
  out: Effect[],
): void {
  const asked = state.asked.get(path);
  if (asked?.phase !== "calling") return;
  const { type, message } = failure;
  const attempts = asked.trouble?.attempts ?? 0;
  const trouble = { type, message, attempts: attempts + 1, since: asked.trouble?.since ?? env.now };
  asked.trouble = trouble;
  state.answeredAt = env.now;
  if (env.now - trouble.since >= (rules.patience?.retryForMs ?? RETRY_FOR_MS)) {
    const details = { step: path, attempts: String(trouble.attempts), since: String(trouble.since) };
    state.parking ??= { type, message: `Step ${path} (${nameOf(asked.call)}) failed ${trouble.attempts} times: ${message}`, details };
    return;
  }
  asked.phase = "delayed";
  asked.until = env.now + backOff(attempts, env.random);
  out.push({ kind: "wakeAt", at: asked.until });
}

/** Time has passed: what was delayed long enough is tried again. */
export function lookAgain(rules: Rules, state: FlowState, now: Instant, out: Effect[]): void {
  for (const asked of state.asked.values()) {
    if (asked.phase === "delayed" && asked.until !== undefined && now >= asked.until) {
      asked.phase = "calling";
      out.push(performing(state, asked));
    }
  }
  const idleMs = rules.patience?.idleMs ?? IDLE_MS;
  const silent = now - state.answeredAt < idleMs ? undefined : [...state.asked.values()].find(isSilent);
  if (silent === undefined) return;
  const { path, call } = silent;
  exceed(state, {
    type: "flow.idle",
    message: `Nothing has happened for ${idleMs / 1_000} s: step ${path} (${nameOf(call)}) is not answered.`,
  });
}

const isSilent = ({ phase, outcome }: Asked): boolean => phase === "calling" && outcome === undefined;

/** Something was thrown that is no answer: a bug of ours, or of what runs the flow. */
export function brokenAt(step: Pick<Asked, "path" | "call"> | null, type: string, cause: unknown): Failure {
  const message = cause instanceof Error ? cause.message : String(cause);
  const stack = cause instanceof Error && cause.stack !== undefined ? { stack: cause.stack.slice(0, STACK_CHARS_MAX).toWellFormed() } : {};
  if (step === null) return { type, message, details: stack };
  return { type, message: `Step ${step.path} (${nameOf(step.call)}): ${message}`, details: { step: step.path, ...stack } };
}

const nameOf = (call: Syscall): string => (call.kind === "service" ? call.service : call.kind);
