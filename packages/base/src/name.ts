// X.500 names as Corda takes them: RFC 2253 grammar, attributes CN, OU, O, L, ST, C; O, L and C must be there. The
// canonical text is Corda's to the letter, for holding identities are hashes of it.

import { fromHex, fromUtf8 } from "./bytes.ts";
import { isCountry } from "./country.ts";
import { badRequest } from "./errors.ts";

declare const brand: unique symbol;

/** A canonical X.500 name: `CN=…, OU=…, O=…, L=…, ST=…, C=…`, absent attributes left out. */
export type X500Name = string & { readonly [brand]: "X500Name" };

const ORDER = ["CN", "OU", "O", "L", "ST", "C"] as const;
type Attribute = (typeof ORDER)[number];
/** The longest that Corda lets pass, in UTF-16 units. */
const LENGTH_MAX: Readonly<Record<Attribute, number>> = { CN: 63, OU: 63, O: 127, L: 63, ST: 63, C: 2 };
const REQUIRED: readonly Attribute[] = ["O", "L", "C"];

/** The attributes of a name, unescaped. */
export type NameAttributes = Readonly<Partial<Record<Attribute, string>>>;

/** Throws `name.invalid` with the reason. The result is canonical: equal names are equal strings. */
export function parseName(text: string): X500Name {
  const attributes = attributesOf(text);
  check(attributes, text);
  return ORDER.filter((attribute) => attributes[attribute] !== undefined)
    .map((attribute) => `${attribute}=${quote(attributes[attribute] as string)}`)
    .join(", ") as X500Name;
}

export const nameAttributes = (name: X500Name): NameAttributes => attributesOf(name);

function attributesOf(text: string): NameAttributes {
  const attributes: Partial<Record<Attribute, string>> = {};
  for (const part of splitAtSeparators(text)) {
    const equals = part.indexOf("=");
    if (equals < 0) throw invalid(text, `"${part.trim()}" is not ATTRIBUTE=value`);
    const key = part.slice(0, equals).trim().toUpperCase();
    const attribute = ORDER.find((known) => known === key);
    if (attribute === undefined) throw invalid(text, `attribute ${key} is not one of ${ORDER.join(", ")}`);
    if (attributes[attribute] !== undefined) throw invalid(text, `attribute ${attribute} stands twice`);
    attributes[attribute] = unquote(part.slice(equals + 1), text).trim();
  }
  return attributes;
}

function check(attributes: NameAttributes, text: string): void {
  for (const attribute of REQUIRED) if (attributes[attribute] === undefined) throw invalid(text, `attribute ${attribute} is missing`);
  for (const attribute of ORDER) {
    const value = attributes[attribute];
    if (value === undefined) continue;
    if (value === "") throw invalid(text, `attribute ${attribute} is blank`);
    if (value.includes("\0")) throw invalid(text, `attribute ${attribute} holds a null character`);
    if (value.length > LENGTH_MAX[attribute])
      throw invalid(text, `attribute ${attribute} is longer than ${LENGTH_MAX[attribute]} characters`);
  }
  if (!isCountry(attributes.C as string))
    throw invalid(text, "attribute C is not a country code of ISO 3166: two capital letters, or ZZ for none");
}

function splitAtSeparators(text: string): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === "\\") {
      if (i + 1 >= text.length) throw invalid(text, "a backslash ends it");
      part += character + text[++i];
    } else if (character === '"') {
      quoted = !quoted;
      part += character;
    } else if ((character === "," || character === ";") && !quoted) {
      parts.push(part);
      part = "";
    } else if (character === "+" && !quoted) throw invalid(text, "an attribute has several values");
    else part += character;
  }
  if (quoted) throw invalid(text, "a quotation mark is not closed");
  return [...parts, part];
}

/** One piece of a value: bytes as pairs of hexadecimal digits, an escaped character, or a character for itself. */
const PIECE = /((?:\\[0-9a-fA-F]{2})+)|\\([,+"\\<>;=# \n])|([^\\])/gsy;

function unquote(value: string, whole: string): string {
  const padded = value.trimStart();
  const trimmed = padded.trimEnd();
  const quoted = /^"(?:[^"\\]|\\.)*"$/s.test(trimmed);
  if (!quoted && /^#/.test(trimmed)) throw invalid(whole, "a value in hexadecimal is no text; write \\# for a value that begins with #");
  let text = "";
  // Space at the end may be escaped, so an unquoted value keeps it until it is read.
  const inner = quoted ? trimmed.slice(1, -1) : padded;
  PIECE.lastIndex = 0;
  while (PIECE.lastIndex < inner.length) {
    const at = PIECE.lastIndex;
    const [, bytes, escaped, plain] = PIECE.exec(inner) ?? [];
    if (bytes !== undefined) text += textOf(bytes, whole);
    else if (escaped !== undefined) text += escaped;
    else if (plain === undefined) throw invalid(whole, `"${inner.slice(at, at + 2)}" escapes nothing`);
    else if (!quoted && '"<>'.includes(plain)) throw invalid(whole, `${plain} stands inside a value; write \\${plain}`);
    else text += plain;
  }
  return text;
}

function textOf(escapedBytes: string, whole: string): string {
  try {
    return fromUtf8(fromHex(escapedBytes.replaceAll("\\", "")) as Uint8Array);
  } catch {
    throw invalid(whole, `${escapedBytes} is not UTF-8`);
  }
}

/** In quotation marks where anything in it is special, as Java prints it. */
const quote = (value: string): string => (/[,+=\n<>#;\\"]|[ \n]{2}/.test(value) ? `"${value.replaceAll(/["\\]/g, "\\$&")}"` : value);

const invalid = (text: string, reason: string) =>
  badRequest("name.invalid", `"${text}" is not an X.500 name: ${reason}. Write it like "O=Alice, L=London, C=GB".`, { name: text, reason });
