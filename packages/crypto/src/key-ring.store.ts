// The signing keys of every tenant, usable: generated, found, and unwrapped for as long as it takes to sign with them.
//
// Guarantees: a private key leaves only as a `KeyObject`, never as bytes in the clear; a key signs only for the tenant and the
// categories that its caller names; generating is idempotent by (tenant, alias). Rows name each other inside what they wrap,
// so that a row copied over another, or to another tenant, does not open.

import { createPrivateKey, createSecretKey, type KeyObject } from "node:crypto";
import { BowlineError, type Data, type Env, hex, invariant, type SecureHash } from "@bowline/base";
import type { KeyCategory, KeyNames, KeyStore, SigningKey, WrappingKeyRow } from "./key-store.ts";
import { Lru } from "./lru.ts";
import { generateKeyPair, keyIdOf, type SchemeName, type SignatureSpec, sign } from "./schemes.ts";
import { type RootKey, unwrap, WRAPPING_KEY_LENGTH, wrap } from "./wrapping.ts";

export interface KeyRingOptions {
  /** Every root that rows may still be wrapped by. */
  readonly roots: readonly RootKey[];
  /** The alias of the root that wraps new rows. */
  readonly defaultRoot: string;
  /** Where a tenant's keys are kept. */
  readonly storeOf: (tenant: string) => KeyStore | Promise<KeyStore>;
  readonly env: () => Env;
}

/** An unwrapped key may serve this long before it is read again, so that a revoked one dies soon. */
const UNWRAPPED_FOR_MS = 60_000;
const UNWRAPPED_MAX = 1_000;
const WRAPPING_KEYS_MAX = 1_000;

interface Unwrapped {
  readonly key: SigningKey;
  readonly privateKey: KeyObject;
}

export class KeyRing {
  readonly #options: KeyRingOptions;
  // Promises, so that a hundred signatures at once unwrap a cold key once.
  readonly #unwrapped = new Lru<string, { readonly until: number; readonly answer: Promise<Unwrapped | undefined> }>(UNWRAPPED_MAX);
  /** By row, and so by generation: another generation is another key. */
  readonly #wrappingKeys = new Lru<string, KeyObject>(WRAPPING_KEYS_MAX);

  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  /** A new key pair, or the one that the tenant has under this alias. Throws `crypto.aliasTaken` where that one is of another kind. */
  async generate(request: { tenant: string; alias: string; category: KeyCategory; scheme: SchemeName }): Promise<SigningKey> {
    const { tenant, alias, category, scheme } = request;
    const store = await this.#options.storeOf(tenant);
    const [known] = await store.find(tenant, { by: "alias", values: [alias] });
    const key = known ?? (await this.#create(store, request));
    if (key.category === category && key.scheme === scheme) return key;
    throw new BowlineError(
      "conflict",
      "crypto.aliasTaken",
      `Tenant ${tenant} has a key ${alias} already, of category ${key.category} and scheme ${key.scheme}. Choose another alias.`,
      { tenant, alias },
    );
  }

  /** The tenant's keys among those named. */
  async find(tenant: string, names: KeyNames): Promise<readonly SigningKey[]> {
    return (await this.#options.storeOf(tenant)).find(tenant, names);
  }

  async list(tenant: string): Promise<readonly SigningKey[]> {
    return (await this.#options.storeOf(tenant)).list(tenant);
  }

  /** Those of the public keys that the tenant holds, in the order given. */
  async filterMine(tenant: string, publicKeys: readonly string[]): Promise<readonly string[]> {
    const keys = await this.find(tenant, { by: "id", values: publicKeys.map(keyIdOf) });
    const mine = new Set(keys.map(({ publicKey }) => publicKey));
    return publicKeys.filter((publicKey) => mine.has(publicKey));
  }

  /** Throws `crypto.keyUnknown` where the tenant has no such key, and `crypto.keyMisused` where its category is not among `categories`. */
  async sign(request: {
    readonly tenant: string;
    readonly publicKey: string;
    readonly categories: readonly KeyCategory[];
    readonly bytes: Uint8Array;
    readonly spec?: SignatureSpec;
  }): Promise<Uint8Array> {
    return sign(await this.privateKey(request), request.bytes, request.spec);
  }

  /** For what must hold the key itself, such as a TLS server. Throws as `sign`. */
  async privateKey(request: { tenant: string; publicKey: string; categories: readonly KeyCategory[] }): Promise<KeyObject> {
    const { tenant, publicKey, categories } = request;
    const id = keyIdOf(publicKey);
    const unwrapped = await this.#unwrap(tenant, id);
    if (unwrapped === undefined)
      throw new BowlineError("notFound", "crypto.keyUnknown", `Tenant ${tenant} has no key ${id}.`, { tenant, id });
    const { category } = unwrapped.key;
    if (categories.includes(category)) return unwrapped.privateKey;
    const message = `Key ${id} is of category ${category} and does no work of category ${categories.join(" or ")}.`;
    throw new BowlineError("forbidden", "crypto.keyMisused", message, { tenant, id, category });
  }

  /** Drops what is unwrapped of a tenant, after its keys were rotated or revoked. */
  forget(tenant: string): void {
    this.#unwrapped.deleteWhere((name) => name.startsWith(`${tenant}/`));
  }

  async #create(
    store: KeyStore,
    request: { tenant: string; alias: string; category: KeyCategory; scheme: SchemeName },
  ): Promise<SigningKey> {
    const { tenant, alias, category, scheme } = request;
    const { now, random } = this.#options.env();
    const wrappingKey = (await store.wrappingKey(tenant)) ?? (await store.addWrappingKey(this.#firstWrappingKey(tenant)));
    const { publicKey, privateKey } = await generateKeyPair(scheme);
    const key: SigningKey = { tenant, id: keyIdOf(publicKey), alias, category, scheme, publicKey, created: now };
    const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
    const material = wrap(this.#open(wrappingKey), pkcs8, signingKeyRow(key.tenant, key.id, wrappingKey), random);
    pkcs8.fill(0);
    const there = await store.addSigningKey(key, { wrappingKeyId: wrappingKey.id, material });
    // Two keys of a tenant with one short id, 48 bits: once in the age of the universe, and another try is all it takes.
    return there ?? this.#create(store, request);
  }

  #firstWrappingKey(tenant: string): WrappingKeyRow {
    const { now, random } = this.#options.env();
    const alias = hex(random(6));
    const name = { id: uuid(random(16)), tenant, alias, generation: 1, rootAlias: this.#options.defaultRoot, created: now };
    const bytes = random(WRAPPING_KEY_LENGTH);
    const material = wrap(this.#root(name.rootAlias), bytes, wrappingKeyRow(name), random);
    bytes.fill(0);
    return { ...name, material };
  }

  #unwrap(tenant: string, id: SecureHash): Promise<Unwrapped | undefined> {
    const name = `${tenant}/${id}`;
    const { now } = this.#options.env();
    const cached = this.#unwrapped.get(name);
    if (cached !== undefined && cached.until > now) return cached.answer;
    const answer = this.#load(tenant, id);
    this.#unwrapped.set(name, { until: now + UNWRAPPED_FOR_MS, answer });
    // Neither a failure nor an absence is kept: the next caller asks again.
    const drop = () => this.#unwrapped.get(name)?.answer === answer && this.#unwrapped.delete(name);
    answer.then((unwrapped) => unwrapped === undefined && drop(), drop);
    return answer;
  }

  async #load(tenant: string, id: SecureHash): Promise<Unwrapped | undefined> {
    const store = await this.#options.storeOf(tenant);
    const [[key], stored] = await Promise.all([store.find(tenant, { by: "id", values: [id] }), store.material(tenant, id)]);
    if (key === undefined || stored === undefined) return undefined;
    const pkcs8 = unwrap(this.#open(stored.wrappingKey), stored.material, signingKeyRow(tenant, id, stored.wrappingKey));
    const privateKey = createPrivateKey({ key: Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length), format: "der", type: "pkcs8" });
    pkcs8.fill(0);
    return { key, privateKey };
  }

  #open(row: WrappingKeyRow): KeyObject {
    const cached = this.#wrappingKeys.get(row.id);
    if (cached !== undefined) return cached;
    const bytes = unwrap(this.#root(row.rootAlias), row.material, wrappingKeyRow(row));
    const key = createSecretKey(bytes);
    bytes.fill(0);
    this.#wrappingKeys.set(row.id, key);
    return key;
  }

  #root(alias: string): KeyObject {
    const root = this.#options.roots.find((known) => known.alias === alias);
    if (root !== undefined) return root.key;
    throw new BowlineError("internal", "crypto.rootUnknown", `Keys are wrapped by a key root ${alias}, which this process was not given.`, {
      alias,
    });
  }
}

const wrappingKeyRow = ({ tenant, alias, generation }: Pick<WrappingKeyRow, "tenant" | "alias" | "generation">): Data => [
  "wrapping key",
  tenant,
  alias,
  generation,
];

const signingKeyRow = (tenant: string, id: SecureHash, { alias, generation }: WrappingKeyRow): Data => [
  "signing key",
  tenant,
  id,
  alias,
  generation,
];

/** RFC 9562 version 4 from sixteen random bytes. */
function uuid(random: Uint8Array): string {
  invariant(random.length === 16, "a UUID is made of sixteen bytes");
  const bytes = random.slice();
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  const text = hex(bytes).toLowerCase();
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}
