// What the sample files of the example must come to, worked out from the files alone.
//
// This shares nothing with the import or with the CorDapp: another way to read the rows, the platform's own list of
// currencies, sums in minor units. So that when both agree, both are right.

/** What one company owes and is owed in one currency, in the currency's own way of writing. */
export interface Position {
  readonly company: string;
  readonly currency: string;
  readonly owes: string;
  readonly owed: string;
}

export interface Expected {
  /** Sorted by company, then currency. */
  readonly positions: readonly Position[];
  /** Data rows of each file, from 1, that must be refused. */
  readonly refusedObligations: ReadonlySet<number>;
  readonly refusedSettlements: ReadonlySet<number>;
}

interface Owed {
  readonly debtor: string;
  readonly creditor: string;
  readonly currency: string;
  units: bigint;
}

/** `companies` are full names; `today` is an ISO day. */
export function expectedFrom(
  files: { readonly obligations: string; readonly settlements: string },
  companies: readonly string[],
  today: string,
): Expected {
  const standing = new Map<string, Owed>();
  const refusedObligations = new Set<number>();
  rowsOf(files.obligations).forEach((fields, at) => {
    const owed = readObligation(fields, companies, today);
    const key = `${fields[1]}/${fields[0]}`;
    if (owed === undefined || standing.has(key)) refusedObligations.add(at + 1);
    else standing.set(key, owed);
  });
  const refusedSettlements = new Set<number>();
  rowsOf(files.settlements).forEach(([id, debtor, amount], at) => {
    const owed = standing.get(`${debtor}/${id}`);
    const units = owed === undefined ? undefined : amount === "" ? owed.units : unitsOf(amount ?? "", owed.currency);
    if (owed === undefined || units === undefined || units > owed.units || owed.units === 0n) refusedSettlements.add(at + 1);
    else owed.units -= units;
  });
  return { positions: positionsOf([...standing.values()]), refusedObligations, refusedSettlements };
}

function readObligation(fields: readonly string[], companies: readonly string[], today: string): Owed | undefined {
  const [id, debtor, creditor, amount, currency, dueDate] = fields;
  if (fields.length !== 6 || !id || !debtor || !creditor || !amount || !currency || !dueDate) return undefined;
  if (!companies.includes(debtor) || !companies.includes(creditor) || debtor === creditor) return undefined;
  const day = new Date(`${dueDate}T00:00:00Z`);
  if (Number.isNaN(day.getTime()) || day.toISOString().slice(0, 10) !== dueDate || dueDate < today) return undefined;
  const units = unitsOf(amount, currency);
  return units === undefined ? undefined : { debtor, creditor, currency, units };
}

/** A line split at the commas outside quotation marks. */
function rowsOf(text: string): readonly (readonly string[])[] {
  const [, ...lines] = text.split("\n").filter((line) => line.trim() !== "");
  return lines.map((line) => [...line.matchAll(/(?:^|,)(?:"([^"]*)"|([^,]*))/g)].map(([, quoted, bare]) => quoted ?? bare ?? ""));
}

function unitsOf(amount: string, currency: string): bigint | undefined {
  const decimals = decimalsOf(currency);
  const [whole, fraction = "", more] = amount.split(".");
  if (decimals === undefined || more !== undefined || !/^\d+$/.test(`${whole}${fraction}`) || fraction.length > decimals) return undefined;
  const units = BigInt(whole + fraction.padEnd(decimals, "0"));
  return units > 0n ? units : undefined;
}

function decimalsOf(currency: string): number | undefined {
  if (!Intl.supportedValuesOf("currency").includes(currency)) return undefined;
  return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits;
}

function positionsOf(standing: readonly Owed[]): readonly Position[] {
  const totals = new Map<string, { company: string; currency: string; owes: bigint; owed: bigint }>();
  const total = (company: string, currency: string) => {
    const key = `${company}\n${currency}`;
    const known = totals.get(key) ?? { company, currency, owes: 0n, owed: 0n };
    totals.set(key, known);
    return known;
  };
  for (const { debtor, creditor, currency, units } of standing) {
    if (units === 0n) continue; // Settled in full: it stands no more.
    total(debtor, currency).owes += units;
    total(creditor, currency).owed += units;
  }
  return sortPositions(
    [...totals.values()].map(({ company, currency, owes, owed }) => ({
      company,
      currency,
      owes: decimalText(owes, currency),
      owed: decimalText(owed, currency),
    })),
  );
}

function decimalText(units: bigint, currency: string): string {
  const decimals = decimalsOf(currency) ?? 0;
  const digits = units.toString().padStart(decimals + 1, "0");
  return decimals === 0 ? digits : `${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

export const sortPositions = (positions: readonly Position[]): readonly Position[] =>
  [...positions].sort((a, b) => a.company.localeCompare(b.company) || a.currency.localeCompare(b.currency));

/** Where the ledger and the file differ, a sentence each. */
export function differences(ledger: readonly Position[], expected: readonly Position[]): readonly string[] {
  const keyOf = ({ company, currency }: Position) => `${company} in ${currency}`;
  const of = (positions: readonly Position[]) => new Map(positions.map((each) => [keyOf(each), each]));
  const [here, there] = [of(ledger), of(expected)];
  return [...new Set([...here.keys(), ...there.keys()])].flatMap((key) => {
    const text = (each: Position | undefined) => (each === undefined ? "nothing" : `owes ${each.owes}, is owed ${each.owed}`);
    const [found, wanted] = [text(here.get(key)), text(there.get(key))];
    return found === wanted ? [] : [`${key}: by the ledger ${found}; by the file ${wanted}`];
  });
}
