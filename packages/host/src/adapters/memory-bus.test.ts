import { busContract } from "./bus.contract.ts";
import { createMemoryBus } from "./memory-bus.ts";
import { systemClock } from "./system.ts";

busContract("memory", async () => createMemoryBus(systemClock));
