// What a benchmark says: metrics, as JSON and as lines.

export interface Result {
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly p50_ms?: number;
  readonly p99_ms?: number;
  readonly pss_mb?: number;
  /** The better of the two that were measured beside us, and how many times as many we do as it. */
  readonly peer?: string;
  readonly ratio?: number;
  /** The most that the machine allows of what this metric rests on. */
  readonly ceiling?: number;
  /** Of the ceiling, what this metric uses. */
  readonly share?: number;
}

export const round = (value: number): number => Math.round(value * 100) / 100;

export function line({ metric, value, unit, p50_ms, p99_ms, ceiling, share, peer, ratio }: Result): string {
  const latency = p50_ms === undefined ? "" : `   p50 ${p50_ms} ms, p99 ${p99_ms} ms`;
  const of = share === undefined ? "" : `   ${Math.round(share * 100)} % of what the machine allows (${ceiling}/s)`;
  const beside = peer === undefined ? "" : `   ${ratio} times ${peer}`;
  return `${metric.padEnd(30)}${String(value).padStart(10)} ${unit}${latency}${of}${beside}`;
}
