// The door `@bowline/sdk/queries`: named queries over the states in a vault.

export type { StateField, StateQueryDescription } from "./activation.ts";
export type { AnyEntity, QueryParameters } from "./persistence.ts";
export {
  type FoundState,
  type StateJoin,
  type StateQueryDefinition,
  type StateQueryPage,
  stateQuery,
  stateQueryFault,
} from "./state-query.ts";
