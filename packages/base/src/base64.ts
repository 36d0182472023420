// Base64 (RFC 4648 §4), by hand: the sandbox has neither `Buffer` nor `atob`.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b = 0, c = 0] = [bytes[i] as number, bytes[i + 1], bytes[i + 2]];
    text += `${DIGITS[a >> 2]}${DIGITS[((a & 3) << 4) | (b >> 4)]}`;
    text += i + 1 < bytes.length ? DIGITS[((b & 15) << 2) | (c >> 6)] : "=";
    text += i + 2 < bytes.length ? DIGITS[c & 63] : "=";
  }
  return text;
}

/** Undefined where `text` is not what `toBase64` writes of any bytes. */
export function fromBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let [held, bits, at] = [0, 0, 0];
  for (let i = 0; i < text.length - padding; i++) {
    const digit = DIGITS.indexOf(text[i] as string);
    if (digit < 0) return undefined;
    held = ((held << 6) | digit) & 0xffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = (held >> bits) & 0xff;
  }
  // Bits that no byte takes must be zero, so that equal bytes are equal text.
  return (held & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}
