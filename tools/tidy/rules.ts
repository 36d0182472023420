// Every rule by its name: what `npm run tidy` and the test run check.

import { arrowsPointDown, doorsAreUsed, noCycles } from "./arrows.ts";
import type { Finding, House } from "./house.ts";
import { type Measure, type Ratchet, throughRatchet } from "./ratchet.ts";
import { emptyNames, impurities, longFiles, longFunctions, wideFaces } from "./shape.ts";
import { dependenciesHaveReasons, documentsHold, errorCodesAreDocumented } from "./words.ts";

export interface Rule {
  readonly name: string;
  check(house: House, ratchet: Ratchet): Finding[];
}

/** Rules with a list of exceptions that may only shrink, by their name in that list. */
export const MEASURES: Readonly<Record<string, (house: House) => Measure[]>> = {
  longFiles,
  longFunctions,
  emptyNames,
  wideFaces,
  impurities,
};

const ratcheted = (name: string, measure: string): Rule => ({
  name,
  check: (house, ratchet) => throughRatchet(ratchet, measure, MEASURES[measure]?.(house) ?? []),
});

export const RULES: readonly Rule[] = [
  { name: "packages import what lies below them", check: arrowsPointDown },
  { name: "no file needs itself to be loaded", check: noCycles },
  { name: "packages are entered by their doors", check: doorsAreUsed },
  ratcheted("files do what their suffix allows", "impurities"),
  ratcheted("files have at most 600 lines", "longFiles"),
  ratcheted("functions have at most 70 lines", "longFunctions"),
  ratcheted("names say what a thing is", "emptyNames"),
  ratcheted("a package's face has at most 25 names", "wideFaces"),
  { name: "every error code is documented", check: errorCodesAreDocumented },
  { name: "every dependency has a reason", check: dependenciesHaveReasons },
  { name: "documents have one title, links that resolve and code that parses", check: documentsHold },
];
