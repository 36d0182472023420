// The text of `META-INF/MANIFEST.MF` and of signature files, as the JAR specification has it: a main section and one per
// entry, lines of at most 72 bytes, continued by a space. Read strictly: what JAR tools would read in several ways is refused.

import { badRequest, fromUtf8, utf8 } from "@bowline/base";

export type Attributes = ReadonlyMap<string, string>;

/** Names of attributes are kept in lower case: they are the same in either. */
export interface JarManifest {
  readonly main: Attributes;
  /** By the name of the entry. */
  readonly sections: ReadonlyMap<string, Attributes>;
}

const LINE_LENGTH_MAX = 70; // And two bytes that end it.
const ATTRIBUTE_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,69}$/;

/** One section, with the empty line that ends it. Throws `package.attributeInvalid` on what a line cannot say. */
export function writeSection(attributes: readonly (readonly [name: string, value: string])[]): string {
  const lines = attributes.map(([name, value]) => {
    if (!ATTRIBUTE_NAME.test(name) || /\p{Cc}/u.test(value) || !value.isWellFormed())
      throw badRequest(
        "package.attributeInvalid",
        `The attribute ${name} of a package cannot be ${JSON.stringify(value)}: it must be one line of text.`,
        {
          attribute: name,
        },
      );
    return folded(`${name}: ${value}`);
  });
  return `${lines.join("")}\r\n`;
}

/** `what` names the file in messages. Throws `package.manifestMalformed`. */
export function parseManifest(bytes: Uint8Array, what: string): JarManifest {
  const malformed = (line: string) =>
    badRequest("package.manifestMalformed", `${what} is not a JAR manifest: ${JSON.stringify(line.slice(0, 80))} is out of place.`, {
      package: what,
    });
  const [main = new Map<string, string>(), ...others] = sectionsOf(unfolded(bytes, malformed), malformed);
  const sections = new Map<string, Attributes>();
  for (const attributes of others) {
    const name = attributes.get("name");
    if (name === undefined || sections.has(name)) throw malformed(`Name: ${name}`);
    sections.set(name, attributes);
  }
  return { main, sections };
}

type Malformed = (line: string) => Error;

/** Lines are put together as bytes, since some tools break them within a character. */
function unfolded(bytes: Uint8Array, malformed: Malformed): string {
  const raw = Buffer.from(bytes)
    .toString("latin1")
    .replaceAll(/\r\n|\r/g, "\n");
  if (raw.includes("\0") || !raw.endsWith("\n")) throw malformed(raw.slice(-40));
  if (/(?:^|\n)\n? /.test(raw.replaceAll(/(?<=[^\n])\n /g, ""))) throw malformed(" ");
  try {
    return fromUtf8(Buffer.from(raw.replaceAll("\n ", ""), "latin1"));
  } catch {
    throw malformed("text that is not UTF-8");
  }
}

function sectionsOf(text: string, malformed: Malformed): readonly Map<string, string>[] {
  const sections = text.replace(/^\n+/, "").split(/\n{2,}/);
  return sections
    .filter((section) => section !== "")
    .map((section) => {
      const attributes = new Map<string, string>();
      for (const line of section.replace(/\n$/, "").split("\n")) {
        const colon = line.indexOf(": ");
        const name = line.slice(0, colon).toLowerCase();
        if (colon < 0 || !ATTRIBUTE_NAME.test(name) || attributes.has(name)) throw malformed(line);
        attributes.set(name, line.slice(colon + 2));
      }
      return attributes;
    });
}

/** Broken between characters, so that every line is text by itself. */
function folded(line: string): string {
  let text = "";
  let length = 0;
  for (const character of line) {
    const size = utf8(character).length;
    if (length + size > LINE_LENGTH_MAX) {
      text += "\r\n ";
      length = 1;
    }
    text += character;
    length += size;
  }
  return `${text}\r\n`;
}
