// What runs inside an isolate, between the bundle and the host. It never runs here: only the text of these
// functions is used, so that each may name nothing outside itself.
//
// Guarantees: whatever the bundle answers leaves as one string, made while the run's time limit counts. Getters, proxies and
// classes of author code therefore run in here, in time, or not at all; the host parses text and never touches an object. Where a
// step hands over many bytes the string says only how many, and the host takes them piece by piece, as fresh copies.
// Each virtual node has the bundle's modules to itself, evaluated in a compartment of its own: what code of one keeps, code of
// another never meets, and what it says of another's flow is not heard.

import type { ContractViolation, CordappBundle, Delivery, FiberStart, StateDescription } from "@bowline/sdk";
import type { Answers, Apart } from "./inside-answers.ts";

/** Answers are JSON text in the notation of `answers.ts`. */
export interface Inside {
  manifest(): string;
  activate(starts: readonly FiberStart[], deliveries: readonly Delivery[]): string;
  /** What fibers report, and the bytes that wait to be taken apart from it. */
  collect(): string;
  /** The next piece of such bytes; null where there is none. The last one forgets them. */
  piece(id: number, from: number): Uint8Array | null;
  drop(fiber: string): void;
  check(
    domain: string,
    transaction: never,
    contracts: readonly string[],
    outputs: readonly { readonly type: string; readonly data: never }[],
  ): string;
}

type Bundle = ReturnType<CordappBundle["handOver"]>;

/** What code of one virtual node lives in. */
interface Domain {
  readonly bundle: Bundle;
  readonly fibers: Set<string>;
}

export interface Domains {
  readonly first: Bundle;
  of(vnode: string): Domain;
  /** Of a fiber that lives here. */
  home(fiber: string): Domain | undefined;
  settle(fiber: string, domain: Domain): void;
  forget(fiber: string): void;
}

/** `evaluate` gives the bundle's modules anew, so that nothing of them is anybody else's; `keptMax` stay so, and all that have flows. */
export function domainsWithin(evaluate: () => Bundle, keptMax: number): Domains {
  /** By virtual node, the one that was used longest ago first. */
  const domains = new Map<string, Domain>();
  const homes = new Map<string, Domain>();
  const first = evaluate();
  let spare: Bundle | undefined = first;
  return {
    first,
    of(vnode) {
      const domain = domains.get(vnode) ?? { bundle: spare ?? evaluate(), fibers: new Set<string>() };
      spare = undefined;
      domains.delete(vnode);
      domains.set(vnode, domain);
      for (const [other, { fibers }] of domains) {
        if (domains.size <= keptMax) break;
        if (fibers.size === 0 && other !== vnode) domains.delete(other);
      }
      return domain;
    },
    home: (fiber) => homes.get(fiber),
    settle(fiber, domain) {
      homes.set(fiber, domain);
      domain.fibers.add(fiber);
    },
    forget(fiber) {
      homes.get(fiber)?.fibers.delete(fiber);
      homes.delete(fiber);
    },
  };
}

export function inside(domains: Domains, { text, reportText, attempt }: Answers, apart: Apart): Inside {
  /** Whose code has run since the last `collect`. */
  const touched = new Set<Domain>();

  const begin = (start: FiberStart): void => {
    const domain = domains.of(`${start.identity.groupId} ${start.identity.me}`);
    domains.settle(start.fiber, domain);
    touched.add(domain);
    domain.bundle.start(start);
  };
  const deliver = (deliveries: readonly Delivery[]): void => {
    const parts = new Map<Domain, Delivery[]>();
    for (const delivery of deliveries) {
      const domain = domains.home(delivery.fiber);
      if (domain === undefined) throw new TypeError("there is no such fiber here");
      const part = parts.get(domain) ?? [];
      parts.set(domain, part);
      part.push(delivery);
    }
    for (const [domain, part] of parts) {
      touched.add(domain);
      domain.bundle.deliver(part);
    }
  };
  /** Each by itself, so that one flow's unsayable answer is that flow's failure alone. */
  const reportsOf = (domain: Domain): string[] =>
    [...domain.bundle.collect()].flatMap((report) => {
      const fiber = String(report.fiber);
      // What one virtual node's code says of another's flow is not heard.
      if (domains.home(fiber) !== domain) return [];
      const written = `{"fiber":${JSON.stringify(fiber)},"report":${attempt(() => reportText(report))}}`;
      if (report.finished !== undefined) domains.forget(fiber);
      return [written];
    });
  return {
    manifest: () => attempt(() => text(domains.first.manifest)),
    activate: (starts, deliveries) =>
      attempt(() => {
        for (const start of starts) begin(start);
        deliver(deliveries);
        return "null";
      }),
    collect: () =>
      attempt(() => {
        const reports = [...touched].flatMap(reportsOf);
        touched.clear();
        return `{"reports":[${reports.join(",")}],"apart":${JSON.stringify(apart.announce())}}`;
      }),
    piece: apart.piece,
    drop: (fiber) => {
      const domain = domains.home(fiber);
      domains.forget(fiber);
      domain?.bundle.drop(fiber);
    },
    check: (vnode, transaction, contracts, outputs) =>
      attempt(() => {
        const { bundle } = domains.of(vnode);
        const violations: ContractViolation[] = [...bundle.verify(transaction, contracts)];
        const descriptions: StateDescription[] = violations.length === 0 ? outputs.map((output) => bundle.describeState(output)) : [];
        return text({ violations, outputs: descriptions });
      }),
  };
}
