// A sealed box: what only the role that holds a boot key can open. Connection passwords and TLS keys travel in one.
//
// Layout: version (1) | the sender's one-time X25519 public key (32) | ciphertext | tag (16), where key and nonce are
// HKDF-SHA256 over the shared secret, both public keys and the context. Guarantees: a box opens only with the boot key that it
// was sealed to and only under the same context, so that it cannot be passed off as the answer to another question.
// It hides what is said; it does not say who said it.

import { createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync, type KeyObject } from "node:crypto";
import { BowlineError, badRequest, concat, type Data, encode } from "@bowline/base";
import { plain } from "./digest.ts";
import { open, seal } from "./wrapping.ts";

/** Made when a role boots, and gone with the process. */
export interface BootKey {
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

const VERSION = 1;
const PUBLIC_LENGTH = 32;
const KEY_LENGTH = 32;
const NONCE_LENGTH = 12;
/** What an X25519 SubjectPublicKeyInfo begins with; the key itself is the rest. */
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

export function generateBootKey(): BootKey {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  return { publicKey: plain(publicKey.export({ type: "spki", format: "der" }).subarray(SPKI_PREFIX.length)), privateKey };
}

/** `context` says what the box is for; whoever opens it names the same. Throws `crypto.bootKeyMalformed`. */
export function sealTo(publicKey: Uint8Array, plaintext: Uint8Array, context: Data): Uint8Array {
  const sender = generateBootKey();
  const shared = agree(sender.privateKey, publicKey);
  if (shared === undefined)
    throw badRequest("crypto.bootKeyMalformed", "A boot key is the 32 bytes of an X25519 public key, and this is none.");
  const box = boxKey({ shared, sender: sender.publicKey, recipient: publicKey, context });
  return concat(Uint8Array.of(VERSION), sender.publicKey, seal(box, plaintext));
}

/** Throws `crypto.sealBroken` where the box is not sealed to this key under this context. */
export function openSealed(bootKey: BootKey, sealed: Uint8Array, context: Data): Uint8Array {
  const sender = sealed.subarray(1, 1 + PUBLIC_LENGTH);
  const shared = sealed[0] === VERSION ? agree(bootKey.privateKey, sender) : undefined;
  const plaintext = shared && open(boxKey({ shared, sender, recipient: bootKey.publicKey, context }), sealed.subarray(1 + PUBLIC_LENGTH));
  if (plaintext !== undefined) return plaintext;
  throw new BowlineError(
    "internal",
    "crypto.sealBroken",
    "A sealed box was not sealed to this process's boot key, or not for this purpose.",
  );
}

/** Undefined where the public key is none, or one whose secrets anybody can know. */
function agree(privateKey: KeyObject, publicKey: Uint8Array): Uint8Array | undefined {
  if (publicKey.length !== PUBLIC_LENGTH) return undefined;
  try {
    const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: "der", type: "spki" });
    return diffieHellman({ privateKey, publicKey: key });
  } catch {
    return undefined;
  }
}

function boxKey(box: { shared: Uint8Array; sender: Uint8Array; recipient: Uint8Array; context: Data }) {
  const associated = encode(["bowline sealed box", box.context]);
  const bytes = new Uint8Array(hkdfSync("sha256", box.shared, concat(box.sender, box.recipient), associated, KEY_LENGTH + NONCE_LENGTH));
  return { key: bytes.subarray(0, KEY_LENGTH), nonce: bytes.subarray(KEY_LENGTH), associated };
}
