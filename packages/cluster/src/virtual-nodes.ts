// The creation and the upgrade of a virtual node, as states of a durable operation.
//
// ACCEPTED -taken up-> IN_PROGRESS -all steps done-> COMPLETED.  IN_PROGRESS -a step cannot be done-> VALIDATION_FAILED |
// MIGRATIONS_FAILED | UNEXPECTED_FAILURE.  Whoever starts after a crash takes up what is unfinished: every step finds what
// it has already done.

import { BowlineError, type HoldingIdentity, type Instant, type SecureHash, type ShortHash, type X500Name } from "@bowline/base";

export type OperationState =
  | "ACCEPTED"
  | "IN_PROGRESS"
  | "COMPLETED"
  | "VALIDATION_FAILED"
  | "MIGRATIONS_FAILED"
  | "UNEXPECTED_FAILURE"
  | "ABORTED";

export type PublicStatus = "ACCEPTED" | "IN_PROGRESS" | "SUCCEEDED" | "FAILED" | "ABORTED";

export type Operation = {
  readonly requestId: string;
  readonly state: OperationState;
  readonly errors: string | null;
  readonly updatedAt: Instant;
} & (
  | { readonly type: "CREATE_VIRTUAL_NODE"; readonly data: CreationRequest }
  | { readonly type: "UPGRADE_VIRTUAL_NODE"; readonly data: UpgradeRequest }
);

/** From one version of its CPI to another, by their files. */
export interface UpgradeRequest {
  readonly vnode: ShortHash;
  readonly from: SecureHash;
  readonly to: SecureHash;
}

/** All that the creation needs, so that it can be taken up by another process. */
export interface CreationRequest {
  readonly x500Name: X500Name;
  readonly groupId: string;
  readonly cpiFileChecksum: SecureHash;
}

export interface OperationStatus {
  readonly requestId: string;
  readonly operation: string;
  readonly status: PublicStatus;
  readonly lastUpdatedTimestamp: Instant;
  readonly processingStage: string | null;
  readonly errorReason: string | null;
  readonly resourceId: string | null;
}

const PUBLIC: Readonly<Record<OperationState, PublicStatus>> = {
  ACCEPTED: "ACCEPTED",
  IN_PROGRESS: "IN_PROGRESS",
  COMPLETED: "SUCCEEDED",
  VALIDATION_FAILED: "FAILED",
  MIGRATIONS_FAILED: "FAILED",
  UNEXPECTED_FAILURE: "FAILED",
  ABORTED: "ABORTED",
};

const STAGE: Readonly<Partial<Record<OperationState, string>>> = { VALIDATION_FAILED: "Validation", MIGRATIONS_FAILED: "Migration" };

/** As REST shows it. */
export function operationStatus(operation: Operation): OperationStatus {
  const status = PUBLIC[operation.state];
  return {
    requestId: operation.requestId,
    operation: operation.type,
    status,
    lastUpdatedTimestamp: operation.updatedAt,
    processingStage: STAGE[operation.state] ?? null,
    errorReason: status === "FAILED" ? operation.errors : null,
    resourceId: status === "SUCCEEDED" ? nodeOf(operation) : null,
  };
}

const nodeOf = (operation: Operation): string => (operation.type === "CREATE_VIRTUAL_NODE" ? operation.requestId : operation.data.vnode);

export const isUnfinished = (state: OperationState): boolean => state === "ACCEPTED" || state === "IN_PROGRESS";

/** The state in which a thrown error leaves the operation. */
export function failureState(error: unknown): OperationState {
  if (!(error instanceof BowlineError)) return "UNEXPECTED_FAILURE";
  if (error.code.startsWith("migration.")) return "MIGRATIONS_FAILED";
  return error.kind === "internal" || error.kind === "unavailable" ? "UNEXPECTED_FAILURE" : "VALIDATION_FAILED";
}

/** Throws `vnode.exists` or `vnode.inProgress` where this identity may not be created now, and `vnode.hashCollision`. */
export function checkCreation(
  wanted: HoldingIdentity,
  there: { readonly fullHash: string; readonly exists: boolean; readonly operation: OperationState | undefined } | undefined,
): void {
  if (there === undefined) return;
  const id = wanted.shortHash;
  if (there.fullHash !== wanted.fullHash)
    throw new BowlineError(
      "conflict",
      "vnode.hashCollision",
      `Another identity of this cluster has the short hash ${id}. Choose another name.`,
      { id },
    );
  if (there.exists)
    throw new BowlineError("conflict", "vnode.exists", `${wanted.x500Name} has a virtual node in group ${wanted.groupId} already: ${id}.`, {
      id,
    });
  if (there.operation !== undefined && isUnfinished(there.operation))
    throw new BowlineError(
      "conflict",
      "vnode.inProgress",
      `The virtual node ${id} is just being created. Ask for the status of request ${id}.`,
      { id },
    );
}
