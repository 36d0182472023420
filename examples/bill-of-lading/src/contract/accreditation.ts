// A registry says that a carrier may issue bills of lading, up to a day. Bills refer to it as it is now; nobody consumes it but
// the registry, which so revokes it.

import { requireThat, state } from "@bowline/sdk";
import { constrainedContract, issuable, Party, rulesFor } from "@bowline/sdk/contracts";
import * as Type from "typebox";

/** A day of the calendar, `2035-06-30`. It ends at midnight UTC. */
export const Day = Type.String({
  pattern: "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$",
  description: "A day such as 2035-06-30.",
});

const DAY_MS = 86_400_000;

/** When the day is over, in milliseconds since 1970; undefined for days that no calendar has, such as 30 February. */
export function endOfDay(day: string): number | undefined {
  const start = Date.parse(`${day}T00:00:00Z`);
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 10) !== day) return undefined;
  return start + DAY_MS;
}

export const Accreditation = state({
  name: "com.example.lading.Accreditation",
  version: 1,
  contract: "com.example.lading.AccreditationContract",
  schema: Type.Object({ registry: Party, carrier: Party, validUntil: Day }, { additionalProperties: false }),
  participants: ({ registry, carrier }) => [registry.key, carrier.key],
});

export const AccreditationContract = constrainedContract({
  name: "com.example.lading.AccreditationContract",
  rules: [
    rulesFor(Accreditation, {
      commands: {
        Accredit: {
          change: "create",
          verify({ created }) {
            for (const { state } of created) {
              const { registry, carrier, validUntil } = state.data;
              requireThat(registry.name !== carrier.name && registry.key !== carrier.key, "nobody accredits itself");
              requireThat(endOfDay(validUntil) !== undefined, "the last day is one of the calendar");
            }
          },
        },
        Revoke: "delete",
      },
      constraints: [issuable(({ registry }) => registry.key)],
    }),
  ],
});
