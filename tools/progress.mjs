// One line of progress on standard error: redrawn on a terminal, and told sparingly to a file.

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const REDRAW_MS = 100;
const TELL_EVERY_MS = 15_000;

/** `total`, where it is known, is what `count` counts to. */
export function startProgress(what, total) {
  const terminal = process.stderr.isTTY === true;
  const startedAt = performance.now();
  let counted = 0;
  let frame = 0;
  const seconds = () => `${Math.round((performance.now() - startedAt) / 1000)} s`;
  const share = () => (total === undefined || counted === 0 ? "" : ` ${Math.min(counted, total)}/${total}`);
  const draw = () => process.stderr.write(`\r\x1b[K${FRAMES[frame++ % FRAMES.length]} ${what}${share()}, ${seconds()}`);
  const tell = () => process.stderr.write(`  ${what}${share()}, ${seconds()}\n`);
  if (!terminal) process.stderr.write(`${what}...\n`);
  const timer = setInterval(terminal ? draw : tell, terminal ? REDRAW_MS : TELL_EVERY_MS);
  const end = (mark) => {
    clearInterval(timer);
    if (terminal) process.stderr.write("\r\x1b[K");
    if (mark !== "") process.stderr.write(`${mark} ${what}, ${seconds()}\n`);
  };
  return {
    count: (value) => {
      counted = value;
    },
    done: () => end("✔"),
    fail: () => end("✖"),
    stop: () => end(""),
  };
}
