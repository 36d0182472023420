export { type CallInput, type Client, createClient, type Fetch } from "./client.ts";
export { ErrorBody, errorBody, errorOf, STATUS_OF } from "./errors.ts";
export { JOURNAL_DEFAULTS } from "./flow-operations.ts";
export { CLIENT_REQUEST_ID, FLOW_FILTERS, type RestFlowStatus, TERMINAL_STATUSES } from "./flows.ts";
export { type FlowClass, openApi } from "./openapi.ts";
export {
  type ApiVersion,
  type BodyOf,
  type ParamsOf,
  PLATFORM_VERSION,
  type QueryOf,
  type ReplyOf,
  type Route,
  type RouteBody,
  SOFTWARE_VERSION,
} from "./route.ts";
export { allRoutes, followFlow, type OperationName, type Operations, operations, protocolVersions } from "./routes.ts";
