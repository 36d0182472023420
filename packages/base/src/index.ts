export {
  compareBytes,
  concat,
  digestOf,
  equalBytes,
  fromHex,
  fromUtf8,
  hex,
  parseSecureHash,
  parseShortHash,
  type SecureHash,
  SHA_256,
  type ShortHash,
  secureHash,
  shortHash,
  u32,
  utf8,
} from "./bytes.ts";
export { type Data, DEPTH_MAX, decode, encode } from "./codec.ts";
export { type Decoder, decoder, readJson, type SchemaComplaint, schemaRefusal, writeJson } from "./edge.ts";
export { BowlineError, badRequest, type ErrorKind, unavailable } from "./errors.ts";
export type { HoldingIdentity } from "./identity.ts";
export { InvariantBroken, invariant, unreachable } from "./invariant.ts";
export { type NameAttributes, nameAttributes, parseName, type X500Name } from "./name.ts";
export type { Bus, BusConsumer, BusRecord, Clock, Database, Env, Instant, Log, Sql, Statement, Subscription } from "./ports.ts";
