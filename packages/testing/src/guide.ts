// For tests of ours: the CorDapp that a page of docs/ is made of.

import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

/** Where imports of ours resolve; it is not kept. */
const folder = new URL("../dist/guide/", import.meta.url);

/** What the code of the page exports, all of it put together. */
export async function readGuide<T>(page: string): Promise<T> {
  const text = await readFile(new URL(`../../../docs/${page}`, import.meta.url), "utf8");
  const blocks = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code);
  assert.ok(blocks.length > 1, "the page has code");
  await mkdir(folder, { recursive: true });
  const file = new URL(`${page.replace(".md", "")}-${process.pid}.ts`, folder);
  await writeFile(file, blocks.join("\n"));
  try {
    return (await import(pathToFileURL(file.pathname).href)) as T;
  } finally {
    await rm(file);
  }
}
