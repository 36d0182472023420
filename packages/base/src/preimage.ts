// What keys sign: every preimage begins with its purpose, so that a signature of one purpose is none of another.

import { concat, utf8 } from "./bytes.ts";

/** A transaction by its signatories, a batch by its notary, an author's own bytes, the parameters of a group. */
export type Purpose = "tx" | "notary" | "app" | "group-parameters";

export const preimage = (purpose: Purpose, body: Uint8Array): Uint8Array => concat(utf8(`bowline/${purpose}/1\0`), body);

/** An author's bytes, signed on this virtual node: what is signed on one is signed on no other, though both had the key. Its short hash has one length. */
export const appPreimage = (vnode: string, bytes: Uint8Array): Uint8Array => preimage("app", concat(utf8(`${vnode}\0`), bytes));
