// The upgrade of a virtual node to another version of its CPI: what may follow what.

import { BowlineError, badRequest } from "@bowline/base";

interface Version {
  readonly name: string;
  readonly version: string;
  readonly signerSummaryHash: string;
  readonly fileChecksum: string;
  readonly groupId: string;
}

/** Throws `vnode.inProgress`, `vnode.cpiCurrent` or `vnode.cpiOther`. An older version may follow a newer one. */
export function checkUpgrade(operationInProgress: string | null, current: Version, target: Version): void {
  const details = { cpiName: target.name, cpiVersion: target.version };
  if (operationInProgress !== null)
    throw new BowlineError(
      "conflict",
      "vnode.inProgress",
      `The virtual node is in the middle of another operation: ${operationInProgress}.`,
      {},
    );
  if (current.fileChecksum === target.fileChecksum)
    throw new BowlineError("conflict", "vnode.cpiCurrent", `The virtual node runs ${target.name} ${target.version} already.`, details);
  const other = (["name", "signerSummaryHash", "groupId"] as const).find((fact) => current[fact] !== target[fact]);
  if (other !== undefined)
    throw badRequest(
      "vnode.cpiOther",
      `${target.name} ${target.version} is no version of ${current.name} as it is here: its ${WORDS[other]} is another.`,
      details,
    );
}

const WORDS = { name: "name", signerSummaryHash: "summary of signers", groupId: "group" } as const;
