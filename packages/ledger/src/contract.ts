export { ENTITY_TABLES, type EntitiesUnderTest, testEntities } from "./entities.contract.ts";
export { MAC_KEY, sample } from "./sample.memory.ts";
export { type TokensUnderTest, testTokens } from "./tokens.contract.ts";
export { testUniqueness } from "./uniqueness.contract.ts";
export { testVault, type VaultUnderTest } from "./vault.contract.ts";
export { changesOf, manyIssues, testVaultChanges } from "./vault-changes.contract.ts";
export { testVaultHistory } from "./vault-history.contract.ts";
export { OWNER_TABLE, type StateQueriesUnderTest, testStateQueries } from "./vault-queries.contract.ts";
