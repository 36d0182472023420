import { testEntities } from "./entities.contract.ts";
import { memoryEntities } from "./entities.memory.ts";

testEntities("in memory", async () => {
  const entities = memoryEntities();
  return { apply: async (writes) => entities.prepare(writes)(), read: (read) => entities.read(read) };
});
