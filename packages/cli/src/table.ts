// Tables of plain text, as wide as their cells: columns two spaces apart, numbers to the right.

export interface Column<Row> {
  readonly title: string;
  readonly align?: "left" | "right";
  readonly cell: (row: Row) => string;
}

/** A line of titles, a rule, a line per row. Only what is not wider than `widthMax` cells is shown of a cell in the last column. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], widthMax = Number.POSITIVE_INFINITY): string {
  const cells = rows.map((row) => columns.map((column) => oneLine(column.cell(row))));
  const widths = columns.map((column, at) => Math.max(width(column.title), ...cells.map((line) => width(line[at] ?? ""))));
  const line = (texts: readonly string[]) =>
    clip(
      columns
        .map((column, at) => pad(texts[at] ?? "", widths[at] ?? 0, column.align ?? "left"))
        .join("  ")
        .trimEnd(),
      widthMax,
    );
  const rule = widths.map((each) => "-".repeat(each)).join("  ");
  return [line(columns.map((column) => column.title)), clip(rule, widthMax), ...cells.map(line)].join("\n");
}

/** A control character in a name or an error must not drive the user's terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
export const oneLine = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ");

const width = (text: string): number => [...text].length;

function pad(text: string, to: number, align: "left" | "right"): string {
  const space = " ".repeat(Math.max(0, to - width(text)));
  return align === "left" ? text + space : space + text;
}

function clip(text: string, widthMax: number): string {
  const characters = [...text];
  return characters.length <= widthMax ? text : `${characters.slice(0, Math.max(0, widthMax - 1)).join("")}…`;
}
