export { days, hours, minutes, seconds } from "./durations.ts";
export type { Faults } from "./faults.ts";
export { createNetwork, type JournalStep, type Network, type NetworkNode, type NetworkOptions, type StartOptions } from "./network.ts";
export type { RunningFlow } from "./running-flow.ts";
export { crashEverywhere, type SimulationOptions, simulate } from "./simulate.ts";
export type { LogLine } from "./world.ts";
