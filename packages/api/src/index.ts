export { CERTIFICATE_USAGES } from "./certificates.ts";
export { type CallInput, type Client, type ClientOptions, createClient, type Fetch } from "./client.ts";
export { ErrorBody, errorBody, errorOf, STATUS_OF } from "./errors.ts";
export { CLIENT_REQUEST_ID, FLOW_STATUSES, type RestFlowStatus, TERMINAL_STATUSES } from "./flows.ts";
export { openApi } from "./openapi.ts";
export {
  API_VERSIONS,
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
export { allRoutes, type OperationName, type Operations, operations, protocolVersions } from "./routes.ts";
