// The verification role: says whether a transaction is valid, under a MAC that the vault believes. It holds contract code in
// isolates, the key of that MAC, and nothing else.
//
// Guarantees: what it is asked is decoded strictly and its id computed again; contracts run in isolates that flows never
// enter; a contract that hits a limit, here or in its own code, gives an error and no verdict: not verified is not invalid.

import { BowlineError, type Data, type Log, type SecureHash, type ShortHash } from "@bowline/base";
import { type SignedBytes, verifyAll } from "@bowline/crypto";
import {
  type ContractCall,
  completeVerification,
  concludeVerification,
  decodeContractResult,
  decodeSigned,
  packagesOf,
  planVerification,
  signedBytesOf,
} from "@bowline/ledger";
import { checkDependencies, decodeGroupParameters, dependenciesMac, signatureState } from "@bowline/ledger/upkeep";
import type { CordappManifest } from "@bowline/sdk";
import type { Answering } from "../calls.ts";
import type { Granted } from "../grants.ts";
import { fromWire } from "../sandbox/answers.ts";
import { limitHit } from "../sandbox/isolate.ts";
import { createIsolatePool, type IsolatePool } from "../sandbox/isolate-pool.ts";
import type { VerificationService } from "../services.ts";

export function createVerificationRole(options: {
  readonly db: Granted<"verification">["db"];
  /** Shared with persistence, which believes what is signed with it. */
  readonly verdictKey: Uint8Array;
  readonly log: Log;
  /** Author code holds a thread for good: see `IsolateOptions`. */
  readonly onUnstoppable: () => void;
}): { readonly service: Answering<VerificationService>; close(): Promise<void> } {
  const { db, verdictKey, log, onUnstoppable } = options;
  const isolates = createIsolatePool({ bundle: (fileChecksum) => db.bundle({ fileChecksum }), log, onUnstoppable });
  const manifests = new Map<SecureHash, Promise<CordappManifest>>();
  /** Packages never change: what was read once is kept. */
  const manifest = (fileChecksum: SecureHash): Promise<CordappManifest> => {
    let known = manifests.get(fileChecksum);
    if (known === undefined) {
      known = db.bundle({ fileChecksum }).then((source) => source.manifest);
      manifests.set(fileChecksum, known);
      known.catch(() => manifests.delete(fileChecksum)); // The next transaction asks again.
    }
    return known;
  };
  return {
    service: {
      async verify({ vnode, transaction, inputs, references, groupParameters, verified }) {
        const signed = decodeSigned(transaction);
        const signatures = verifySignatures(signedBytesOf(signed.transaction, signed.signatures));
        if (verified !== null) return completeVerification(signed, verified, await signatures, verdictKey);
        const installed = await manifestsOf(packagesOf(signed), manifest);
        const plan = planVerification(signed, { inputs, references, groupParameters }, installed);
        const results = await Promise.all(plan.calls.map((call) => runContracts(isolates, vnode, call)));
        return concludeVerification(plan, results, await signatures, verdictKey);
      },
      dependencies: async ({ proving, dependencies, groupParameters }) => ({
        ...checkDependencies(proving, dependencies, decodeGroupParameters(groupParameters)),
        mac: dependenciesMac(verdictKey, dependencies),
      }),
      signatures: ({ transactions }) =>
        Promise.all(
          transactions.map(decodeSigned).map(async ({ transaction, signatures }) => {
            const valid = await verifySignatures(signedBytesOf(transaction, signatures));
            return signatureState(transaction, signatures, valid);
          }),
        ),
    },
    close: () => isolates.close(),
  };
}

/** In the order given; what cannot be a signature is none. */
async function verifySignatures(signed: readonly (SignedBytes | undefined)[]): Promise<readonly boolean[]> {
  const valid = await verifyAll(signed.filter((one) => one !== undefined));
  let next = 0;
  return signed.map((one) => one !== undefined && valid[next++] === true);
}

async function manifestsOf(
  packages: readonly { readonly fileChecksum: SecureHash }[],
  manifest: (checksum: SecureHash) => Promise<CordappManifest>,
): Promise<ReadonlyMap<SecureHash, CordappManifest>> {
  const found = await Promise.all(
    packages.map(async ({ fileChecksum }) => {
      try {
        return [fileChecksum, await manifest(fileChecksum)] as const;
      } catch (cause) {
        if (cause instanceof BowlineError && cause.kind === "notFound") return undefined; // The plan says which is missing.
        throw cause;
      }
    }),
  );
  return new Map(found.filter((one) => one !== undefined));
}

/** How V8 says that the stack, the heap or a value has outgrown what it allows; SES and our own bounds speak likewise. */
const OUT_OF_BOUNDS = new Set(["RangeError", "InternalError"]);

async function runContracts(
  isolates: IsolatePool,
  vnode: ShortHash,
  { cpk, contracts, transaction, outputs }: ContractCall,
): Promise<ReturnType<typeof decodeContractResult>> {
  const isolate = await isolates.contracts(cpk);
  const answer = await isolate.check({
    vnode,
    transaction: transaction as unknown as Data,
    contracts,
    outputs: outputs.map(({ type, data }) => ({ type, data })),
  });
  if ("thrown" in answer)
    throw new BowlineError(
      "internal",
      "verification.packageFailed",
      `Package ${cpk} could not say what it thinks of a transaction: ${answer.thrown}`,
      {
        package: cpk,
        reason: answer.thrown,
      },
    );
  const result = decodeContractResult(fromWire(answer.ok, "integers"));
  // Where the stack ends differs from machine to machine, and so it must not decide what is valid.
  if (result.violations.some(({ failure }) => OUT_OF_BOUNDS.has(failure.type))) throw limitHit(cpk, "bounds");
  return result;
}
