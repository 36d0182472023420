// The rows that keys are kept in: what a store promises, whatever it is made of. `KeyRing` gives them their meaning.

import { badRequest, type Instant, type SecureHash } from "@bowline/base";
import type { SchemeName } from "./schemes.ts";

/** What a key is for; a key of one category never does the work of another. */
export type KeyCategory = (typeof CATEGORIES)[number];
const CATEGORIES = ["LEDGER", "NOTARY", "SESSION_INIT", "TLS", "PRE_AUTH", "CODE_SIGNING"] as const;

/** Throws `crypto.categoryUnknown`. */
export function parseCategory(text: string): KeyCategory {
  const category = CATEGORIES.find((known) => known === text);
  if (category !== undefined) return category;
  throw badRequest("crypto.categoryUnknown", `There is no key category ${text}. Known are ${CATEGORIES.join(", ")}.`, { category: text });
}

/** One generation of a tenant's wrapping key, wrapped by a root. */
export interface WrappingKeyRow {
  readonly id: string;
  /** A virtual node's short hash, or `p2p`, `rest`, `crypto`. */
  readonly tenant: string;
  readonly alias: string;
  /** From 1. */
  readonly generation: number;
  /** The alias of the root that wraps it. */
  readonly rootAlias: string;
  readonly material: Uint8Array;
  readonly created: Instant;
}

/** A signing key, as far as anybody may see it. */
export interface SigningKey {
  readonly tenant: string;
  /** The hash of the public key's encoding. */
  readonly id: SecureHash;
  readonly alias: string;
  readonly category: KeyCategory;
  readonly scheme: SchemeName;
  /** Base64 of the SubjectPublicKeyInfo. */
  readonly publicKey: string;
  readonly created: Instant;
}

/** A private key as PKCS#8, wrapped by one generation of the tenant's wrapping key. */
export interface KeyMaterial {
  readonly wrappingKeyId: string;
  readonly material: Uint8Array;
}

/** What names keys within a tenant: full ids, short ids (12 digits) or aliases. */
export type KeyNames =
  | { readonly by: "id"; readonly values: readonly SecureHash[] }
  | { readonly by: "shortId"; readonly values: readonly string[] }
  | { readonly by: "alias"; readonly values: readonly string[] };

/** The crypto database of a cluster or of a virtual node. `testKeyStore` is its contract. */
export interface KeyStore {
  /** The newest generation of a tenant's wrapping key. */
  wrappingKey(tenant: string): Promise<WrappingKeyRow | undefined>;
  /** Adds a generation, or answers the row that another writer added first. */
  addWrappingKey(row: WrappingKeyRow): Promise<WrappingKeyRow>;
  /** Adds key and material together or not at all. Answers the key that the tenant has under this alias now; undefined where its short id is taken. */
  addSigningKey(key: SigningKey, material: KeyMaterial): Promise<SigningKey | undefined>;
  /** In order of creation. Names that the tenant has no key for are left out. */
  find(tenant: string, names: KeyNames): Promise<readonly SigningKey[]>;
  /** All keys of a tenant, in order of creation. */
  list(tenant: string): Promise<readonly SigningKey[]>;
  /** The material of the newest generation, with the wrapping key that opens it. */
  material(tenant: string, id: SecureHash): Promise<{ readonly wrappingKey: WrappingKeyRow; readonly material: Uint8Array } | undefined>;
}
