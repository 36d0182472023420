// Who sees a state, for all members at once: what its `visible` answers is turned into the questions that it asks.
//
// Contract packages run where nobody knows any member's keys, and what they say of a state must be the same at every member. So `visible` is
// run once for each course that the answers of `isMine` may take; each member then follows the questions with its own keys.

import type { Data } from "@bowline/base";
import type { Visibility, VisibilityQuestion } from "./activation.ts";
import type { StateDefinition } from "./definition.ts";
import { FlowError } from "./failure.ts";
import type { PublicKeyText } from "./transaction.ts";

/** Asking whether any of a state's participants is mine, one after the other, takes one each. */
const QUESTIONS_MAX = 128;

/** Undefined where the definition leaves it to the participants. Throws `state.visibilityTooComplex`, or what the author's function throws. */
export function visibilityOf(definition: StateDefinition, data: Data): Visibility | undefined {
  if (definition.visible === undefined) return undefined;
  const questions: VisibilityQuestion[] = [];
  const follow = (answers: readonly boolean[]): boolean | number => {
    const found = answerOf(definition, data, answers);
    if (typeof found === "boolean") return found;
    if (questions.length === QUESTIONS_MAX)
      throw new FlowError(
        "state.visibilityTooComplex",
        `What ${definition.name} asks to know who sees it takes more than ${QUESTIONS_MAX} questions.`,
      );
    const place = questions.length;
    questions.push({ keys: found, yes: false, no: false }); // Taken, before the questions that follow it.
    questions[place] = { keys: found, yes: follow([...answers, true]), no: follow([...answers, false]) };
    return place;
  };
  const first = follow([]);
  return typeof first === "boolean" ? first : questions;
}

/** What the author's function answers, or the keys that it asks about once these answers are used up. */
function answerOf({ name, visible }: StateDefinition, data: Data, answers: readonly boolean[]): boolean | readonly PublicKeyText[] {
  let asked = 0;
  let question: readonly PublicKeyText[] | undefined;
  const isMine = (...keys: readonly PublicKeyText[]): boolean => {
    const answer = answers[asked++];
    if (answer !== undefined) return answer;
    question ??= keys.map((key) => `${key}`);
    throw new FlowError("state.visibilityAsked", `Who sees ${name} turns on a key.`);
  };
  try {
    const answer: unknown = visible?.(data, { isMine });
    return question ?? answer === true;
  } catch (thrown) {
    if (question !== undefined) return question;
    throw thrown;
  }
}

/** Every key that following the questions may ask about. */
export const keysAsked = (visibility: Visibility): readonly PublicKeyText[] =>
  typeof visibility === "boolean" ? [] : visibility.flatMap(({ keys }) => keys);

/** Follows the questions. They lead onwards only, so that they end. */
export function sees(visibility: Visibility, isMine: (key: PublicKeyText) => boolean): boolean {
  if (typeof visibility === "boolean") return visibility;
  let at: boolean | number = 0;
  while (typeof at === "number") {
    const question: VisibilityQuestion | undefined = visibility[at];
    if (question === undefined) return false;
    const next: boolean | number = question.keys.some(isMine) ? question.yes : question.no;
    at = typeof next === "number" && next <= at ? false : next;
  }
  return at;
}
