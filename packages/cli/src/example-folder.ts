// The CorDapps that come with the command line: in the checkout beside the packages, in an installed package inside it.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const PLACES = ["../examples", "../../../examples"];

/** Throws where the installation lacks it, which is a bug of ours. */
export function exampleFolder(name: string): string {
  const folders = PLACES.map((place) => fileURLToPath(new URL(`${place}/${name}`, import.meta.url)));
  const found = folders.find((folder) => existsSync(folder));
  if (found === undefined) throw new Error(`The example ${name} is in none of ${folders.join(", ")}.`);
  return found;
}
