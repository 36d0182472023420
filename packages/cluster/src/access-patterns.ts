// The regular expressions of permissions. Whoever may make a permission writes one, so none may hold up a worker: they run
// on an automaton, in time that is linear in what it reads. What an automaton cannot do (look around, refer back) and what
// would make it large is refused where a permission is made.

import { BowlineError, badRequest } from "@bowline/base";
import { RE2JS } from "re2js";

export const PATTERN_LENGTH_MAX = 1_024;
/** Of its automaton. The largest of the built-in permissions has 730. */
const PATTERN_STATES_MAX = 2_000;
const COMPILED_KEPT_MAX = 4_096;

export interface Pattern {
  /** At most so many: what reading one character can cost. */
  readonly states: number;
  /** What the action must begin with, and what must stand somewhere in it; both in lower case. */
  readonly prefix: string;
  readonly inner: string;
  /** The whole action, in either case. */
  matches(action: string): boolean;
}

/** Throws `access.patternInvalid`. */
export function checkPattern(text: string): void {
  if (text.trim() === "") throw invalid(text, "it is blank");
  if (text.length > PATTERN_LENGTH_MAX) throw invalid(text, `it has more than ${PATTERN_LENGTH_MAX} characters`);
  compile(text);
}

const compiled = new Map<string, Pattern | undefined>();

/** Undefined where the text cannot be read; it is read once. */
export function patternOf(text: string): Pattern | undefined {
  if (compiled.has(text)) return compiled.get(text);
  if (compiled.size >= COMPILED_KEPT_MAX) compiled.clear();
  const pattern = read(text);
  compiled.set(text, pattern);
  return pattern;
}

function read(text: string): Pattern | undefined {
  try {
    return compile(text);
  } catch (error) {
    if (error instanceof BowlineError) return undefined;
    throw error;
  }
}

function compile(text: string): Pattern {
  const { states, ...plain } = measure(text);
  // Before it is compiled: what it would take to make a large automaton is what must not be spent.
  if (states > PATTERN_STATES_MAX) throw invalid(text, `its repetitions unfold to about ${states} states, of ${PATTERN_STATES_MAX}`);
  let automaton: RE2JS;
  try {
    automaton = RE2JS.compile(text, RE2JS.CASE_INSENSITIVE | RE2JS.DOTALL);
  } catch (error) {
    throw invalid(text, error instanceof Error ? error.message : String(error));
  }
  return { states, ...plain, matches: (action) => automaton.testExact(action) };
}

const invalid = (pattern: string, reason: string): BowlineError =>
  badRequest("access.patternInvalid", `This is no regular expression that permissions can have: ${reason}.`, {
    permissionString: pattern.slice(0, PATTERN_LENGTH_MAX),
    reason,
  });

/** Quoted text, an escape, a class, a counted repetition, or a character. */
const TOKEN = /\\Q.*?(?:\\E|$)|\\[pPx]\{[^}]*\}|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|./gs;
const PLAIN = /^[A-Za-z0-9:/_=&%@~ -]$/;
const QUANTIFIER = /^[*+?{]/;

/** A bound on the automaton's states, and plain text that every match has. */
function measure(text: string): Pick<Pattern, "states" | "prefix" | "inner"> {
  const outside: number[] = [];
  const runs: string[] = [];
  let run = "";
  let states = 0;
  let last = 0;
  let either = false;
  for (const [token, least, most] of text.matchAll(TOKEN)) {
    if (outside.length === 0 && PLAIN.test(token)) run += token;
    else {
      // What is quantified may not be there at all.
      if (outside.length === 0) runs.push(QUANTIFIER.test(token) ? run.slice(0, -1) : run);
      run = "";
    }
    if (token === "|" && outside.length === 0) either = true;
    if (token === "(") {
      outside.push(states);
      states = 0;
    } else if (token === ")") {
      last = states + 2;
      states = (outside.pop() ?? 0) + last;
    } else if (least !== undefined) {
      const times = Math.max(Number(least) + 1, Number(most ?? 0));
      states += (last + 1) * times;
      last = (last + 1) * times;
    } else {
      const size = token.startsWith("\\Q") ? token.length : 1;
      if (!/^[*+?|]$/.test(token)) last = size;
      states += size;
    }
  }
  runs.push(outside.length === 0 ? run : "");
  const [prefix = ""] = either ? [] : runs;
  const inner = either ? "" : runs.reduce((longest, each) => (each.length > longest.length ? each : longest), "");
  return { states, prefix: prefix.toLowerCase(), inner: inner.toLowerCase() };
}
