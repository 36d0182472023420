// For tests: a sample CorDapp as its package would hold it.

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

const built = new Map<string, Promise<BundleSource>>();

/** The CorDapp of a file that lies beside this one; `version` is what it has for `globalThis.VERSION`. */
export function sampleBundle(file = "sample.ts", version = 1): Promise<BundleSource> {
  const key = `${file} ${version}`;
  const known = built.get(key) ?? bundle(file, version);
  built.set(key, known);
  return known;
}

async function bundle(file: string, version: number): Promise<BundleSource> {
  const entry = new URL(file, import.meta.url);
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(entry)],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "__cordapp",
    legalComments: "none",
    plugins: [withoutHashing],
    define: { "globalThis.VERSION": `${version}` },
  });
  const { cordapp } = (await import(entry.href)) as { readonly cordapp: { readonly manifest: BundleSource["manifest"] } };
  return { script: outputFiles[0]?.text ?? "", manifest: cordapp.manifest };
}
