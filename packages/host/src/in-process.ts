// What the test kit takes of the shell, so that a flow's syscalls are answered there as they are here. It loads neither
// database, nor server, nor sandbox.

export type { Directory, Member } from "./directory.ts";
export { createNotaryQueue, type NotaryQueue } from "./roles/notary-queue.ts";
export { signingOf } from "./roles/signing.ts";
export type { CpiInfo, VirtualNodeInfo } from "./services.ts";
export { createFlowServices, type SyscallRoles } from "./syscalls.ts";
