import { BowlineError, badRequest, parseShortHash, type ShortHash } from "@bowline/base";
import type { VirtualNodeInfo } from "../services.ts";
import type { RestShell } from "./answers.ts";

/** Throws `input.shortHash` on anything but twelve hexadecimal digits. */
export function shortHashOf(text: string): ShortHash {
  const hash = parseShortHash(text);
  if (hash !== undefined) return hash;
  throw badRequest("input.shortHash", `"${text}" is no short hash: it has twelve hexadecimal digits.`, { holdingIdentityShortHash: text });
}

/** Throws `input.shortHash` or `vnode.unknown`. */
export async function requireVirtualNode({ directory }: RestShell, text: string): Promise<VirtualNodeInfo> {
  const id = shortHashOf(text);
  const node = await directory.virtualNode(id);
  if (node !== undefined) return node;
  throw new BowlineError("notFound", "vnode.unknown", `There is no virtual node ${id}.`, { id });
}
