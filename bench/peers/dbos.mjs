// DBOS in a process of its own, as its quickstart has it: workflows are functions, started in process. Steps are durable by
// default: each is a row of its own, committed before the next begins.

import { DBOS } from "@dbos-inc/dbos-sdk";
import { measure } from "../measure.ts";
import { serve } from "../serve.mjs";

const [systemDatabaseUrl, poolSize] = process.argv.slice(2);
const STEPS = 5;

const empty = DBOS.registerWorkflow(async () => "done", { name: "empty" });
const steps5 = DBOS.registerWorkflow(
  async () => {
    let last = 0;
    for (let step = 1; step <= STEPS; step++) {
      const before = last;
      last = await DBOS.runStep(async () => before * 31 + step, { name: `step${step}` });
    }
    return last;
  },
  { name: "steps5" },
);

DBOS.setConfig({ name: "bench", systemDatabaseUrl, systemDatabasePoolSize: Number(poolSize), logLevel: "error" });
await DBOS.launch();
serve({ empty: () => empty(), steps5: () => steps5() }, { measure, close: () => DBOS.shutdown() });
