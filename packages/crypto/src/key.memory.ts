// Keys in memory: for tests and simulations. Its rows survive nothing.

import { shortHash } from "@bowline/base";
import type { KeyMaterial, KeyNames, KeyStore, SigningKey, WrappingKeyRow } from "./key-store.ts";

export function memoryKeyStore(): KeyStore {
  const wrappingKeys: WrappingKeyRow[] = [];
  const signingKeys: { readonly key: SigningKey; readonly materials: readonly KeyMaterial[] }[] = [];

  const list = (tenant: string): readonly SigningKey[] =>
    signingKeys
      .map(({ key }) => key)
      .filter((key) => key.tenant === tenant)
      .sort((a, b) => a.created - b.created || (a.alias < b.alias ? -1 : 1));
  const newest = (rows: readonly WrappingKeyRow[]): WrappingKeyRow | undefined => rows.toSorted((a, b) => b.generation - a.generation)[0];

  return {
    async wrappingKey(tenant) {
      return newest(wrappingKeys.filter((row) => row.tenant === tenant));
    },

    async addWrappingKey(row) {
      const there = wrappingKeys.find(({ tenant, generation }) => tenant === row.tenant && generation === row.generation);
      if (there === undefined) wrappingKeys.push(row);
      return there ?? row;
    },

    async addSigningKey(key, material) {
      const others = list(key.tenant);
      const there = others.find(({ alias }) => alias === key.alias);
      if (there !== undefined) return there;
      if (others.some(({ id }) => shortHash(id) === shortHash(key.id))) return undefined;
      signingKeys.push({ key, materials: [material] });
      return key;
    },

    async find(tenant, names) {
      return list(tenant).filter((key) => isNamed(key, names));
    },

    async list(tenant) {
      return list(tenant);
    },

    async material(tenant, id) {
      const entry = signingKeys.find(({ key }) => key.tenant === tenant && key.id === id);
      const materials = entry?.materials ?? [];
      const wrappingKey = newest(wrappingKeys.filter((row) => materials.some(({ wrappingKeyId }) => wrappingKeyId === row.id)));
      const material = materials.find(({ wrappingKeyId }) => wrappingKeyId === wrappingKey?.id);
      return wrappingKey && material && { wrappingKey, material: material.material };
    },
  };
}

function isNamed(key: SigningKey, names: KeyNames): boolean {
  if (names.by === "id") return names.values.includes(key.id);
  return names.values.includes(names.by === "alias" ? key.alias : shortHash(key.id));
}
