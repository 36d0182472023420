import { busContract } from "./bus.contract.ts";
import { createMemoryBus } from "./memory-bus.ts";
import { systemClock } from "./system-clock.ts";

busContract("memory", async () => createMemoryBus(systemClock));
