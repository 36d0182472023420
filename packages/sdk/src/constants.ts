// What all flows of a bundle share is constant: its definitions, and every value at the top of an author's module.
// A value that flows could change would carry state from one to another, which a replay does not find.

const CHANGES = ["set", "add", "delete", "clear"] as const;

/** Deep, through members, functions and the entries of collections. Bytes cannot be frozen; regular expressions remember nothing that `replace` needs. */
export function freezeAll(value: unknown, seen: Set<unknown> = new Set()): void {
  if ((typeof value !== "object" && typeof value !== "function") || value === null || seen.has(value)) return;
  seen.add(value);
  if (ArrayBuffer.isView(value) || value instanceof RegExp) return;
  for (const key of Reflect.ownKeys(value)) freezeAll(Reflect.getOwnPropertyDescriptor(value, key)?.value, seen);
  if (value instanceof Map || value instanceof Set || value instanceof WeakMap || value instanceof WeakSet) sealCollection(value, seen);
  Object.freeze(value);
}

function sealCollection(collection: object, seen: Set<unknown>): void {
  if (collection instanceof Map || collection instanceof Set) for (const entry of collection) freezeAll(entry, seen);
  if (Object.isFrozen(collection)) return;
  for (const change of CHANGES)
    if (change in collection) Object.defineProperty(collection, change, { value: refuseChange, enumerable: false });
}

function refuseChange(): never {
  throw new TypeError("This collection lies at the top of a module, where all flows share it: it never changes. Keep it in a flow.");
}
