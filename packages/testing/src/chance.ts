// All that is random in a network of the kit comes from one number.

export type Chance = () => number;

/** Small, fast, and the same everywhere (mulberry32): numbers from 0 to below 1. */
export function seeded(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export const bytesOf = (chance: Chance, length: number): Uint8Array => Uint8Array.from({ length }, () => Math.floor(chance() * 256));

export const integerBelow = (chance: Chance, bound: number): number => Math.floor(chance() * bound);

/** A random UUID (RFC 9562, version 4). */
export function uuidOf(chance: Chance): string {
  const bytes = bytesOf(chance, 16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const digits = Buffer.from(bytes).toString("hex");
  return [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20), digits.slice(20)].join("-");
}
