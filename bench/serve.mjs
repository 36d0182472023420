// What a measured process says and hears over its channel to the benchmark: `ready`, then for each `measure` the times.

/** `works`: by name, one operation. */
export function serve(works, { measure, ready = {}, close }) {
  process.on("message", async ({ id, work, inFlight, durationMs }) => {
    try {
      if (work === "close") {
        await close();
        process.exit(0);
      }
      process.send({ id, measured: await measure({ durationMs, inFlight }, works[work]) });
    } catch (cause) {
      process.send({ id, failure: String(cause?.stack ?? cause) });
    }
  });
  process.on("disconnect", () => process.exit(0));
  process.send({ ready });
}
