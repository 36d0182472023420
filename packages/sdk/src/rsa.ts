// RSA signatures as RFC 8017 §8.2 (PKCS #1 v1.5) checks them, for the sandbox. Only public keys, and only checking: nothing here is
// secret, so nothing has to take the same time.

import { concat, equalBytes, fromHex, hex } from "@bowline/base";

export interface RsaKey {
  readonly modulus: bigint;
  readonly exponent: bigint;
  /** Of the modulus, and of a signature, in bytes. */
  readonly length: number;
}

/** A peer picks the keys that we check under: these bounds keep the work per signature small. */
const BITS = { min: 2048, max: 8192 };
const EXPONENT_MAX = 2n ** 33n;
const ALGORITHM = fromHex("300D06092A864886F70D0101010500") as Uint8Array;
/** The DigestInfo that stands before each digest (RFC 8017 §9.2, note 1). */
const DIGEST_INFO = {
  "SHA-256": fromHex("3031300D060960864801650304020105000420") as Uint8Array,
  "SHA-384": fromHex("3041300D060960864801650304020205000430") as Uint8Array,
  "SHA-512": fromHex("3051300D060960864801650304020305000440") as Uint8Array,
} as const;

/** From a SubjectPublicKeyInfo in DER; undefined where it holds no RSA key, in another encoding, or one out of bounds. */
export function rsaKeyOf(der: Uint8Array): RsaKey | undefined {
  const info = whole(der, 0x30);
  if (info === undefined || !equalBytes(info.subarray(0, ALGORITHM.length), ALGORITHM)) return undefined;
  const bits = whole(info.subarray(ALGORITHM.length), 0x03);
  const pair = bits === undefined || bits[0] !== 0 ? undefined : whole(bits.subarray(1), 0x30);
  const first = pair === undefined ? undefined : element(pair, 0x02);
  const second = first === undefined ? undefined : whole(first.rest, 0x02);
  const [modulus, exponent] = [positive(first?.content), positive(second)];
  if (modulus === undefined || exponent === undefined) return undefined;
  const size = modulus.toString(2).length;
  if (size < BITS.min || size > BITS.max || exponent % 2n === 0n || exponent < 3n || exponent > EXPONENT_MAX) return undefined;
  return { modulus, exponent, length: Math.ceil(size / 8) };
}

/** `hashed` is the digest of the signed bytes. */
export function isRsaSignature(key: RsaKey, algorithm: keyof typeof DIGEST_INFO, hashed: Uint8Array, signature: Uint8Array): boolean {
  const value = BigInt(`0x0${hex(signature)}`);
  if (signature.length !== key.length || value >= key.modulus) return false;
  const digits = power(value, key)
    .toString(16)
    .padStart(key.length * 2, "0");
  const info = concat(DIGEST_INFO[algorithm], hashed);
  const padding = new Uint8Array(key.length - info.length - 3).fill(0xff);
  const expected = concat(Uint8Array.of(0, 1), padding, Uint8Array.of(0), info);
  return equalBytes(fromHex(digits) as Uint8Array, expected);
}

function power(base: bigint, { modulus, exponent }: RsaKey): bigint {
  let result = 1n;
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus;
    if (bit === "1") result = (result * base) % modulus;
  }
  return result;
}

/** In the fewest bytes, and more than zero. */
function positive(bytes: Uint8Array | undefined): bigint | undefined {
  const [first, second] = [bytes?.[0], bytes?.[1]];
  if (bytes === undefined || first === undefined || first >= 0x80 || (first === 0 && (second === undefined || second < 0x80)))
    return undefined;
  return BigInt(`0x${hex(bytes)}`);
}

/** The content of the one element that `bytes` is. */
function whole(bytes: Uint8Array, tag: number): Uint8Array | undefined {
  const found = element(bytes, tag);
  return found?.rest.length === 0 ? found.content : undefined;
}

/** DER: lengths in their shortest form. */
function element(bytes: Uint8Array, tag: number): { readonly content: Uint8Array; readonly rest: Uint8Array } | undefined {
  const first = bytes[1];
  if (bytes[0] !== tag || first === undefined) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  if (size > 2 || bytes.length < 2 + size) return undefined;
  const length = size === 0 ? first : Number.parseInt(hex(bytes.subarray(2, 2 + size)), 16);
  const isShortest = size === 0 || (size === 1 ? length >= 0x80 : length >= 0x100);
  const start = 2 + size;
  if (!isShortest || first === 0x80 || bytes.length < start + length) return undefined;
  return { content: bytes.subarray(start, start + length), rest: bytes.subarray(start + length) };
}
