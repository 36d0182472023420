// What whoever selects tokens needs of the ledger: the token-selection role, and whoever asks it.

export { tokenStore } from "./tokens.store.ts";
export {
  type ClaimOutcome,
  type ClaimRequest,
  checkedFilter,
  claimRequest,
  type PoolBalance,
  type TokenBalance,
  type TokenFilter,
  type TokenStore,
} from "./tokens.ts";
