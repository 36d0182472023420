// `@bowline/ledger/proof`: transactions with all that proves them, for whoever has no vault.

export type { FilteredDependency } from "./dependencies.ts";
export { lookedAt, type ProofFile, type ProofTrust, type Proven, proofFile, verifyProof } from "./proof.ts";
