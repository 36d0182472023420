export {
  decodeParameters,
  encodeParameters,
  firstParameters,
  flatParameters,
  parametersHash,
} from "./group-parameters.ts";
export { type GroupPolicy, parseGroupPolicy, type StaticMember, type StaticNetworkPolicy, type StaticNotary } from "./group-policy.ts";
export { type NameFilter, selectMembers } from "./lookup.ts";
export {
  type Context,
  type KeyUse,
  type Member,
  type PlannedKey,
  planKeys,
  publicKeyPem,
  registerStatic,
  type StaticRegistration,
  staticManagerInfo,
  staticMemberOf,
} from "./member.ts";
export {
  loadMembers,
  loadParameters,
  loadStaticNetwork,
  type StaticNetwork,
  saveMember,
  saveParameters,
  saveStaticNetwork,
} from "./members.store.ts";
