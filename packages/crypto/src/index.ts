export {
  type Judgement,
  judgeChain,
  parseCertificates,
  parseChain,
  pemOf,
  signerSummaryHash,
  subjectOf,
} from "./certificates.ts";
export { signDetached, verifyDetached } from "./cms.ts";
export { type CompositeKey, composeKeys, decomposeKey, isFulfilledBy, leafKeys } from "./composite-key.ts";
export { hmacSha256, holdingIdentity, secureHashOf, sha256 } from "./digest.ts";
export { type Credential, createSelfSigned, credentialPem, issueCertificate, parseCredential } from "./issuing.ts";
export { memoryKeyStore } from "./key.memory.ts";
export { keyStore } from "./key.store.ts";
export { KeyRing } from "./key-ring.store.ts";
export { type KeyCategory, type KeyNames, type KeyStore, parseCategory, type SigningKey } from "./key-store.ts";
export {
  batchLeaf,
  batchTop,
  batchTrees,
  componentNonce,
  LEDGER_DIGESTS,
  type LedgerDigest,
  type LedgerHashes,
  ledgerHashes,
  type MerkleProof,
} from "./merkle.ts";
export {
  DEFAULT_SCHEME,
  generateKeyPair,
  type KeyPair,
  keyIdOf,
  parseScheme,
  publicKeyText,
  SCHEMES,
  type SchemeName,
  type SignatureSpec,
  type SignedBytes,
  schemeOf,
  sign,
  signSync,
  verify,
  verifyAll,
  verifySync,
} from "./schemes.ts";
export { type BootKey, generateBootKey, openSealed, sealTo } from "./sealed.ts";
export { decryptSecret, type EncryptedSecret, encryptSecret, parseSecret } from "./secrets.ts";
export { deriveRoot, type RootKey } from "./wrapping.ts";
