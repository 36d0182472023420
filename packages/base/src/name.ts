// X.500 names as Corda takes them: RFC 2253 grammar, attributes CN, OU, O, L, ST, C; O, L and C must be there.

import { badRequest } from "./errors.ts";

declare const brand: unique symbol;

/** A canonical X.500 name: `CN=…, OU=…, O=…, L=…, ST=…, C=…`, absent attributes left out. */
export type X500Name = string & { readonly [brand]: "X500Name" };

const ORDER = ["CN", "OU", "O", "L", "ST", "C"] as const;
type Attribute = (typeof ORDER)[number];
const LENGTH_MAX: Readonly<Record<Attribute, number>> = { CN: 64, OU: 64, O: 128, L: 64, ST: 64, C: 2 };
const REQUIRED: readonly Attribute[] = ["O", "L", "C"];
const MUST_ESCAPE = /[,+"\\<>;=]/g;

/** The attributes of a name, unescaped. */
export type NameAttributes = Readonly<Partial<Record<Attribute, string>>>;

/** Throws `name.invalid` with the reason. The result is canonical: equal names are equal strings. */
export function parseName(text: string): X500Name {
  const attributes: Partial<Record<Attribute, string>> = {};
  for (const part of splitUnescaped(text, text)) {
    const equals = part.indexOf("=");
    if (equals < 0) throw invalid(text, `"${part.trim()}" is not ATTRIBUTE=value`);
    const key = part.slice(0, equals).trim().toUpperCase();
    const attribute = ORDER.find((known) => known === key);
    if (attribute === undefined) throw invalid(text, `attribute ${key} is not one of ${ORDER.join(", ")}`);
    if (attributes[attribute] !== undefined) throw invalid(text, `attribute ${attribute} stands twice`);
    attributes[attribute] = unquote(part.slice(equals + 1), text);
  }
  check(attributes, text);
  return ORDER.filter((attribute) => attributes[attribute] !== undefined)
    .map((attribute) => `${attribute}=${quote(attributes[attribute] as string)}`)
    .join(", ") as X500Name;
}

export function nameAttributes(name: X500Name): NameAttributes {
  const attributes: Partial<Record<Attribute, string>> = {};
  for (const part of splitUnescaped(name, name)) {
    const equals = part.indexOf("=");
    attributes[part.slice(0, equals).trim() as Attribute] = unquote(part.slice(equals + 1), name);
  }
  return attributes;
}

function check(attributes: NameAttributes, text: string): void {
  for (const attribute of REQUIRED) if (attributes[attribute] === undefined) throw invalid(text, `attribute ${attribute} is missing`);
  for (const attribute of ORDER) {
    const value = attributes[attribute];
    if (value === undefined) continue;
    if (value.trim() === "") throw invalid(text, `attribute ${attribute} is blank`);
    if (value.includes("\0")) throw invalid(text, `attribute ${attribute} holds a null character`);
    if (value.length > LENGTH_MAX[attribute])
      throw invalid(text, `attribute ${attribute} is longer than ${LENGTH_MAX[attribute]} characters`);
  }
  if (!/^[A-Z]{2}$/.test(attributes.C as string)) throw invalid(text, "attribute C is not two capital letters of ISO 3166");
}

function splitUnescaped(text: string, whole: string): string[] {
  const parts: string[] = [];
  let part = "";
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const character = text[i] as string;
    if (character === "\\") {
      if (i + 1 >= text.length) throw invalid(whole, "a backslash ends it");
      part += character + text[++i];
    } else if (character === '"') {
      quoted = !quoted;
      part += character;
    } else if ((character === "," || character === ";") && !quoted) {
      parts.push(part);
      part = "";
    } else if (character === "+" && !quoted) throw invalid(whole, "an attribute has several values");
    else part += character;
  }
  if (quoted) throw invalid(whole, "a quotation mark is not closed");
  return [...parts, part];
}

function unquote(value: string, whole: string): string {
  const trimmed = value.trim();
  const quoted = trimmed.length >= 2 && trimmed.startsWith('"') && trimmed.endsWith('"');
  const inner = quoted ? trimmed.slice(1, -1) : trimmed;
  if (!quoted && inner.replaceAll(/\\./g, "").includes('"')) throw invalid(whole, "a quotation mark stands inside a value");
  return inner.replaceAll(/\\(.)/g, "$1");
}

const quote = (value: string): string =>
  value
    .replaceAll(MUST_ESCAPE, "\\$&")
    .replace(/^[ #]/, "\\$&")
    .replace(/(?<=.) $/, "\\ ");

const invalid = (text: string, reason: string) =>
  badRequest("name.invalid", `"${text}" is not an X.500 name: ${reason}. Write it like "O=Alice, L=London, C=GB".`, { name: text, reason });
