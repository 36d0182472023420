// The door `@bowline/ledger/queries`: named queries over the states in a vault.

export { readStates } from "./vault-queries.store.ts";
export { type QueryDescriptions, type StateQueryCall, type StateQueryPlan, stateQueryPlan } from "./vault-queries.ts";
