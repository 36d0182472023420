// The door `@bowline/ledger/queries`: named queries over the states in a vault.

export { dropOtherIndexes, explainStates, makeIndexes, type QueryExplanation } from "./vault-indexes.store.ts";
export { readStates } from "./vault-queries.store.ts";
export { type QueryDescriptions, type StateQueryCall, type StateQueryPlan, stateQueryPlan } from "./vault-queries.ts";
