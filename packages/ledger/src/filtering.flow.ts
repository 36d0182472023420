// `ledger.filter`, `ledger.verifyFiltered` and `ledger.mergeFiltered`: what author code shows of transactions, and what it is shown.
// Filtering is the platform's, since it takes the salt; checking is, since it takes the notary's keys.

import { type Data, decode, decoder, encode } from "@bowline/base";
import { type FlowContext, FlowError } from "@bowline/sdk";
import type { RequiredShown } from "@bowline/sdk/filtered";
import Type from "typebox";
import { ask, platformFlow, takeBack } from "./asking.ts";
import {
  decodeFiltered,
  encodeFiltered,
  type FilteredTransaction,
  type FilterPolicy,
  filterTransaction,
  type RequiredParts,
  type ShownParts,
  verifyFiltered,
} from "./filter.ts";
import { decodeGroupParameters, notaryKeysOf, notaryOf } from "./group-parameters.ts";
import { Bytes, GROUP, nameOf, publicKeyOf } from "./leaves.ts";
import { GROUP_LEAVES_MAX, SIGNATURES_MAX } from "./limits.ts";
import { mergeFiltered } from "./partial-views.ts";
import { shownTransaction } from "./shown.ts";
import { checkSignatures, decodeSignature, encodeSignature, type TransactionSignature } from "./signatures.ts";
import { decodeSigned, type SignedTransaction } from "./transaction.ts";

const STRICT = { additionalProperties: false } as const;
const Places = Type.Union([
  Type.Literal("all"),
  Type.Literal("count"),
  Type.Array(Type.Integer({ minimum: 0 }), { maxItems: GROUP_LEAVES_MAX }),
]);
const Group = Type.Enum(["signatories", "inputs", "references", "outputs", "commands"]);

const readView = decoder(
  Type.Object({ filtered: Bytes, signatures: Type.Array(Bytes, { maxItems: SIGNATURES_MAX }) }, STRICT),
  "filtered transaction",
);

interface View {
  readonly filtered: FilteredTransaction;
  /** The notary's, where it has given its word. */
  readonly signatures: readonly TransactionSignature[];
}

function viewOf(bytes: Uint8Array): View {
  const { filtered, signatures } = readView(decode(bytes));
  return { filtered: decodeFiltered(filtered), signatures: signatures.map(decodeSignature) };
}

const handed = (id: string, { filtered, signatures }: View): Data => ({
  id,
  bytes: encode({ filtered: encodeFiltered(filtered), signatures: signatures.map(encodeSignature) }),
});

export const filter = platformFlow({
  name: "ledger.filter",
  input: Type.Object(
    {
      record: Type.Optional(Bytes),
      id: Type.Optional(Type.String()),
      show: Type.Object(
        {
          notary: Type.Optional(Places),
          signatories: Type.Optional(Places),
          inputs: Type.Optional(Places),
          references: Type.Optional(Places),
          outputs: Type.Optional(Places),
          commands: Type.Optional(Places),
        },
        STRICT,
      ),
    },
    STRICT,
  ),
  call: async (context, { record, id = "", show }) => {
    const { transaction, signatures } = record === undefined ? await recorded(context, id) : takeBack(record).signed;
    const filtered = filterTransaction(transaction, show as FilterPolicy);
    return handed(transaction.id, { filtered, signatures: signatures.filter(({ batch }) => batch !== undefined) });
  },
});

export const verifyShown = platformFlow({
  name: "ledger.verifyFiltered",
  input: Type.Object(
    {
      bytes: Bytes,
      complete: Type.Array(Type.Union([Group, Type.Literal("notary")])),
      counted: Type.Array(Group),
      accepted: Type.Boolean(),
    },
    STRICT,
  ),
  call: async (context, { bytes, accepted, ...required }) => {
    const { filtered, signatures } = viewOf(bytes);
    const parts = verifyFiltered(filtered, requiredParts(required));
    if (parts.groupId !== context.groupId) throw refused(`it is of group ${parts.groupId}`);
    if (accepted) await requireAccepted(context, parts, signatures);
    return shownTransaction(parts);
  },
});

export const mergeShown = platformFlow({
  name: "ledger.mergeFiltered",
  input: Type.Object({ views: Type.Array(Bytes, { minItems: 2, maxItems: 2 }) }, STRICT),
  call: async (_context, { views }) => {
    const [a, b] = views.map(viewOf) as [View, View];
    const filtered = mergeFiltered(a.filtered, b.filtered);
    return handed(verifyFiltered(filtered).id, { filtered, signatures: a.signatures.length > 0 ? a.signatures : b.signatures });
  },
});

function requiredParts({ complete = [], counted = [] }: Omit<RequiredShown, "accepted">): RequiredParts {
  return Object.fromEntries([...counted.map((name) => [name, "count"]), ...complete.map((name) => [name, "all"])]);
}

async function recorded(context: FlowContext, id: string): Promise<SignedTransaction> {
  const [row] = await ask(context, "vault.transactions", { ids: [id] });
  if (row === null || row === undefined || (row.status !== "V" && row.status !== "U"))
    throw new FlowError("vault.transactionUnknown", `This vault holds no transaction ${id} that could be shown.`);
  return decodeSigned(row.bytes);
}

/** The notary's word, under a key that it has or had. */
async function requireAccepted(
  context: FlowContext,
  { id, groups }: ShownParts,
  signatures: readonly TransactionSignature[],
): Promise<void> {
  const leaves = groups[GROUP.notary]?.leaves;
  const [name, key] = [leaves?.get(0), leaves?.get(1)];
  if (name === undefined || key === undefined) throw refused("its notary is not shown");
  const { bytes } = await ask(context, "membership.groupParameters", { hash: null });
  const listed = notaryOf(decodeGroupParameters(bytes), nameOf(name));
  const notaryKey = publicKeyOf(key);
  if (listed === undefined || !notaryKeysOf(listed).includes(notaryKey))
    throw refused(`its notary ${nameOf(name)} is not one of the group's`);
  const { notary } = checkSignatures({ id, notaryKey, signatories: [] }, signatures);
  if (notary?.kind !== "accepted") throw refused(`it is not shown that ${nameOf(name)} has accepted it`);
}

const refused = (reason: string) =>
  new FlowError("ledger.filteredInvalid", `Not a proof of parts of a transaction: ${reason}.`, { reason });
