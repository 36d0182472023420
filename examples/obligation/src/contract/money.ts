// Money as companies write it: an exact decimal, and a currency that says how many decimals there are.

import { decimal } from "@bowline/sdk";

/** Active currencies of ISO 4217 by the decimals of their minor unit; special-purpose codes (XAU, XTS, …) are no money. */
const CURRENCIES: Readonly<Record<number, string>> = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  2: `AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU
    CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS
    KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB
    PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD
    TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG`,
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};

const DECIMALS: ReadonlyMap<string, number> = new Map(
  Object.entries(CURRENCIES).flatMap(([decimals, codes]) => codes.split(/\s+/).map((code) => [code, Number(decimals)] as const)),
);

/** How many decimals `currency` has; undefined when ISO 4217 knows no such currency. */
export const decimalsOf = (currency: string): number | undefined => DECIMALS.get(currency);

/** Why this is no amount that a company can owe: the end of a sentence that begins with it. Undefined when it is one. */
export function problemWith(amount: string, currency: string): string | undefined {
  const decimals = decimalsOf(currency);
  if (decimals === undefined) return `is in "${currency}", which is no currency of ISO 4217`;
  if (!decimal.isPositive(amount)) return "is not more than zero";
  if (decimal.parse(decimal.canonical(amount)).scale > decimals) return `has more than the ${decimals} decimals of ${currency}`;
  return undefined;
}

/** The one way to write an amount that has no problem: with all decimals of its currency, `120.50` EUR. */
export const written = (amount: string, currency: string): string => decimal.fixed(amount, decimalsOf(currency) ?? 0);
