// For tests: the sample CorDapp as its package would hold it.

import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";
import type { BundleSource } from "./isolate.ts";

/** The sandbox has no floating-point arrays, which typebox's hashing of schemas needs and nothing here uses. */
const withoutHashing: Plugin = {
  name: "without-hashing",
  setup({ onLoad }) {
    onLoad({ filter: /typebox[\\/]build[\\/]system[\\/]hashing[\\/]hash\.mjs$/ }, () => ({
      contents: "export const Hash = () => { throw new Error('no hashing in the sandbox'); }; export const HashCode = Hash;",
    }));
  },
};

let built: Promise<BundleSource> | undefined;

export function sampleBundle(): Promise<BundleSource> {
  built ??= bundle();
  return built;
}

async function bundle(): Promise<BundleSource> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("./sample.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "__cordapp",
    legalComments: "none",
    plugins: [withoutHashing],
  });
  const { cordapp } = await import("./sample.ts");
  return { script: outputFiles[0]?.text ?? "", manifest: cordapp.manifest };
}
