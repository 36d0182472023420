import type { Data } from "@bowline/base";
import { createMemoryFlowStore } from "./flow.memory.ts";
import { flowStoreContract, judgeVaultWrite } from "./store.contract.ts";

flowStoreContract("memory", async () => {
  const kept: Data[] = [];
  const applyVaultWrites = (_flowId: string, writes: readonly Data[]): void => {
    for (const write of writes) judgeVaultWrite(write);
    kept.push(...writes);
  };
  return { store: createMemoryFlowStore({ applyVaultWrites }), vault: async () => kept };
});
