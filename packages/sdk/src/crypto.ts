// The door `@bowline/sdk/crypto`: digests, Merkle trees, public keys and signatures for flows and contracts alike.
//
// All of it is plain synchronous JavaScript that runs with the author's code, inside the sandbox and its limits: no step, no
// journal, no host function that could be abused. A CorDapp that imports none of it carries none of it in its bundle.

export { type AuthorMerkleProof, merkle } from "./author-merkle.ts";
export { type CompositeKey, compositeKeys } from "./composite-keys.ts";
export { type DigestAlgorithm, digest } from "./digest.ts";
export { publicKeys } from "./public-keys.ts";
export type { SchemeName, SignatureSpec } from "./signature-specs.ts";
export { signatures } from "./signatures.ts";
export { type TransactionSignature, transactionSignatures } from "./transaction-signatures.ts";
