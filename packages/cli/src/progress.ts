// What is happening now. Someone who watches sees one line that is written over; a log gets a plain line per event.

import { oneLine } from "./table.ts";
import type { Terminal } from "./terminal.ts";

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const FRAME_MS = 80;
const BAR_CELLS = 24;
/** In a log, a bar is one line per this share of the work. */
const LOGGED_SHARE = 0.25;

export interface Progress {
  /** Starts a step; the step before is done. */
  step(text: string): void;
  /** What the running step does just now. */
  detail(text: string): void;
  /** How far the running step is. */
  bar(done: number, total: number, remark?: string): void;
  /** Ends the running step well; `text` says what came of it. */
  done(text?: string): void;
  /** Ends the running step badly. */
  failed(text: string): void;
  /** A line that stays, whatever runs. */
  note(text: string): void;
  /** Takes the running line away. */
  close(): void;
}

/** `now` counts milliseconds; only differences of it are shown. */
export function createProgress(terminal: Terminal, now: () => number): Progress {
  return terminal.interactive ? new LiveProgress(terminal, now) : new LoggedProgress(terminal, now);
}

class LiveProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #step: { readonly text: string; readonly startedAt: number; detail: string } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal;
    this.#now = now;
  }

  step(text: string): void {
    this.done();
    this.#step = { text, startedAt: this.#now(), detail: "" };
    this.#draw();
    this.#timer ??= setInterval(() => this.#draw(), FRAME_MS).unref();
  }

  detail(text: string): void {
    if (this.#step !== undefined) this.#step.detail = text;
  }

  bar(done: number, total: number, remark = ""): void {
    this.detail(`${renderBar(done, total)} ${remark}`.trimEnd());
  }

  done(text?: string): void {
    if (this.#step === undefined) return;
    this.#end("\u001b[32m✓\u001b[0m", text ?? this.#step.text);
  }

  failed(text: string): void {
    if (this.#step !== undefined) this.#end("\u001b[31m✗\u001b[0m", this.#step.text);
    this.note(text);
  }

  note(text: string): void {
    this.#erase();
    this.#terminal.err(`${text}\n`);
    this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#erase();
    this.#step = undefined;
  }

  #end(mark: string, text: string): void {
    const step = this.#step;
    if (step === undefined) return;
    this.close();
    this.#terminal.err(`${mark} ${oneLine(text)} \u001b[2m${renderSeconds(this.#now() - step.startedAt)}\u001b[0m\n`);
  }

  #draw(): void {
    if (this.#step === undefined) return;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const text = oneLine(`${FRAMES[this.#frame]} ${this.#step.text} ${this.#step.detail}`);
    this.#terminal.err(`\r\u001b[2K${[...text].slice(0, Math.max(20, this.#terminal.columns.err - 1)).join("")}`);
  }

  #erase(): void {
    if (this.#step !== undefined) this.#terminal.err("\r\u001b[2K");
  }
}

class LoggedProgress implements Progress {
  readonly #terminal: Terminal;
  readonly #now: () => number;
  #step: { readonly text: string; readonly startedAt: number; share: number } | undefined;

  constructor(terminal: Terminal, now: () => number) {
    this.#terminal = terminal;
    this.#now = now;
  }

  step(text: string): void {
    this.done();
    this.#step = { text, startedAt: this.#now(), share: 0 };
    this.#line(`${text} …`);
  }

  detail(): void {
    // A log is no place for what passes.
  }

  bar(done: number, total: number, remark = ""): void {
    if (this.#step === undefined || total === 0) return;
    const share = done / total;
    if (share < this.#step.share + LOGGED_SHARE || done === total) return;
    this.#step.share = share;
    this.#line(`  ${done} of ${total} ${remark}`.trimEnd());
  }

  done(text?: string): void {
    if (this.#step === undefined) return;
    this.#line(`${text ?? this.#step.text}: done in ${renderSeconds(this.#now() - this.#step.startedAt)}`);
    this.#step = undefined;
  }

  failed(text: string): void {
    if (this.#step !== undefined) this.#line(`${this.#step.text}: failed`);
    this.#step = undefined;
    this.#line(text);
  }

  note(text: string): void {
    this.#line(text);
  }

  close(): void {
    this.#step = undefined;
  }

  #line(text: string): void {
    this.#terminal.err(`${text}\n`);
  }
}

export function renderBar(done: number, total: number): string {
  const filled = total === 0 ? BAR_CELLS : Math.floor((BAR_CELLS * Math.min(done, total)) / total);
  return `[${"█".repeat(filled)}${"·".repeat(BAR_CELLS - filled)}] ${done}/${total}`;
}

export function renderSeconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 1_000)} s`;
}
