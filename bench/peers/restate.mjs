// The handlers that Restate calls, in a process of their own, as its quickstart has it.

import * as restate from "@restatedev/restate-sdk";

const STEPS = 5;

const bench = restate.service({
  name: "bench",
  handlers: {
    empty: async () => "done",
    steps5: async (ctx) => {
      let last = 0;
      for (let step = 1; step <= STEPS; step++) {
        const before = last;
        last = await ctx.run(`step${step}`, () => before * 31 + step);
      }
      return last;
    },
  },
});

const port = await restate.serve({ services: [bench], port: 0 });
process.on("disconnect", () => process.exit(0));
process.send({ ready: { port } });
