// Calls between roles, in one process. A call reaches a method only if GRANTS says so, and the answering role learns
// who asks from here, never from the request.
//
// Values cross either frozen (no copy) or as canonical bytes (`passage: "bytes"`, what tests use), so that two roles in
// one process can no more share a mutable object than two processes could.

import { BowlineError, type Data, decode, encode, invariant } from "@bowline/base";
import { GRANTS, type Granted, type Grants } from "./grants.ts";
import type { Caller, RoleName, Services } from "./services.ts";

/** A service as the answering role implements it: every method also learns who calls. */
export type Answering<S> = {
  readonly [M in keyof S]: S[M] extends (request: infer Q) => Promise<infer A> ? (request: Q, caller: Caller) => Promise<A> : never;
};

export type Passage = "frozen" | "bytes";

type Method = (request: unknown, caller: Caller) => Promise<unknown>;

export class LocalCalls {
  readonly #answering = new Map<keyof Services, ReadonlyMap<string, Method>>();
  readonly #pass: (value: unknown) => unknown;

  constructor(passage: Passage) {
    this.#pass = passage === "bytes" ? throughBytes : deepFreeze;
  }

  /** From now on `role` answers the calls to its service. */
  answer<R extends keyof Services>(role: R, service: Answering<Services[R]>): void {
    invariant(!this.#answering.has(role), `role ${role} answers twice`);
    const methods = Object.entries<Method>(service as never).map(([name, method]) => [name, method.bind(service)] as const);
    this.#answering.set(role, new Map(methods));
  }

  /** All that `role` may call. A method that is not granted is not there. */
  for<R extends RoleName>(role: R): Granted<R> {
    const caller: Caller = { role };
    const grants: Grants = GRANTS[role];
    const services: Record<string, unknown> = {};
    for (const [target, methods] of Object.entries(grants) as [keyof Services, readonly string[]][]) {
      const stubs = methods.map((method) => [method, (request: unknown) => this.#call(caller, target, method, request)] as const);
      services[target] = Object.freeze(Object.fromEntries(stubs));
    }
    return Object.freeze(services) as Granted<R>;
  }

  async #call(caller: Caller, target: keyof Services, method: string, request: unknown): Promise<unknown> {
    const answering = this.#answering.get(target)?.get(method);
    if (answering === undefined)
      throw new BowlineError("unavailable", "call.noSuchRole", `No worker here runs the ${target} role. Start one with --roles ${target}.`);
    return this.#pass(await answering(this.#pass(request), caller));
  }
}

const throughBytes = (value: unknown): unknown => decode(encode((value === undefined ? null : value) as Data));

function deepFreeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const member of Object.values(value)) deepFreeze(member);
  return value;
}
