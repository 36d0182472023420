export { testUniqueness } from "./uniqueness.contract.ts";
export { testVault, type VaultUnderTest } from "./vault.contract.ts";
