// A CorDapp in several versions, for tests of flows that go on in other code. Which one is said where it is bundled.

import { cordapp as define, flow } from "@bowline/sdk";
import { Integer, Object as Shape } from "typebox";

const HOUR = 3_600_000;
/** 1 never ends, 2 is what it should have been, 3 does something else first, 4 has no such flow. */
const version = (globalThis as { readonly VERSION?: number }).VERSION ?? 1;

const Work = flow({
  name: "com.example.Work",
  startable: true,
  input: Shape({ hours: Integer() }),
  output: Integer(),
  async call(context, { hours }) {
    await context.sleep(version === 3 ? 2 : 1);
    await context.checkpoint();
    if (hours > 0) await context.sleep(hours * HOUR);
    while (version === 1);
    return version;
  },
});
const Other = flow({ name: "com.example.Other", startable: true, input: Shape({}), output: Integer(), call: async () => version });

export const cordapp = define({ flows: version === 4 ? [Other] : [Work, Other], states: [], contracts: [] });
