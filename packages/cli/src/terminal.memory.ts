// A terminal that nobody watches, for tests: it keeps what it is told.

import type { Terminal } from "./terminal.ts";

export function memoryTerminal(cwd: string, change: Partial<Terminal> = {}) {
  const written = { out: "", err: "" };
  const terminal: Terminal = {
    environment: {},
    cwd,
    interactive: false,
    canAsk: false,
    columns: { out: 100, err: 100 },
    json: false,
    out: (text) => {
      written.out += text;
    },
    err: (text) => {
      written.err += text;
    },
    askSecret: async () => undefined,
    askYes: async () => false,
    ...change,
  };
  return { terminal, written };
}
