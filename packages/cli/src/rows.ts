// Files of rows: CSV with a header line, or NDJSON with an object per line.
//
// A bad row is a row that says why it is bad, and never hides the rows after it. Row numbers count from 1 after the
// header, bad rows included, so that the number of a row is the same in every run.

import { type CsvError, parse } from "csv-parse/sync";
import { usage } from "./terminal.ts";

export type RowFormat = "csv" | "ndjson";

export interface Row {
  readonly number: number;
  /** Where it starts in the file, from 1. */
  readonly line: number;
  readonly content: { readonly values: Readonly<Record<string, unknown>> } | { readonly problem: string; readonly text: string };
}

/** How many lines one CSV record may span before its open quotation mark is taken for a mistake. */
const RECORD_LINES_MAX = 50;

export function formatOf(fileName: string): RowFormat {
  if (/\.csv$/i.test(fileName)) return "csv";
  if (/\.(ndjson|jsonl)$/i.test(fileName)) return "ndjson";
  throw usage("rowFormat", `${fileName} is neither .csv nor .ndjson (.jsonl). Say which with --format csv or --format ndjson.`);
}

/** Throws only when the file as a whole says nothing: no header, or a header that names a column twice. */
export function parseRows(text: string, format: RowFormat): readonly Row[] {
  const clean = text.startsWith("\ufeff") ? text.slice(1) : text;
  return format === "csv" ? parseCsv(clean) : parseNdjson(clean);
}

interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[] | { readonly problem: string; readonly text: string };
}

function parseCsv(text: string): readonly Row[] {
  const [head, ...records] = csvRecords(text);
  if (head === undefined || !isFields(head.fields)) throw usage("csvHeader", "The file has no header line that names its columns.");
  const header = head.fields;
  const twice = header.find((name, at) => header.indexOf(name) !== at || name === "");
  if (twice !== undefined)
    throw usage(
      "csvHeader",
      twice === "" ? "The header line has a column without a name." : `The header line names the column "${twice}" twice.`,
    );
  return records.map(({ line, fields }, at) => ({ number: at + 1, line, content: csvContent(header, fields) }));
}

function csvContent(header: readonly string[], fields: CsvRecord["fields"]): Row["content"] {
  if (!isFields(fields)) return fields;
  if (fields.length !== header.length)
    return { problem: `it has ${fields.length} columns where the header names ${header.length}`, text: fields.join(",") };
  return { values: Object.fromEntries(header.map((name, at) => [name, fields[at] ?? ""])) };
}

const isFields = (fields: CsvRecord["fields"]): fields is readonly string[] => Array.isArray(fields);

function csvRecords(text: string): readonly CsvRecord[] {
  try {
    return parseStrictly(text, 1);
  } catch {
    return recordByRecord(text.split(/\r?\n/)); // Somewhere a quotation mark is wrong: find the rows that it spoils.
  }
}

function recordByRecord(lines: readonly string[]): readonly CsvRecord[] {
  const records: CsvRecord[] = [];
  let at = 0;
  while (at < lines.length) {
    const { taken, found } = takeRecord(lines, at);
    records.push(...found);
    at += taken;
  }
  return records;
}

function takeRecord(lines: readonly string[], at: number): { readonly taken: number; readonly found: readonly CsvRecord[] } {
  const text = lines[at] ?? "";
  let problem = "a quotation mark is not closed";
  for (let taken = 1; taken <= RECORD_LINES_MAX && at + taken <= lines.length; taken++) {
    try {
      return { taken, found: parseStrictly(lines.slice(at, at + taken).join("\n"), at + 1) };
    } catch (thrown) {
      const { code } = thrown as CsvError;
      if (code === "CSV_QUOTE_NOT_CLOSED") continue;
      if (taken === 1) problem = "a quotation mark stands in the wrong place";
      break;
    }
  }
  return { taken: 1, found: [{ line: at + 1, fields: { problem, text } }] };
}

function parseStrictly(text: string, firstLine: number): readonly CsvRecord[] {
  const found: unknown = parse(text, { info: true, relax_column_count: true, skip_empty_lines: true, trim: true });
  return (found as { record: string[]; info: { lines: number } }[]).map(({ record, info }) => {
    const newlines = record.reduce((count, field) => count + field.split("\n").length - 1, 0);
    return { line: firstLine - 1 + info.lines - newlines, fields: record };
  });
}

function parseNdjson(text: string): readonly Row[] {
  const rows: Row[] = [];
  text.split(/\r?\n/).forEach((each, at) => {
    if (each.trim() !== "") rows.push({ number: rows.length + 1, line: at + 1, content: ndjsonContent(each) });
  });
  return rows;
}

function ndjsonContent(text: string): Row["content"] {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { values: value as Record<string, unknown> };
    return { problem: "it is JSON, but not an object", text };
  } catch (thrown) {
    return { problem: `it is not JSON (${thrown instanceof Error ? thrown.message : String(thrown)})`, text };
  }
}
