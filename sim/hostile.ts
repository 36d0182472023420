// A member that lies to itself: its contracts find nothing wrong, and so it proposes, signs and records what breaks every rule.
// Whoever else hears of that must not believe it.

import type { SecureHash } from "@bowline/base";
import { verifySync } from "@bowline/crypto";
import type { SyscallRoles } from "@bowline/host/syscalls";
import { concludeVerification, decodeSigned, planVerification, signedBytesOf } from "@bowline/ledger";
import { type Membership, VERDICT_KEY } from "@bowline/testing/world";

export function blind(roles: SyscallRoles, { packages }: Membership): SyscallRoles {
  const manifests = new Map([...packages].map(([checksum, { manifest }]) => [checksum, manifest]));
  return {
    ...roles,
    verification: {
      ...roles.verification,
      async verify(request) {
        const honest = await roles.verification.verify(request);
        if (honest.valid) return honest;
        const signed = decodeSigned(request.transaction);
        const plan = planVerification(signed, request, manifests);
        if (plan.violations.length > 0) return honest;
        const found = plan.calls.map(({ cpk, outputs }) => ({
          violations: [],
          outputs: outputs.flatMap(({ type, data }) => packages.get(cpk as SecureHash)?.describeState({ type, data }) ?? []),
        }));
        const valid = signedBytesOf(signed.transaction, signed.signatures).map((item) => item !== undefined && verifySync(item));
        return concludeVerification(plan, found, valid, VERDICT_KEY);
      },
    },
  };
}
