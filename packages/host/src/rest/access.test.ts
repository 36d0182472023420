// Users, groups, roles and permissions over HTTPS on a real database; a second db role and a second server stand for
// another worker of the same cluster.

import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { Agent } from "node:https";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Client, createClient, operations } from "@bowline/api";
import { BowlineError, type Clock } from "@bowline/base";
import { flowExecutorRole } from "@bowline/cluster";
import { generateBootKey } from "@bowline/crypto";
import { systemClock, systemRandom } from "../adapters/system.ts";
import { LocalCalls } from "../calls.ts";
import { createDbRole, type DbRole } from "../roles/db.ts";
import { ADMIN, quietLog, SECRETS, startTestCluster, type TestCluster } from "../roles/test-cluster.ts";
import { createRestRole, type RestRole } from "./server.ts";
import { fetchThrough, rawHttp } from "./test-https.ts";

const PASSWORD = "a password of tests";
const DAY_MS = 86_400_000;
const KEPT_MS_MAX = 2_000;
const NO_ID = "00000000-0000-4000-8000-000000000000";

describe("users and roles over REST", () => {
  let cluster: TestCluster;
  let other: DbRole;
  const servers: { readonly rest: RestRole; readonly agent: Agent }[] = [];
  let admin: Client;
  /** Time as the servers see it; tests move it. */
  let ahead = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + ahead };

  before(async () => {
    cluster = await startTestCluster();
    const calls = new LocalCalls("bytes");
    other = await createDbRole({
      administrator: cluster.administrator,
      secretsRoot: SECRETS,
      crypto: calls.for("db").crypto,
      firstAdmin: ADMIN,
      env: { now: clock.now, random: systemRandom },
      clock,
      alone: false,
      log: quietLog,
    });
    calls.answer("db", other.service);
    calls.answer("crypto", {
      ...cluster.cryptoService("rest"),
      releaseTls: (request) => cluster.cryptoService("rest").releaseTls(request),
    });
    for (const [name, services] of [
      ["first", cluster.calls.for("rest")],
      ["second", calls.for("rest")],
    ] as const) {
      const uploads = join(cluster.folder, name);
      await mkdir(uploads);
      const caFile = join(cluster.folder, `${name}.pem`);
      const listen = { host: "127.0.0.1", ports: [0] };
      const rest = await createRestRole({ services, bootKey: generateBootKey(), caFile, listen, uploads, clock, log: quietLog });
      servers.push({ rest, agent: new Agent({ ca: await readFile(caFile), keepAlive: true }) });
    }
    admin = client(ADMIN.login, ADMIN.password);
  });
  after(async () => {
    for (const { rest, agent } of servers) {
      agent.destroy();
      await rest.close();
    }
    await other.close();
    await cluster.stop();
  });

  function client(user: string, password: string, at = 0): Client {
    const { rest, agent } = servers[at] as (typeof servers)[number];
    return createClient({ baseUrl: `https://localhost:${rest.port}`, user, password, version: "v5_3", fetch: fetchThrough(agent) });
  }
  const http: ReturnType<typeof rawHttp> = (...args) => {
    const { rest, agent } = servers[0] as (typeof servers)[number];
    return rawHttp(agent, () => rest.port)(...args);
  };
  const json = { "content-type": "application/json" };
  const basic = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}` });
  const refused = (kind: string, code: string) => (error: unknown) => {
    assert.ok(error instanceof BowlineError, String(error));
    assert.deepEqual([error.kind, error.code], [kind, code], error.message);
    return true;
  };
  const unknown = refused("notFound", "access.unknown");
  const exists = refused("conflict", "access.exists");
  const absent = refused("badRequest", "access.absent");
  const isProtected = refused("badRequest", "access.protected");
  const ceiling = refused("forbidden", "access.ceiling");
  const forbidden = refused("forbidden", "rest.forbidden");

  async function newUser(loginName: string, more: object = {}) {
    const body = { loginName, fullName: `User ${loginName.toLowerCase()}`, enabled: true, initialPassword: PASSWORD };
    return (await admin.call(operations.createUser, { body: { ...body, ...more } })).body;
  }
  async function newRole(roleName: string, allowed: readonly string[], denied: readonly string[] = [], by = admin) {
    const { body: role } = await by.call(operations.createRole, { body: { roleName } });
    const permissionsToCreate = [
      ...allowed.map((permissionString) => ({ permissionType: "ALLOW" as const, permissionString })),
      ...denied.map((permissionString) => ({ permissionType: "DENY" as const, permissionString })),
    ];
    if (permissionsToCreate.length > 0) await by.call(operations.createPermissions, { body: { permissionsToCreate, roleIds: [role.id] } });
    return role.id;
  }
  const give = (loginname: string, roleid: string, by = admin) => by.call(operations.assignRole, { params: { loginname, roleid } });
  const roleNamed = async (name: string) => {
    const role = (await admin.call(operations.listRoles, {})).body.find(({ roleName }) => roleName === name);
    assert.ok(role, name);
    return role;
  };

  test("a user is made once, read, and may log in; a repeated request is answered as the first", async () => {
    const made = await newUser("Some.Body@Example.com");
    assert.deepEqual([made.loginName, made.ssoAuth, made.enabled, made.version], ["some.body@example.com", false, true, 0]);
    assert.equal((await newUser("some.body@example.com")).id, made.id);
    await assert.rejects(newUser("some.body@example.com", { fullName: "Another" }), exists);
    await assert.rejects(newUser("some.body@example.com", { initialPassword: "another password" }), exists);
    const read = await admin.call(operations.getUser, { params: { loginname: "SOME.BODY@example.com" } });
    assert.deepEqual(read.body, made);
    const role = await newRole("Greeters", ["POST:/api/v5_3/hello\\?.*"]);
    const self = client("some.body@example.com", PASSWORD);
    await assert.rejects(self.call(operations.hello, { query: { addressee: "me" } }), forbidden);
    assert.deepEqual(
      (await give("some.body@example.com", role)).body.roleAssociations.map(({ roleId }) => roleId),
      [role],
    );
    assert.equal((await self.call(operations.hello, { query: { addressee: "me" } })).body, "Hello, me! (from some.body@example.com)");
    await assert.rejects(give("some.body@example.com", role), exists);
    await admin.call(operations.withdrawRole, { params: { loginname: "some.body@example.com", roleid: role } });
    await assert.rejects(admin.call(operations.withdrawRole, { params: { loginname: "some.body@example.com", roleid: role } }), absent);
    await assert.rejects(self.call(operations.hello, { query: { addressee: "me" } }), forbidden);
    for (const [loginname, roleid] of [
      ["nobody-there", role],
      ["some.body@example.com", NO_ID],
      ["some.body@example.com", "no-id"],
    ] as const)
      await assert.rejects(give(loginname, roleid), unknown);
  });

  test("a request that is wrong is told each field", async () => {
    const wrong = { loginName: "a b", fullName: "", enabled: true };
    const answer = await http("POST", "/api/v5_2/user", { headers: json, body: JSON.stringify({ createUserType: wrong }) });
    assert.equal(answer.status, 400);
    assert.match(answer.json().details["Error #1"], /^loginName/);
    assert.match(answer.json().details["Error #2"], /^fullName/);
    await assert.rejects(newUser("short-one", { initialPassword: "four" }), refused("badRequest", "access.passwordInvalid"));
    await assert.rejects(newUser("long-one", { initialPassword: "x".repeat(256) }), refused("badRequest", "access.passwordInvalid"));
    await assert.rejects(newUser("grouped", { parentGroup: NO_ID }), unknown);
    await assert.rejects(newUser("undated", { passwordExpiry: "tomorrow" }), refused("badRequest", "input.invalid"));
    for (const permissionString of ["", "(", "(?=x).*", "(a)\\1"])
      await assert.rejects(
        admin.call(operations.createPermission, { body: { permissionType: "ALLOW", permissionString } }),
        refused("badRequest", "access.patternInvalid"),
        permissionString,
      );
    await assert.rejects(admin.call(operations.createRole, { body: { roleName: " " } }), refused("badRequest", "access.nameInvalid"));
    for (const query of [
      "limit=0&permissiontype=ALLOW",
      "limit=1001&permissiontype=ALLOW",
      "limit=1&permissiontype=MAYBE",
      "permissiontype=ALLOW",
    ])
      assert.equal((await http("GET", `/api/v5_2/permission?${query}`)).status, 400, query);
    const bulk = { permissionsToCreate: [{ permissionType: "ALLOW" as const, permissionString: "bulk-x" }], roleIds: [NO_ID] };
    await assert.rejects(admin.call(operations.createPermissions, { body: bulk }), refused("badRequest", "access.bulk"));
    const none = await admin.call(operations.queryPermissions, {
      query: { limit: 10, permissiontype: "ALLOW", permissionstringprefix: "bulk-" },
    });
    assert.deepEqual(none.body, [], "what was not given to all roles was not made");
    assert.equal((await http("GET", "/api/v5_2/group/x")).status, 404, "groups came with 5.3");
    assert.equal((await http("GET", "/api/v5_2/user/getprotocolversion", { anonymous: true })).text, "50200");
  });

  test("permissions are found by what they are, and by the beginning of their text", async () => {
    const made = [];
    for (const permissionString of ["find:a", "find:b", "FIND:c"])
      made.push((await admin.call(operations.createPermission, { body: { permissionType: "DENY", permissionString } })).body);
    const virtualNode = "0123456789AB";
    const own = await admin.call(operations.createPermission, {
      body: { permissionType: "DENY", permissionString: "find:d", virtualNode },
    });
    const find = async (query: object) =>
      (
        await admin.call(operations.queryPermissions, {
          query: { limit: 1_000, permissiontype: "DENY", permissionstringprefix: "find:", ...query },
        })
      ).body;
    assert.deepEqual(await find({}), made.slice(0, 2), "its case counts, and a virtual node that is not asked for is none");
    assert.deepEqual(await find({ virtualnode: virtualNode }), [own.body]);
    assert.equal((await find({ limit: 1 })).length, 1);
    assert.deepEqual(await find({ permissiontype: "ALLOW" }), []);
    assert.deepEqual((await admin.call(operations.getPermission, { params: { id: own.body.id } })).body, own.body);
    await assert.rejects(admin.call(operations.getPermission, { params: { id: "x" } }), unknown);
  });

  test("whoever is in a group has its roles and those above, and loses them when he is moved", async () => {
    const group = async (name: string, parentGroupId: string | null = null) =>
      (await admin.call(operations.createGroup, { body: { name, parentGroupId } })).body.id;
    const top = await group("Company");
    const middle = await group("Company Desk", top);
    const bottom = await group("Company Desk Bonds", middle);
    const aside = await group("Aside");
    await assert.rejects(group("Company Desk", top), exists);
    await newUser("member", { parentGroup: bottom });
    const reading = await newRole("Readers of CPIs", ["GET:/api/v5_3/cpi"]);
    const assign = () => admin.call(operations.assignGroupRole, { params: { groupid: top, roleid: reading } });
    const member = client("member", PASSWORD);
    await assert.rejects(member.call(operations.listCpis, {}), forbidden);
    await assign();
    await assert.rejects(assign(), exists);
    assert.equal((await member.call(operations.listCpis, {})).status, 200);
    const explain = { params: { loginname: "member" }, query: { action: "GET:/api/v5_3/cpi" } };
    const { body: why } = await admin.call(operations.explainAccess, explain);
    assert.deepEqual([why.allowed, why.because, why.role?.name, why.group?.name], [true, "allowed", "Readers of CPIs", "Company"]);
    const { body: shown } = await admin.call(operations.getGroup, { params: { groupid: bottom } });
    assert.deepEqual([shown.users.length, shown.subgroups, shown.parentGroupId], [1, [], middle]);
    const move = (groupid: string, newparentgroupid: string) => admin.call(operations.moveGroup, { params: { groupid, newparentgroupid } });
    await assert.rejects(move(top, bottom), refused("badRequest", "access.groupCycle"));
    await assert.rejects(move(top, top), refused("badRequest", "access.groupCycle"));
    await move(bottom, aside);
    await assert.rejects(member.call(operations.listCpis, {}), forbidden);
    await move(bottom, top);
    assert.equal((await member.call(operations.listCpis, {})).status, 200);
    await assert.rejects(admin.call(operations.deleteGroup, { params: { groupid: bottom } }), refused("conflict", "access.groupInUse"));
    await admin.call(operations.moveUser, { params: { loginname: "member", newparentgroupid: aside } });
    await admin.call(operations.deleteGroup, { params: { groupid: bottom } });
    await assert.rejects(admin.call(operations.getGroup, { params: { groupid: bottom } }), unknown);
    await admin.call(operations.withdrawGroupRole, { params: { groupid: top, roleid: reading } });
    await assert.rejects(admin.call(operations.withdrawGroupRole, { params: { groupid: top, roleid: reading } }), absent);
  });

  test("properties are set, found and removed", async () => {
    await newUser("propertied");
    const params = { loginname: "propertied" };
    const set = await http("POST", "/api/v5_3/user/propertied/property", {
      headers: json,
      body: '{"property":{"team":"bonds","desk":"4"}}',
    });
    assert.equal(set.status, 200, set.text);
    await admin.call(operations.setProperties, { params, body: { desk: "5" } });
    assert.deepEqual(
      (await admin.call(operations.listProperties, { params })).body.map(({ key, value }) => [key, value]),
      [
        ["desk", "5"],
        ["team", "bonds"],
      ],
    );
    const found = await admin.call(operations.findUsersByProperty, { params: { propertykey: "team", propertyvalue: "bonds" } });
    assert.deepEqual(
      found.body.map(({ loginName }) => loginName),
      ["propertied"],
    );
    await admin.call(operations.removeProperty, { params: { ...params, propertykey: "team" } });
    await assert.rejects(admin.call(operations.removeProperty, { params: { ...params, propertykey: "team" } }), absent);
    await assert.rejects(admin.call(operations.setProperties, { params, body: {} }), refused("badRequest", "access.nameInvalid"));
  });

  test("a password is changed by its owner or by who may, and expires", async () => {
    await newUser("aging");
    const role = await newRole("Agers", ["GET:/api/v5_3/cpi"]);
    await give("aging", role);
    const days = (expiry: string | null) => Math.round((Date.parse(expiry ?? "") - clock.now()) / DAY_MS);
    const own = (password: string) =>
      client("aging", password, 1).call(operations.changeOwnPassword, { body: { password: `${password}+` } });
    const { body: changed } = await own(PASSWORD);
    assert.equal(days(changed.passwordExpiry), 90);
    await assert.rejects(client("aging", PASSWORD, 1).call(operations.listCpis, {}), refused("unauthenticated", "rest.unauthenticated"));
    for (const password of ["  ", "x".repeat(256), `${PASSWORD}+`])
      await assert.rejects(
        client("aging", `${PASSWORD}+`).call(operations.changeOwnPassword, { body: { password } }),
        refused("badRequest", "access.passwordInvalid"),
      );
    const set = await admin.call(operations.changeOtherPassword, { body: { username: "Aging", password: PASSWORD } });
    assert.equal(days(set.body.passwordExpiry), 7);
    const path = "/api/v5_3/cpi";
    const asked = () =>
      servers[1] && rawHttp(servers[1].agent, () => servers[1]?.rest.port ?? 0)("GET", path, { headers: basic("aging", PASSWORD) });
    assert.equal((await asked())?.headers.get("warning"), "199 - PasswordExpiryStatus is CLOSE_TO_EXPIRY");
    ahead = 8 * DAY_MS;
    try {
      const expired = await asked();
      assert.deepEqual([expired?.status, expired?.json().details.code], [403, "rest.passwordExpired"]);
      const { body: why } = await client(ADMIN.login, ADMIN.password, 1).call(operations.explainAccess, {
        params: { loginname: "aging" },
        query: { action: `GET:${path}` },
      });
      assert.deepEqual([why.allowed, why.because], [false, "passwordExpired"]);
      await own(PASSWORD);
      const renewed = await client("aging", `${PASSWORD}+`, 1).call(operations.listCpis, {});
      assert.equal(renewed.status, 200);
    } finally {
      ahead = 0;
    }
  });

  test("how long passwords hold is configured", async () => {
    const schemaVersion = { major: 1, minor: 0 };
    const change = (config: unknown, version: number) =>
      admin.call(operations.changeConfig, { body: { section: "corda.rbac", version, config, schemaVersion } });
    await assert.rejects(change({ password: { lengthLimit: 5 } }, 0), refused("badRequest", "input.invalid"));
    await change({ password: { userPasswordChangeExpiry: 40, lengthLimit: 20 } }, 0);
    const { body } = await admin.call(operations.getConfig, { params: { section: "corda.rbac" } });
    assert.deepEqual(JSON.parse(body.configWithDefaults).password, {
      userPasswordChangeExpiry: 40,
      adminPasswordChangeExpiry: 7,
      passwordExpiryWarningWindow: 30,
      lengthLimit: 20,
    });
    await assert.rejects(newUser("limited", { initialPassword: "x".repeat(21) }), refused("badRequest", "access.passwordInvalid"));
    await change({}, 1);
  });

  test("what is taken from a user holds within two seconds on every worker, though his credentials are remembered", async () => {
    const role = await newRole("Fleeting", ["GET:/api/v5_3/cpi"]);
    const users = ["fleeting-1", "fleeting-2", "fleeting-3"] as const;
    for (const name of users) {
      await newUser(name);
      await give(name, role);
    }
    const ask = (name: string, at: number) => client(name, PASSWORD, at).call(operations.listCpis, {});
    for (const name of users) for (const at of [0, 1]) assert.equal((await ask(name, at)).status, 200);
    await admin.call(operations.withdrawRole, { params: { loginname: "fleeting-1", roleid: role } });
    await admin.call(operations.enableUser, { params: { loginname: "fleeting-2" }, body: { enabled: false } });
    await admin.call(operations.deleteUser, { params: { loginname: "fleeting-3" } });
    await assert.rejects(ask("fleeting-1", 0), forbidden, "at once where it was changed");
    await assert.rejects(ask("fleeting-2", 0), forbidden);
    await assert.rejects(ask("fleeting-3", 0), refused("unauthenticated", "rest.unauthenticated"));
    await sleep(KEPT_MS_MAX);
    await assert.rejects(ask("fleeting-1", 1), forbidden);
    await assert.rejects(ask("fleeting-2", 1), forbidden);
    await assert.rejects(ask("fleeting-3", 1), refused("unauthenticated", "rest.unauthenticated"));
    // Whoever takes the name later is another: the remembered credentials are not his.
    await newUser("fleeting-3", { initialPassword: "another password" });
    await assert.rejects(ask("fleeting-3", 0), refused("unauthenticated", "rest.unauthenticated"));
    await admin.call(operations.enableUser, { params: { loginname: "fleeting-2" }, body: { enabled: true } });
    assert.equal((await ask("fleeting-2", 0)).status, 200);
  });

  test("the first administrator and his role cannot be undone", async () => {
    const role = await roleNamed("Default System Admin");
    const permissionid = role.permissions[0]?.id ?? "";
    await assert.rejects(admin.call(operations.detachPermission, { params: { roleid: role.id, permissionid } }), isProtected);
    const { body: all } = await admin.call(operations.createPermission, { body: { permissionType: "DENY", permissionString: ".*" } });
    await assert.rejects(admin.call(operations.attachPermission, { params: { roleid: role.id, permissionid: all.id } }), isProtected);
    await assert.rejects(admin.call(operations.withdrawRole, { params: { loginname: "admin", roleid: role.id } }), isProtected);
    await assert.rejects(admin.call(operations.deleteUser, { params: { loginname: "admin" } }), isProtected);
    await newUser("second-admin");
    await give("second-admin", role.id);
    const second = client("second-admin", PASSWORD);
    await assert.rejects(second.call(operations.deleteUser, { params: { loginname: "admin" } }), isProtected);
    await assert.rejects(
      second.call(operations.enableUser, { params: { loginname: "second-admin" }, body: { enabled: false } }),
      isProtected,
    );
  });

  test("nobody gives more than he holds", async () => {
    const deputy = client("deputy", PASSWORD);
    await newUser("deputy");
    await newUser("protege");
    const userAdmin = await roleNamed("UserAdminRole");
    const systemAdmin = await roleNamed("Default System Admin");
    await give("deputy", userAdmin.id);
    await deputy.call(operations.assignRole, { params: { loginname: "protege", roleid: userAdmin.id } });
    await assert.rejects(give("protege", systemAdmin.id, deputy), ceiling);
    await assert.rejects(give("deputy", systemAdmin.id, deputy), ceiling);
    // Through a role of his own, at once or bit by bit.
    await assert.rejects(newRole("Sneaky", [".*"], [], deputy), ceiling);
    const { body: everything } = await deputy.call(operations.createPermission, {
      body: { permissionType: "ALLOW", permissionString: ".*" },
    });
    await assert.rejects(
      deputy.call(operations.attachPermission, { params: { roleid: userAdmin.id, permissionid: everything.id } }),
      ceiling,
    );
    // Through another's password, or a group.
    await assert.rejects(deputy.call(operations.changeOtherPassword, { body: { username: "admin", password: "a stolen one" } }), ceiling);
    await deputy.call(operations.changeOtherPassword, { body: { username: "protege", password: "a lent password" } });
    const { body: powerful } = await admin.call(operations.createGroup, { body: { name: "Powerful" } });
    await admin.call(operations.assignGroupRole, { params: { groupid: powerful.id, roleid: systemAdmin.id } });
    const params = { loginname: "deputy", newparentgroupid: powerful.id };
    await assert.rejects(deputy.call(operations.moveUser, { params }), ceiling);
    const made = { loginName: "puppet", fullName: "Puppet", enabled: true, initialPassword: PASSWORD, parentGroup: powerful.id };
    await assert.rejects(deputy.call(operations.createUser, { body: made }), ceiling);
    // A denial that binds him binds whoever gets something from him, and is not his to lift.
    const bound = await newRole("Bound", [], ["DELETE:/api/.*"]);
    await give("deputy", bound);
    await newUser("freed");
    await assert.rejects(give("freed", userAdmin.id, deputy), ceiling);
    await assert.rejects(deputy.call(operations.withdrawRole, { params: { loginname: "protege", roleid: bound } }), forbidden);
    await give("protege", bound);
    await give("protege", systemAdmin.id);
    const protege = client("protege", "a lent password");
    await assert.rejects(give("deputy", systemAdmin.id, protege), ceiling);
  });

  test("explains which permission decides", async () => {
    await newUser("explained");
    const vnode = "0123456789AB";
    const { name, permissions } = flowExecutorRole(vnode);
    await give(
      "explained",
      await newRole(
        name,
        permissions.map(({ pattern }) => pattern),
      ),
    );
    await give("explained", await newRole("No payments", [], ["StartFlow:com.example.Pay"]));
    const explain = async (action: string) =>
      (await admin.call(operations.explainAccess, { params: { loginname: "explained" }, query: { action } })).body;
    const denied = await explain("startflow:com.example.pay");
    assert.deepEqual(
      [denied.allowed, denied.because, denied.permission?.permissionString, denied.role?.name, denied.group],
      [false, "denied", "StartFlow:com.example.Pay", "No payments", null],
    );
    const allowed = await explain(`POST:/api/v5_3/flow/${vnode}`);
    assert.deepEqual([allowed.allowed, allowed.role?.name], [true, name]);
    assert.deepEqual(
      [(await explain("GET:/api/v5_3/cpi")).because, (await explain("POST:/api/v5_2/user/selfpassword")).because],
      ["unmatched", "ownPassword"],
    );
    await assert.rejects(admin.call(operations.explainAccess, { params: { loginname: "no-such" }, query: { action: "x" } }), unknown);
    const { body: summary } = await admin.call(operations.getPermissionSummary, { params: { loginname: "explained" } });
    assert.deepEqual(
      summary.permissions.map(({ permissionType }) => permissionType),
      ["DENY", ...permissions.map(() => "ALLOW")],
    );
  });

  test("every change has its row of the record, and a change that failed has none", async () => {
    const page = async (query: object) => (await admin.call(operations.listAccessChanges, { query })).body.changes;
    const [last] = await page({ limit: 1 });
    const since = async () => (await page({ limit: 100 })).filter(({ seq }) => seq > (last?.seq ?? 0)).reverse();
    await newUser("recorded");
    const role = await newRole("Recorded", ["GET:/x"]);
    await give("recorded", role);
    await assert.rejects(give("recorded", role), exists);
    await admin.call(operations.changeOtherPassword, { body: { username: "recorded", password: "a secret of his" } });
    await admin.call(operations.setProperties, { params: { loginname: "recorded" }, body: { a: "1", b: "2" } });
    await admin.call(operations.withdrawRole, { params: { loginname: "recorded", roleid: role } });
    await admin.call(operations.deleteUser, { params: { loginname: "recorded" } });
    const rows = await since();
    assert.deepEqual(
      rows.map(({ changeType }) => changeType),
      [
        "USER_INSERT",
        "ROLE_INSERT",
        "PERMISSION_INSERT",
        "ADD_PERMISSION_TO_ROLE",
        "ADD_ROLE_TO_USER",
        "USER_UPDATE",
        "ADD_PROPERTY_TO_USER",
        "ADD_PROPERTY_TO_USER",
        "DELETE_ROLE_FROM_USER",
        "USER_DELETE",
      ],
    );
    assert.ok(rows.every(({ actor }) => actor === "admin"));
    assert.equal(JSON.stringify(rows).includes("a secret of his"), false);
    assert.deepEqual((await page({ changetype: "USER_DELETE", limit: 1 }))[0], rows.at(-1));
    assert.deepEqual((await page({ before: rows[1]?.seq, limit: 1 }))[0], rows[0]);
    assert.ok((await page({ actor: "Setup Script" })).length > 0);
  });

  test("after failures a name must wait, from there, whether or not somebody has it", async () => {
    await newUser("guessed");
    const at = "/api/v5_3/cpi";
    for (const name of ["guessed", "not-there"]) {
      const statuses = [];
      for (let time = 0; time < 8; time++) statuses.push((await http("GET", at, { headers: basic(name, `guess ${time}`) })).status);
      assert.deepEqual(statuses.slice(0, 6), [401, 401, 401, 401, 401, 401], name);
      const last = await http("GET", at, { headers: basic(name, "guess") });
      assert.deepEqual([last.status, last.json().details.code], [429, "rest.loginDelayed"], name);
      assert.ok(Number(last.headers.get("retry-after")) >= 1);
    }
    assert.equal((await http("GET", at)).status, 200, "others go on");
  });
});
