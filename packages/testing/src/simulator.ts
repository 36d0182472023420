// The machinery of the kit, for the engine's simulator: everything below the author's face.

export { type Chance, integerBelow, seeded } from "./chance.ts";
export { type Faults, NO_FAULTS, randomFaults } from "./faults.ts";
export { type MemberPlan, type Membership, type NotaryPlan, ONE_NOTARY, type Party } from "./members.ts";
export { VERDICT_KEY } from "./roles.ts";
export { allFlows, isOver, memoryStorage, type Storage } from "./storage.ts";
export { type LogLine, type Place, World, type WorldOptions } from "./world.ts";
