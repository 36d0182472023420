// UTF-8 where the platform brings no TextEncoder, which is the sandbox: canonical bytes are made by the same code wherever they
// are made. Guarantee: the same bytes as the platform's, and refusals of the same bytes.

const REPLACEMENT = 0xfffd;

/** A lone surrogate becomes U+FFFD: whoever minds looks before. */
export function encodeByHand(text: string): Uint8Array {
  // A unit of UTF-16 takes at most three bytes.
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const point = code >= 0xd800 && code <= 0xdfff ? REPLACEMENT : code;
    if (point < 0x80) bytes[at++] = point;
    else {
      const more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
      bytes[at++] = ((0xff00 >> (more + 1)) & 0xff) | (point >> (6 * more));
      for (let rest = more - 1; rest >= 0; rest--) bytes[at++] = 0x80 | ((point >> (6 * rest)) & 0x3f);
    }
  }
  return bytes.slice(0, at);
}

/** The first code point that each length may say: what is longer than it need be is refused. */
const FIRST_OF_LENGTH = [0, 0x80, 0x800, 0x10000];
const CHUNK = 4_096;

/** Throws a `TypeError` on bytes that are not UTF-8. */
export function decodeByHand(bytes: Uint8Array): string {
  let text = "";
  let points: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const head = bytes[at++] as number;
    const more = head < 0x80 ? 0 : head >= 0xc2 && head < 0xe0 ? 1 : head >= 0xe0 && head < 0xf0 ? 2 : head >= 0xf0 && head < 0xf5 ? 3 : -1;
    let point = more === 0 ? head : head & (0x3f >> more);
    for (let rest = 0; rest < more; rest++) {
      const next = bytes[at++];
      if (next === undefined || next >> 6 !== 2) throw new TypeError("These bytes are not UTF-8.");
      point = (point << 6) | (next & 0x3f);
    }
    if (more < 0 || point < (FIRST_OF_LENGTH[more] as number) || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
      throw new TypeError("These bytes are not UTF-8.");
    points.push(point);
    if (points.length === CHUNK || at === bytes.length) {
      text += String.fromCodePoint(...points);
      points = [];
    }
  }
  return text;
}
