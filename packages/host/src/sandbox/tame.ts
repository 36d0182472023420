// Runs first in an isolate, before SES, and never here: only the text of these functions is used, so that each may name
// nothing outside itself.
//
// SES removes the clock and randomness. What is left of the machine is its time zone, which is UTC from here on; and a few of
// V8's native loops, which end the process or cannot be stopped when they run over hundreds of millions of elements.

/** Local time is UTC, and text is read as ISO 8601 or not at all: a date and time without a zone is UTC. */
export function datesInUtc(): void {
  const { apply, construct, deleteProperty } = Reflect;
  const OriginalDate = Date;
  const prototype = OriginalDate.prototype;
  const { toISOString } = prototype;
  const parse = (text: unknown): number => {
    const iso = String(text);
    if (!/^[+-]?\d{4,6}(-\d\d(-\d\d)?)?(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(iso)) return Number.NaN;
    return OriginalDate.parse(/T.*(Z|[+-]\d\d:\d\d)$/.test(iso) || !iso.includes("T") ? iso : `${iso}Z`);
  };
  const put = (target: object, name: string, method: (this: never, ...values: never[]) => unknown): void => {
    // As a method, so that it cannot be called with `new`.
    const { [name]: value } = {
      [name](this: never, ...values: never[]) {
        return apply(method, this, values);
      },
    };
    Object.defineProperty(target, name, { value, writable: true, enumerable: false, configurable: true });
  };
  function UtcDate(this: unknown, ...parts: unknown[]): unknown {
    if (new.target === undefined) return OriginalDate();
    if (parts.length === 0) return construct(OriginalDate, [], new.target);
    if (parts.length > 1) return construct(OriginalDate, [apply(OriginalDate.UTC, undefined, parts)], new.target);
    const [value] = parts;
    const moment = value instanceof OriginalDate || (typeof value !== "string" && typeof value !== "object") ? Number(value) : parse(value);
    return construct(OriginalDate, [moment], new.target);
  }
  for (const part of ["Date", "Day", "FullYear", "Hours", "Milliseconds", "Minutes", "Month", "Seconds"]) {
    for (const verb of part === "Day" ? ["get"] : ["get", "set"]) {
      const inUtc = Reflect.get(prototype, `${verb}UTC${part}`) as (...values: never[]) => unknown;
      put(prototype, `${verb}${part}`, function (this: Date, ...values: never[]) {
        return apply(inUtc, this, values);
      } as never);
    }
  }
  for (const name of ["getYear", "setYear"]) deleteProperty(prototype, name);
  const written = (from: number, to?: number) =>
    function (this: Date): string {
      return Number.isNaN(+this) ? "Invalid Date" : apply(toISOString, this, []).slice(from, to);
    } as never;
  for (const name of ["toString", "toLocaleString"]) put(prototype, name, written(0));
  for (const name of ["toDateString", "toLocaleDateString"]) put(prototype, name, written(0, -14));
  for (const name of ["toTimeString", "toLocaleTimeString"]) put(prototype, name, written(-13));
  put(prototype, "getTimezoneOffset", function (this: Date) {
    return Number.isNaN(+this) ? Number.NaN : 0;
  } as never);
  for (const [name, method] of Object.entries({ now: OriginalDate.now, UTC: OriginalDate.UTC, parse })) put(UtcDate, name, method as never);
  Object.defineProperty(UtcDate, "name", { value: "Date" });
  Object.defineProperty(UtcDate, "length", { value: 7 });
  Object.defineProperty(UtcDate, "prototype", { value: prototype, writable: false });
  Object.defineProperty(prototype, "constructor", { value: UtcDate, writable: true, configurable: true });
  Object.defineProperty(globalThis, "Date", { value: UtcDate, writable: true, configurable: true });
}

/** Refuses them above a size that no honest flow reaches. That closes accidents; against malice there is the isolate's end. */
export function boundNativeLoops(): void {
  const LENGTH_MAX = 2 ** 24;
  const { apply } = Reflect;
  const bound = (target: object, name: string, size: (self: never, first: never) => number): void => {
    const original = Reflect.get(target, name) as (...values: never[]) => unknown;
    const { [name]: method } = {
      [name](this: never, ...values: never[]): unknown {
        if (size(this, values[0] as never) > LENGTH_MAX) throw new RangeError(`${name} over more than ${LENGTH_MAX} elements`);
        return apply(original, this, values);
      },
    };
    Object.defineProperty(method, "length", { value: original.length });
    Object.defineProperty(target, name, { value: method, writable: true, enumerable: false, configurable: true });
  };
  const own = (self: { readonly length: number }): number => self.length;
  for (const name of ["split", "normalize", "replaceAll"]) bound(String.prototype, name, own);
  bound(String.prototype, "repeat", (self: string, count: number) => self.length * count);
  for (const name of ["padStart", "padEnd"]) bound(String.prototype, name, (_self, length: number) => Number(length));
  for (const name of ["fill", "reverse", "sort", "indexOf", "lastIndexOf", "includes", "toSorted", "toReversed", "splice"])
    bound(Array.prototype, name, own);
  bound(Array, "from", (_self, items: { readonly length?: number } | null | undefined) => Number(items?.length ?? 0));
}
