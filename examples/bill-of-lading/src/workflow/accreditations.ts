// A registry accredits carriers, and revokes what it has said.

import { FlowError, flow, responder, transaction } from "@bowline/sdk";
import * as Type from "typebox";
import { Accreditation, AccreditationContract, Day, endOfDay } from "../contract/accreditation.ts";
import { AGREEMENT_MS, chooseNotary, MemberName, myself, partyNamed } from "./parties.ts";

const PROTOCOL = { name: "com.example.lading.accredit", versions: [1] };

/** Started by the registry. */
export const AccreditCarrier = flow({
  name: "com.example.lading.AccreditCarrier",
  startable: true,
  initiates: PROTOCOL,
  input: Type.Object({ carrier: MemberName("The carrier's X.500 name."), validUntil: Day }, { additionalProperties: false }),
  output: Type.Object({ transaction: Type.String() }),
  async call(context, { carrier: name, validUntil }) {
    const [registry, carrier, notary, now] = await Promise.all([
      myself(context),
      partyNamed(context, name),
      chooseNotary(context),
      context.now(),
    ]);
    if (carrier.name === context.me) throw new FlowError("lading.ownRegistry", "Nobody accredits itself.");
    const end = endOfDay(validUntil);
    if (end === undefined || end <= now) throw new FlowError("lading.dayInvalid", `${validUntil} is no day to come.`, { day: validUntil });
    const proposal = transaction()
      .notary(notary.name)
      .until(now + AGREEMENT_MS)
      .output(Accreditation, { registry, carrier, validUntil })
      .command(AccreditationContract, "Accredit")
      .signedBy(registry.key)
      .build();
    const session = await context.initiate(carrier.name);
    const final = await context.ledger.finalize(await context.ledger.sign(proposal), [session]);
    return { transaction: final.id };
  },
});

/** Run by the carrier, who need not sign. */
export const NoteAccreditation = responder({
  name: "com.example.lading.NoteAccreditation",
  answers: PROTOCOL,
  async call(context, session) {
    await context.ledger.receiveFinality(session, ({ commands, outputs }) => {
      const [said] = outputs.map(({ state }) => state.data as Type.Static<typeof Accreditation.schema>);
      if (
        commands.some(({ type }) => type !== "Accredit") ||
        said?.registry.name !== session.counterparty ||
        said.carrier.name !== context.me
      )
        throw new FlowError("lading.refused", `This is not an accreditation of ${context.me} by ${session.counterparty}.`);
    });
  },
});

/** Started by the registry. The carrier is not asked: at the notary, what it refers to is there no more. */
export const RevokeAccreditation = flow({
  name: "com.example.lading.RevokeAccreditation",
  startable: true,
  input: Type.Object({ carrier: MemberName("The carrier's X.500 name.") }, { additionalProperties: false }),
  output: Type.Object({ transaction: Type.String() }),
  async call(context, { carrier }) {
    const where = { "carrier.name": carrier, "registry.name": context.me };
    const { states } = await context.vault.find(Accreditation, { where });
    const [first] = states;
    if (first === undefined) throw new FlowError("lading.notAccredited", `${context.me} has not accredited ${carrier}.`, { carrier });
    const proposal = transaction()
      .notary(first.notary)
      .until((await context.now()) + AGREEMENT_MS)
      .input(...states)
      .command(AccreditationContract, "Revoke")
      .signedBy(...states.map(({ state }) => state.data.registry.key))
      .build();
    const final = await context.ledger.finalize(await context.ledger.sign(proposal), []);
    return { transaction: final.id };
  },
});
