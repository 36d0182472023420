import type { Data } from "@bowline/base";

/** An error as data: what a journal keeps and a peer may see. Never a stack. */
export interface Failure {
  /** The author's class or the platform's stable code. */
  readonly type: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, string>>;
}

/**
 * What an author throws to end a flow with a reason of its own, and what a platform refusal looks like in author code.
 *
 * @example throw new FlowError("obligation.notCreditor", "Only the creditor may transfer an obligation.");
 */
export class FlowError extends Error {
  override readonly name = "FlowError";
  readonly type: string;
  readonly details: Readonly<Record<string, string>>;

  constructor(type: string, message: string, details: Readonly<Record<string, string>> = {}) {
    super(message);
    this.type = type;
    this.details = details;
  }

  static {
    // All flows of a bundle throw it: none may change what it is to the others.
    Object.freeze(FlowError.prototype);
    Object.freeze(FlowError);
  }
}

/** Any thrown thing as a failure: also one that throws when it is looked at. */
export function failureOf(thrown: unknown): Failure {
  try {
    if (thrown instanceof FlowError) return { type: `${thrown.type}`, message: `${thrown.message}`, details: { ...thrown.details } };
    if (thrown instanceof Error) return { type: `${thrown.name}`, message: `${thrown.message}` };
    return { type: "Error", message: String(thrown) };
  } catch {
    return { type: "Error", message: "What was thrown cannot be described." };
  }
}

/** A result or a failure, as a journal row holds it. */
export type Outcome = { readonly ok: Data } | { readonly error: Failure };

/**
 * What a rule demands, in contracts and validators.
 *
 * @example requireThat(amount > 0n, "the amount is more than zero");
 */
export function requireThat(condition: unknown, rule: string): asserts condition {
  if (!condition) throw new FlowError("rule.broken", `Broken rule: ${rule}.`);
}
