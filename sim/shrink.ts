// A day that fails, made smaller: fewer requests, fewer faults, as long as it still fails.

import { live } from "./day.ts";
import type { Plan } from "./plan.ts";

const ATTEMPTS_MAX = 60;

export interface Failure {
  readonly plan: Plan;
  readonly reason: string;
}

/** What it says is of the smaller day, which may fail in another way than the one it came from. */
export async function shrink(failure: Failure): Promise<Failure> {
  let smallest = failure;
  let attempts = 0;
  for (let again = true; again; ) {
    again = false;
    for (const plan of smallerThan(smallest.plan)) {
      if (++attempts > ATTEMPTS_MAX) return smallest;
      const reason = await reasonOf(plan);
      if (reason === undefined) continue;
      smallest = { plan, reason };
      again = true;
      break;
    }
  }
  return smallest;
}

/** Undefined where the day passes. */
export async function reasonOf(plan: Plan): Promise<string | undefined> {
  try {
    await live(plan);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
}

function* smallerThan(plan: Plan): Generator<Plan> {
  const { requests, faults, owners } = plan;
  for (const left of requests) if (requests.length > 1) yield { ...plan, requests: requests.filter((request) => request !== left) };
  for (const [index, request] of requests.entries()) {
    const replaced = (smaller: Plan["requests"][number]): Plan => ({ ...plan, requests: requests.with(index, smaller) });
    if (request.at.length > 1) yield replaced({ ...request, at: request.at.slice(0, 1) });
    const { work } = request;
    if (work.kind !== "walk" || work.program.length < 2) continue;
    for (let op = 0; op < work.program.length; op++)
      yield replaced({ ...request, work: { ...work, program: work.program.toSpliced(op, 1) } });
  }
  for (const fault of Object.keys(faults) as (keyof typeof faults)[])
    if (faults[fault] > 0) yield { ...plan, faults: { ...faults, [fault]: 0 } };
  if (plan.absence !== null) yield { ...plan, absence: null };
  if (owners > 1) yield { ...plan, owners: 1 };
}
