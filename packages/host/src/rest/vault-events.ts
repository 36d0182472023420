// The states that come and go in a vault, as server-sent events. The id of an event is the position of its change, and positions
// are in the order of commits (`vault.store.ts`), so nothing is kept here for a client.
//
// Guarantees: whoever comes back with the last id it has, to this process or another, is told every change after it, each once
// and in order, however late a commit was and whichever worker made it; a client has an id before the first change, so
// that none is lost between two connections. A vault that a backup has brought back does not pretend to go on: 409.

import { followVault, HEARTBEAT, writeEvent, writeRetry } from "@bowline/api/events";
import type { Clock } from "@bowline/base";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { RestShell } from "./answers.ts";
import { HEARTBEAT_MS, lastEventOf, RETRY_MS, STREAM_MS_MAX, type Stream, type Streams } from "./event-streams.ts";
import { jsonOf } from "./flow-answers.ts";
import { inputReader, requireVirtualNode } from "./input.ts";

const CHANGES_PER_READ = 100;

export interface VaultEventsOptions {
  readonly shell: RestShell;
  readonly clock: Clock;
  readonly admit: (request: FastifyRequest, reply: FastifyReply) => Promise<void>;
  readonly streams: Streams;
}

export function serveVaultEvents(app: FastifyInstance, { shell, clock, admit, streams }: VaultEventsOptions): void {
  const read = inputReader(followVault, "");
  for (const version of followVault.versions)
    app.route({
      method: "GET",
      url: `/api/${version}${followVault.path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
      onRequest: admit,
      async handler(request, reply) {
        const { params, query } = (await read(request)) as {
          readonly params: { readonly holdingidentityshorthash: string };
          readonly query: { readonly type?: string; readonly lastEventId?: number };
        };
        const { holdingIdentity } = await requireVirtualNode(shell, params.holdingidentityshorthash);
        const last = lastEventOf(request, query.lastEventId) ?? null;
        const types = query.type === undefined ? {} : { types: [query.type] };
        const asked = { vnode: holdingIdentity.shortHash, ...types, limit: CHANGES_PER_READ };
        // Before the stream is open: a position that is none is refused like any other input.
        const first = await shell.services.persistence.vaultChanges({ ...asked, after: last });
        const stream = streams.open(request, reply);
        void follow(stream, clock, first, (after) => shell.services.persistence.vaultChanges({ ...asked, after, waitMs: HEARTBEAT_MS }))
          // The world may be down for a moment: the client comes back, and hears what it has missed.
          .catch(() => undefined)
          .finally(() => stream.end());
        return reply;
      },
    });
}

type Page = Awaited<ReturnType<RestShell["services"]["persistence"]["vaultChanges"]>>;

async function follow(stream: Stream, clock: Clock, first: Page, more: (after: number) => Promise<Page>): Promise<void> {
  const endAt = clock.now() + STREAM_MS_MAX;
  await stream.write(writeRetry(RETRY_MS) + positionEvent(first.changes.length > 0 ? undefined : first.next), clock);
  for (let page = first, told = first.next; stream.isOpen; page = await more(told)) {
    for (const change of page.changes) await stream.write(changeEvent(change), clock);
    if (page !== first && page.changes.length === 0) await stream.write(page.next > told ? positionEvent(page.next) : HEARTBEAT, clock);
    told = page.next;
    if (clock.now() >= endAt) return;
  }
}

const positionEvent = (position: number | undefined): string =>
  position === undefined ? "" : writeEvent({ id: String(position), type: "position", data: "{}" });

function changeEvent({ position, kind, ref, type, notary, json, createdAt, consumedAt }: Page["changes"][number]): string {
  const at = new Date((kind === "produced" ? createdAt : consumedAt) ?? createdAt).toISOString();
  const data = JSON.stringify({ ref, type, notary, json: jsonOf(json), at });
  return writeEvent({ id: String(position), type: kind, data });
}
