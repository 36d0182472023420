// Runs first in an isolate, before SES, and never here: only its text is used, so it may name nothing outside itself.
//
// SES removes the clock and randomness; what is left of the machine is its time zone, which is UTC from here on. And a few
// of V8's native loops end the process, or cannot be stopped, when they run over hundreds of millions of elements: they are
// refused above a size that no honest flow reaches. That closes accidents; against malice there is the isolate's end.

export function tame(): void {
  const LENGTH_MAX = 2 ** 24;
  const OriginalDate = Date;
  const prototype = OriginalDate.prototype;
  const { apply, construct } = Reflect;

  const replace = (target: object, name: string, method: (...values: never[]) => unknown): void => {
    Object.defineProperty(method, "name", { value: name });
    Object.defineProperty(target, name, { value: method, writable: true, enumerable: false, configurable: true });
  };
  const methodOf = (target: object, name: string) => (target as Record<string, (...values: unknown[]) => unknown>)[name] as () => unknown;

  /** ISO 8601 only; a date and time without a zone is UTC. */
  const parse = (text: unknown): number => {
    const iso = String(text);
    if (!/^[+-]?\d{4,6}(-\d\d(-\d\d)?)?(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(iso)) return Number.NaN;
    return OriginalDate.parse(/T.*(Z|[+-]\d\d:\d\d)$/.test(iso) || !iso.includes("T") ? iso : `${iso}Z`);
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
      const inUtc = methodOf(prototype, `${verb}UTC${part}`);
      replace(
        prototype,
        `${verb}${part}`,
        {
          [part](this: Date, ...values: []) {
            return apply(inUtc, this, values);
          },
        }[part] as () => unknown,
      );
    }
  }
  for (const verb of ["get", "set"]) Reflect.deleteProperty(prototype, `${verb}Year`);
  const { toISOString } = prototype;
  const written = (from: number, to?: number) =>
    function (this: Date): string {
      return Number.isNaN(+this) ? "Invalid Date" : apply(toISOString, this, []).slice(from, to);
    };
  replace(
    prototype,
    "getTimezoneOffset",
    {
      zone(this: Date) {
        return Number.isNaN(+this) ? Number.NaN : 0;
      },
    }.zone,
  );
  for (const name of ["toString", "toLocaleString"]) replace(prototype, name, written(0));
  for (const name of ["toDateString", "toLocaleDateString"]) replace(prototype, name, written(0, -14));
  for (const name of ["toTimeString", "toLocaleTimeString"]) replace(prototype, name, written(-13));
  Object.defineProperty(UtcDate, "name", { value: "Date" });
  Object.defineProperty(UtcDate, "length", { value: 7 });
  Object.defineProperty(UtcDate, "prototype", { value: prototype, writable: false });
  replace(UtcDate, "now", OriginalDate.now);
  replace(UtcDate, "UTC", OriginalDate.UTC);
  replace(
    UtcDate,
    "parse",
    {
      parse(text: unknown) {
        return parse(text);
      },
    }.parse,
  );
  replace(prototype, "constructor", UtcDate);
  replace(globalThis, "Date", UtcDate);

  const bounded = (target: object, name: string, size: (self: never, first: never) => number): void => {
    const original = methodOf(target, name);
    const method = {
      [name](this: never, ...values: never[]): unknown {
        if (size(this, values[0] as never) > LENGTH_MAX) throw new RangeError(`${name} over more than ${LENGTH_MAX} elements`);
        return apply(original, this, values);
      },
    }[name] as () => unknown;
    Object.defineProperty(method, "length", { value: original.length });
    replace(target, name, method);
  };
  const own = (self: { length: number }): number => self.length;
  for (const name of ["split", "normalize", "replaceAll"]) bounded(String.prototype, name, own);
  bounded(String.prototype, "repeat", (self: string, count: number) => self.length * count);
  for (const name of ["padStart", "padEnd"]) bounded(String.prototype, name, (_self, length: number) => Number(length));
  for (const name of ["fill", "reverse", "sort", "indexOf", "lastIndexOf", "includes", "toSorted", "toReversed", "splice"])
    bounded(Array.prototype, name, own);
  bounded(Array, "from", (_self, items: { length?: number } | null | undefined) => Number(items?.length ?? 0));
}
