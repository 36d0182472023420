// `bowline audit access`: who changed what of users, groups, roles and permissions.

import type { Command } from "commander";
import type { Connection, ReplyTo } from "./connection.ts";
import { online } from "./online.ts";
import { whole } from "./options.ts";
import type { Shell } from "./program.ts";
import { renderTable } from "./table.ts";
import { print } from "./terminal.ts";

const PAGE = 1_000;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000_000;

interface Options {
  readonly actor?: string;
  readonly type?: string;
  readonly limit: number;
}

type Change = ReplyTo<"listAccessChanges">["changes"][number];

export function registerAuditAccess(audit: Command, shell: Shell): void {
  audit
    .command("access")
    .option("--actor <login>", "only what this user did")
    .option("--type <change>", "only changes of this type, such as ADD_ROLE_TO_USER")
    .option("--limit <n>", "at most so many", whole(1, LIMIT_MAX), LIMIT_DEFAULT)
    .description("Lists who changed what of users, groups, roles and permissions, the newest first.")
    .action(
      online(shell, async (connection, options: Options) => {
        const changes = await readChanges(connection, options);
        print(shell.terminal, { changes }, () => renderTable(COLUMNS, changes, shell.terminal.columns.out));
        return undefined;
      }),
    );
}

async function readChanges(connection: Connection, { actor, type, limit }: Options): Promise<readonly Change[]> {
  const all: Change[] = [];
  for (;;) {
    const last = all.at(-1);
    const page = Math.min(PAGE, limit - all.length);
    const { changes } = await connection.call("listAccessChanges", {
      query: {
        limit: page,
        ...(last === undefined ? {} : { before: last.seq }),
        ...(actor === undefined ? {} : { actor }),
        ...(type === undefined ? {} : { changetype: type }),
      },
    });
    all.push(...changes);
    if (changes.length < page || all.length >= limit) return all;
  }
}

const COLUMNS = [
  { title: "when", cell: ({ timestamp }: Change) => timestamp },
  { title: "who", cell: ({ actor }: Change) => actor },
  { title: "what", cell: ({ changeType }: Change) => changeType },
  { title: "details", cell: ({ details }: Change) => details },
];
