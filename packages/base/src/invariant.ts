/** For what only a bug of ours can break. Whoever runs the broken thing parks it and says so once. */
export class InvariantBroken extends Error {
  override readonly name = "InvariantBroken";
}

export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantBroken(what);
}

/** Closes a `switch` over a union: a new member does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new InvariantBroken(`unreachable: ${JSON.stringify(value)}`);
}
