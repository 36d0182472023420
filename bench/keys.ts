// What keys and permissions cost. A permission check is asked of the db role's own part, as REST asks it: a user with the
// roles of a user administrator, a creator of virtual nodes and an executor of flows.

import { BUILT_IN_ROLES, flowExecutorRole } from "@bowline/cluster";
import { createAccess } from "@bowline/cluster/access";
import { PASSWORD_POLICY } from "../packages/cluster/src/password-policy.ts";
import { type Result, round } from "./result.ts";

const VNODE = "0123456789AB";
/** What a client of flows and an operator ask all day. */
const ASKED = [
  `POST:/api/v5_3/flow/${VNODE}`,
  `GET:/api/v5_3/flow/${VNODE}/request-1/result?waitMs=5000`,
  "StartFlow:com.example.Pay",
  "GET:/api/v5_3/virtualnode",
  "GET:/api/v5_3/user/some.body%40example.com",
  "POST:/api/v5_3/nothing/that/is/allowed",
];
const MICROSECONDS = 1_000;

export async function benchKeys({ quick, say }: { readonly quick: boolean; readonly say: (text: string) => void }): Promise<Result[]> {
  say("Measuring permission checks …");
  const durationMs = quick ? 1_000 : 5_000;
  const access = accessOf();
  const check = async (permission: string) => void (await access.authorise({ login: "user", permission }));
  const again = await microsecondsOf(durationMs, (index) => check(ASKED[index % ASKED.length] ?? ""));
  const anew = await microsecondsOf(durationMs, (index) => check(`GET:/api/v5_3/flow/${VNODE}/request-${index}`));
  return [
    { metric: "rbac.check_us", value: round(again), unit: "us" },
    { metric: "rbac.check_us.new", value: round(anew), unit: "us" },
  ];
}

/** Over a database that answers at once: what is measured is the decision, and not PostgreSQL. */
function accessOf() {
  const roles = [...BUILT_IN_ROLES.filter(({ name }) => name === "UserAdminRole" || name === "VNodeCreatorRole"), flowExecutorRole(VNODE)];
  const permissions = roles.flatMap((role) => role.permissions);
  const row = {
    id: "1",
    login_name: "user",
    full_name: "User",
    enabled: true,
    hashed_password: null,
    password_expiry: null,
    parent_group: null,
    version: 0,
    update_ts: new Date(0),
    created_by: null,
    permissions,
  };
  const users = { query: async <Row>() => [row] as Row[] };
  return createAccess(users, { now: Date.now, policy: async () => PASSWORD_POLICY, checkPassword: async () => false }).access;
}

/** One after another, after a tenth of the time to warm up. */
async function microsecondsOf(durationMs: number, operation: (index: number) => Promise<void>): Promise<number> {
  let index = 0;
  const run = async (until: number): Promise<void> => {
    for (; performance.now() < until; index++) await operation(index);
  };
  await run(performance.now() + durationMs / 10);
  const [started, before] = [performance.now(), index];
  await run(started + durationMs);
  return ((performance.now() - started) / (index - before)) * MICROSECONDS;
}
