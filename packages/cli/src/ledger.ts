// `bowline ledger`: the transactions of a virtual node, and proofs of them for whoever has no network.

import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { online } from "./online.ts";
import { severalOption, whole } from "./options.ts";
import { runEntry } from "./platform-entry.ts";
import { act, type Register, type Shell } from "./program.ts";
import { renderTable } from "./table.ts";
import { EXIT, type ExitCode, print, usage } from "./terminal.ts";

const ENTRY = fileURLToPath(new URL("../../host/src/proof.ts", import.meta.url));
const LIMIT_DEFAULT = 100;
const VERIFY_HELP = `
Proven: the transaction has the id that it is named by, everybody who must sign has signed, the notary that its group
names accepted it, and every state that it uses came from a transaction that this notary accepted. Contracts are not run.

A file proves nothing by itself: name the key of the group's manager, or of the notary, by an id that you have from elsewhere.

Examples:
  bowline ledger export Alice SHA-256:9BD2... --out payment.proof
  bowline ledger verify payment.proof --group-key SHA-256:4F0A...

Exit codes: 0 proven; 1 not, and why; 2 it could not be verified.`;

export const register: Register = (program, shell) => {
  const ledger = program
    .command("ledger")
    .summary("see transactions, and prove them")
    .description("The transactions of a virtual node, and proofs of them.");
  registerOpen(ledger, shell);
  registerLooks(ledger, shell);
  registerProofs(ledger, shell);
};

function registerOpen(ledger: Command, shell: Shell): void {
  const { terminal } = shell;
  ledger
    .command("open")
    .argument("<vnode>", "the virtual node: a name, a part of one, or a short hash")
    .option("--invalid", "those that were found invalid, and why")
    .option("--limit <n>", "at most so many", whole(1, 1_000), LIMIT_DEFAULT)
    .description("Lists transactions that are not decided yet, by when their notary is asked about them next.")
    .action(
      online(shell, async (connection, vnode: string, { invalid, limit }: { readonly invalid?: true; readonly limit: number }) => {
        const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash };
        const query = { limit, ...(invalid === undefined ? {} : { status: "INVALID" as const }) };
        const { transactions } = await connection.call("listOpenTransactions", { params, query });
        print(terminal, { transactions }, () => {
          if (transactions.length === 0) return invalid ? "No transaction was found invalid." : "Every transaction is decided.";
          const columns = [
            { title: "id", cell: ({ id }: (typeof transactions)[number]) => id },
            {
              title: "age (s)",
              align: "right" as const,
              cell: ({ ageMs }: (typeof transactions)[number]) => String(Math.round(ageMs / 1_000)),
            },
            ...(invalid
              ? [{ title: "reason", cell: ({ reason }: (typeof transactions)[number]) => reason ?? "" }]
              : [
                  { title: "until", cell: ({ until }: (typeof transactions)[number]) => until ?? "" },
                  { title: "attempts", align: "right" as const, cell: ({ attempts }: (typeof transactions)[number]) => String(attempts) },
                  { title: "next", cell: ({ nextAttemptAt }: (typeof transactions)[number]) => nextAttemptAt ?? "" },
                ]),
          ];
          return renderTable(columns, transactions, terminal.columns.out);
        });
        return undefined;
      }),
    );
}

function registerLooks(ledger: Command, shell: Shell): void {
  const { terminal } = shell;
  ledger
    .command("show")
    .argument("<vnode>", "the virtual node: a name, a part of one, or a short hash")
    .argument("<id>", "the transaction's id")
    .description("Shows a transaction: where it stands, what it says, and who has signed it.")
    .action(
      online(shell, async (connection, vnode: string, transactionid: string) => {
        const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash, transactionid };
        const transaction = await connection.call("getVaultTransaction", { params });
        print(terminal, transaction, () => JSON.stringify(transaction, null, 2));
        return undefined;
      }),
    );
  ledger
    .command("tokens")
    .argument("<vnode>", "the virtual node: a name, a part of one, or a short hash")
    .description("Sums up the fungible states of a virtual node.")
    .action(
      online(shell, async (connection, vnode: string) => {
        const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash };
        const { balances } = await connection.call("listTokenBalances", { params });
        print(terminal, { balances }, () => {
          if (balances.length === 0) return "The vault holds no tokens.";
          const text = ["symbol", "issuer", "tokenType", "notary"] as const;
          const numbers = ["tokens", "total", "available"] as const;
          const columns = [
            ...text.map((title) => ({ title, cell: (row: (typeof balances)[number]) => row[title] })),
            ...numbers.map((title) => ({ title, align: "right" as const, cell: (row: (typeof balances)[number]) => String(row[title]) })),
          ];
          return renderTable(columns, balances, terminal.columns.out);
        });
        return undefined;
      }),
    );
}

function registerProofs(ledger: Command, shell: Shell): void {
  const { terminal } = shell;
  ledger
    .command("export")
    .argument("<vnode>", "the virtual node: a name, a part of one, or a short hash")
    .argument("<id>", "the transaction's id")
    .requiredOption("--out <file>", "the file that is made")
    .description("Writes a verified transaction with all that proves it to a file.")
    .action(
      online(shell, async (connection, vnode: string, transactionid: string, { out }: { readonly out: string }) => {
        const file = resolve(terminal.cwd, out);
        if (existsSync(file)) throw usage("exists", `${file} exists already; it is left as it is.`);
        const params = { holdingidentityshorthash: (await connection.virtualNode(vnode)).shortHash, transactionid };
        const proof = await connection.call("proveVaultTransaction", { params });
        writeFileSync(file, `${JSON.stringify(proof)}\n`, { flag: "wx", mode: 0o600 });
        print(terminal, { file }, () => `${file} proves ${transactionid} to whoever runs bowline ledger verify.`);
        return undefined;
      }),
    );
  ledger
    .command("verify")
    .argument("<file>", "what bowline ledger export has written")
    .addOption(severalOption("--group-key <id>", "trust the group's manager by the id of this key; say it once for each"))
    .addOption(severalOption("--notary-key <id>", "trust the notary by the id of this key; say it once for each"))
    .description("Proves a transaction from a file. No network is needed.")
    .addHelpText("after", VERIFY_HELP)
    .action(act(shell, (file: string, _: unknown, command: Command) => verify(shell, file, command.optsWithGlobals())));
}

interface Trust {
  readonly groupKey: readonly string[];
  readonly notaryKey: readonly string[];
}

async function verify({ terminal }: Shell, given: string, { groupKey, notaryKey }: Trust): Promise<ExitCode> {
  const file = resolve(terminal.cwd, given);
  if (!existsSync(file)) throw usage("ledger", `There is no file ${file}.`);
  const args = ["--file", file, ...groupKey.flatMap((id) => ["--group-key", id]), ...notaryKey.flatMap((id) => ["--notary-key", id])];
  const { event, ...found } = await runEntry([ENTRY, ...args], (ending) => usage("ledger", `Verifying ended without a word (${ending}).`));
  if (event === "failed") {
    if (found["code"] === "cli.unexpected") throw usage("ledger", String(found["message"]));
    print(terminal, found, () => String(found["message"]));
    return EXIT.refused;
  }
  print(terminal, found, () => {
    const { id, notary, acceptedAt, signedBy } = found;
    return `${id} holds: ${(signedBy as readonly string[]).length} have signed it, and ${notary} accepted it at ${new Date(Number(acceptedAt)).toISOString()}.`;
  });
  return EXIT.done;
}
