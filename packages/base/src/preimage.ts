// What keys sign: every preimage begins with its purpose, so that a signature of one purpose is none of another.

import { concat, utf8 } from "./bytes.ts";

/** A transaction by its signatories, a batch by its notary, an author's own bytes, the parameters of a group. */
export type Purpose = "tx" | "notary" | "app" | "group-parameters";

export const preimage = (purpose: Purpose, body: Uint8Array): Uint8Array => concat(utf8(`bowline/${purpose}/1\0`), body);
