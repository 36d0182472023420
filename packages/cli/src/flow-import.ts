// `bowline flow import`: its options and help. What it does is in `import-file.ts`.

import { type Command, InvalidArgumentError, Option } from "commander";
import type { ImportFileOptions } from "./import-file.ts";
import { online } from "./online.ts";
import { severalOption, whole } from "./options.ts";
import type { Shell } from "./program.ts";

/** A request id may have 242 characters; the row's number and hash take up to 40 of them. */
const PREFIX_LENGTH_MAX = 160;
const CONCURRENCY_DEFAULT = 16;
const CONCURRENCY_MAX = 256;
const PATIENCE_DEFAULT_S = 120;
const HELP = `
Each row becomes the flow's input: by default every column is the field of its name (amount.currency nests, empty cells
are left out); with --map only the columns that are mapped. In CSV all values are text: --map amount:number=Total makes a
number (types: text, number, boolean, json).

The request id of a row derives from the flow, its number and its content. So run the same import again after any
interruption: rows that were done are not done twice. A network that restarts in the middle is waited for.

Examples:
  bowline flow import obligations.csv --flow com.example.obligation.IssueObligation --as-column debtor
  bowline flow import bills.csv --flow com.example.obligation.IssueObligation --as Alice \\
      --map id=Number --map creditor=Supplier --map amount=Total --set currency=EUR --map dueDate=Due --report report.json

Exit codes: 0 every row is done; 1 some rows were refused, each named with its reason; 2 the import could not be
started or finished.`;

export function registerImport(group: Command, shell: Shell): void {
  group
    .command("import")
    .argument("<file>", "a CSV file with a header line, or NDJSON")
    .addOption(new Option("--flow <name>", "the flow to start for each row").makeOptionMandatory())
    .addOption(new Option("--as <vnode>", "the virtual node that starts all of them").conflicts("asColumn"))
    .option("--as-column <column>", "the column that names the virtual node of each row")
    .addOption(severalOption("--map <field=column>", "fill a field of the input from a column", "every column is the field of its name"))
    .addOption(severalOption("--set <field=value>", "fill a field of the input with the same value in every row"))
    .addOption(new Option("--format <format>", "what the file holds (default: by its name)").choices(["csv", "ndjson"]))
    .addOption(new Option("--concurrency <n>", "flows in flight at once").default(CONCURRENCY_DEFAULT).argParser(whole(1, CONCURRENCY_MAX)))
    .addOption(
      new Option("--patience <seconds>", "how long to wait for a network that is away")
        .default(PATIENCE_DEFAULT_S)
        .argParser(whole(0, 86_400)),
    )
    .addOption(
      new Option("--prefix <text>", "begins the request ids; another prefix imports the file once more")
        .default("import")
        .argParser(prefix),
    )
    .option("--report <file>", "write what became of every row there, as JSON")
    .option("--dry-run", "say what would be started, and start nothing")
    .description("Starts one flow per row of a file.")
    .addHelpText("after", HELP)
    .action(
      online(shell, async (connection, file: string, options: ImportFileOptions) => {
        const { importFile } = await import("./import-file.ts");
        return importFile(connection, shell.terminal, file, options);
      }),
    );
}

function prefix(text: string): string {
  if (new RegExp(`^[-._A-Za-z0-9]{1,${PREFIX_LENGTH_MAX}}$`).test(text)) return text;
  throw new InvalidArgumentError(`It takes up to ${PREFIX_LENGTH_MAX} letters, digits, dots, dashes and underscores.`);
}
