// Which virtual node a user means: by the short hash of its holding identity, by its X.500 name, or by a part of the name
// that only one has.

import { nameAttributes, parseName, parseShortHash, type X500Name } from "@bowline/base";
import { usage } from "./terminal.ts";

export interface NamedNode {
  readonly shortHash: string;
  readonly x500Name: string;
  readonly groupId: string;
}

/** Throws `cli.identityUnknown` or `cli.identityAmbiguous`, which name the virtual nodes that there are. */
export function resolveIdentity<Node extends NamedNode>(text: string, nodes: readonly Node[]): Node {
  for (const matches of [byHash, byName, byAttribute, byPart]) {
    const [first, ...others] = matches(text.trim(), nodes);
    if (first === undefined) continue;
    if (others.length === 0) return first as Node;
    throw usage("identityAmbiguous", `"${text}" may be ${list([first, ...others])}. Say more of the name, or give the short hash.`, {
      identity: text,
    });
  }
  const known = nodes.length === 0 ? "There are no virtual nodes yet: see bowline vnode create --help." : `There are ${list(nodes)}.`;
  throw usage("identityUnknown", `No virtual node is called "${text}". ${known}`, { identity: text });
}

/** `O=Alice` of `O=Alice, L=London, C=GB`, without the `O=`: what people call a member. */
export function shortName(x500Name: string): string {
  const name = canonical(x500Name);
  return name === undefined ? x500Name : (nameAttributes(name).O ?? x500Name);
}

type Match = (text: string, nodes: readonly NamedNode[]) => readonly NamedNode[];

const byHash: Match = (text, nodes) => {
  const hash = parseShortHash(text);
  return hash === undefined ? [] : nodes.filter((node) => node.shortHash.toUpperCase() === hash);
};

const byName: Match = (text, nodes) => {
  const name = canonical(text);
  return name === undefined ? [] : nodes.filter((node) => canonical(node.x500Name) === name);
};

const byAttribute: Match = (text, nodes) =>
  nodes.filter((node) => {
    const name = canonical(node.x500Name);
    if (name === undefined) return false;
    return Object.entries(nameAttributes(name)).some(
      ([key, value]) => (key === "O" || key === "CN" || key === "OU") && value.toLowerCase() === text.toLowerCase(),
    );
  });

const byPart: Match = (text, nodes) =>
  text === "" ? [] : nodes.filter((node) => node.x500Name.toLowerCase().includes(text.toLowerCase()));

function canonical(text: string): X500Name | undefined {
  try {
    return parseName(text);
  } catch {
    return undefined; // Not a whole name: a part of one.
  }
}

const SHOWN_MAX = 8;

function list(nodes: readonly NamedNode[]): string {
  const shown = nodes.slice(0, SHOWN_MAX).map((node) => `${node.x500Name} (${node.shortHash})`);
  return nodes.length > SHOWN_MAX ? `${shown.join("; ")} and ${nodes.length - SHOWN_MAX} more` : shown.join("; ");
}
