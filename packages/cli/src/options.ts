// How option values are read.

import { InvalidArgumentError, Option } from "commander";

/** An option that may stand several times; `unless` says what holds where it does not stand. */
export const severalOption = (flags: string, description: string, unless = "none"): Option =>
  new Option(flags, description)
    .argParser((value: string, previous: readonly string[]): readonly string[] => [...previous, value])
    .default([], unless);

/** A whole number from `least` to `most`. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It takes a whole number from ${least} to ${most}.`);
  };
}

/** Which virtual node a command is about. */
export const asOption = (): Option =>
  new Option("--as <vnode>", "the virtual node: a name, a part of one, or a short hash").makeOptionMandatory();
