// The door `@bowline/sdk/contracts`: contracts put together from constraints that many sorts of states share.
//
// Plain synchronous JavaScript that runs with the author's contract, for ever with the code of that package. A CorDapp that
// imports none of it carries none of it in its bundle.

export { type BrokenRule, type Change, type ChangeKind, type Constraint, isSignedBy } from "./change.ts";
export { type CommandRules, type ConstrainedContract, constrainedContract, type Rules, rulesFor, type StateRules } from "./constrained.ts";
export { type FungibleOptions, fungible } from "./fungible.ts";
export { chainable, identifiable, identityOf, pointed, StatePointer } from "./identity.ts";
export { issuable, ownable, Party } from "./ownership.ts";
