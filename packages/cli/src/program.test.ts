import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { chooseTarget, findHome, readNetwork } from "./network.ts";
import { runProgram } from "./program.ts";
import { memoryTerminal } from "./terminal.memory.ts";
import type { Terminal } from "./terminal.ts";

const folder = mkdtempSync(join(tmpdir(), "bowline-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const terminalOf = (change: Partial<Terminal> = {}) => memoryTerminal(folder, change);

async function run(...args: readonly string[]) {
  const { terminal, written } = terminalOf();
  return { code: await runProgram(args, terminal), ...written };
}

test("help lists every command, and the help of a command its options and examples", async () => {
  const top = await run("--help");
  assert.equal(top.code, 0);
  const groups = [
    "dev",
    "package",
    "cpi",
    "vnode",
    "flow",
    "vault",
    "ledger",
    "user",
    "role",
    "permission",
    "group",
    "initial-rbac",
    "audit",
    "network",
  ];
  for (const name of [...groups, "logs", "reset"]) assert.match(top.out, new RegExp(`^  ${name} `, "m"));
  const flowImport = await run("flow", "import", "--help");
  assert.equal(flowImport.code, 0);
  for (const text of ["--as-column", "--concurrency", "--report", "--target", "Exit codes"]) assert.ok(flowImport.out.includes(text), text);
  assert.match((await run("help", "flow")).out, /import/);
});

test("wrong arguments end with 2 and a sentence on standard error", async () => {
  const wrong: [readonly string[], RegExp][] = [
    [["nonsense"], /unknown command 'nonsense'/],
    [["flow", "start", "com.example.Flow"], /--as <vnode>' not specified/],
    [["flow", "import", "x.csv"], /--flow <name>' not specified/],
    [["flow", "import", "x.csv", "--flow", "f", "--concurrency", "many"], /whole number from 1 to 256/],
    [["flow", "import", "x.csv", "--flow", "f", "--as", "A", "--as-column", "who"], /cannot be used with option/],
    [["flow", "list", "--as", "Alice", "--status", "LOST"], /Allowed choices are START_REQUESTED/],
    [["vault", "list", "Alice", "--limit", "0"], /whole number/],
    [["user", "create", "ann"], /--full-name <name>' not specified/],
    [["user", "grant", "ann"], /missing required argument 'role'/],
    [["role", "deny", "Readers"], /missing required argument 'pattern'/],
    [["initial-rbac", "flow-executor"], /--v-node-id <id>' not specified/],
    [["audit", "access", "--limit", "x"], /whole number/],
  ];
  for (const [args, message] of wrong) {
    const { code, err, out } = await run(...args);
    assert.equal(code, 2, args.join(" "));
    assert.match(err, message);
    assert.equal(out, "");
  }
});

test("without a network a command says how to have one, as JSON where that is wanted", async () => {
  const plain = await run("vnode", "list");
  assert.equal(plain.code, 2);
  assert.match(plain.err, /^bowline: No network runs .* Start one with: bowline dev\./);
  const json = await run("vnode", "list", "--json");
  assert.equal((JSON.parse(json.out) as { error: { code: string } }).error.code, "cli.noNetwork");
});

test("an audit that fails says where, one that cannot begin says why, and the exit codes tell them apart", async () => {
  const history = join(folder, "doctored.history");
  const header = { format: "bowline-notary-history/1", groupId: "g", service: "O=Notary, L=London, C=GB", keys: [] };
  const entry = { seq: 2, head: "", decisions: "", seal: "" };
  writeFileSync(history, `${JSON.stringify(header)}\n${JSON.stringify(entry)}\n`);
  const doctored = await run("audit", "history", "--file", history);
  assert.equal(doctored.code, 1, doctored.err);
  assert.match(doctored.out, /entry 2/);
  assert.equal((await run("audit", "history", "--file", join(folder, "nowhere"))).code, 2);
  assert.equal((await run("audit", "history", "--file", folder)).code, 2, "nobody reads a folder");
});

test("options of the whole program may stand before or after the command", async () => {
  for (const args of [
    ["--json", "vnode", "list"],
    ["vnode", "list", "--json"],
  ])
    assert.ok((await run(...args)).out.startsWith("{"), args.join(" "));
});

/** What looks like a worker to whoever asks the system. */
function startStandIn(): number {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)", "packages/host/src/main.ts"], { stdio: "ignore" });
  after(() => child.kill());
  return child.pid as number;
}

test("the running network is found from below its folder, and a dead one counts for nothing", () => {
  const home = join(folder, "project", ".bowline");
  const below = join(folder, "project", "a", "b");
  mkdirSync(join(home, "secrets"), { recursive: true });
  mkdirSync(below, { recursive: true });
  assert.equal(findHome(below), home);
  assert.equal(readNetwork(home), undefined);
  const network = { url: "https://localhost:8888", caFile: join(home, "ca.pem"), user: "admin", startedAt: "2026-01-01T00:00:00Z" };
  writeFileSync(join(home, "network.json"), JSON.stringify({ ...network, pid: startStandIn() }));
  assert.equal(readNetwork(home)?.url, network.url);
  for (const pid of [2 ** 22 - 1, process.pid]) {
    writeFileSync(join(home, "network.json"), JSON.stringify({ ...network, pid }));
    assert.equal(readNetwork(home), undefined, "gone, or its id is another's now");
  }
});

test("the local password comes from the network's secrets, and BOWLINE_PASSWORD wins", async () => {
  const home = join(folder, "local", ".bowline");
  mkdirSync(join(home, "secrets"), { recursive: true });
  writeFileSync(join(home, "ca.pem"), "CA");
  writeFileSync(join(home, "secrets", "admin-password"), "local\n");
  const network = { url: "https://localhost:1", caFile: "ca.pem", user: "admin", pid: startStandIn(), startedAt: "now" };
  writeFileSync(join(home, "network.json"), JSON.stringify(network));
  const cwd = join(folder, "local");
  assert.deepEqual(await chooseTarget(terminalOf({ cwd }).terminal, {}), { url: network.url, user: "admin", password: "local", ca: "CA" });
  const { password } = await chooseTarget(terminalOf({ cwd, environment: { BOWLINE_PASSWORD: "other" } }).terminal, {});
  assert.equal(password, "other");
  await assert.rejects(chooseTarget(terminalOf({ cwd }).terminal, { user: "bob" }), { code: "cli.password" });
  const asked = await chooseTarget(terminalOf({ cwd, canAsk: true, askSecret: async () => "typed" }).terminal, { user: "bob" });
  assert.equal(asked.password, "typed");
});

test("a remote network needs a user, and takes no password in its address", async () => {
  const target = "https://bowline.example.com:8888";
  const { terminal } = terminalOf({ environment: { BOWLINE_PASSWORD: "secret" } });
  assert.deepEqual(await chooseTarget(terminal, { target, user: "ann" }), { url: target, user: "ann", password: "secret", ca: undefined });
  await assert.rejects(chooseTarget(terminal, { target }), { code: "cli.user" });
  await assert.rejects(chooseTarget(terminal, { target: "https://ann:pw@example.com", user: "ann" }), { code: "cli.target" });
  await assert.rejects(chooseTarget(terminal, { target: "ftp://example.com", user: "ann" }), { code: "cli.target" });
  await assert.rejects(chooseTarget(terminal, { target, user: "ann", ca: "missing.pem" }), { code: "cli.ca" });
});

test("a group policy names its members and its notary", async () => {
  const { code, out } = await run(
    "network",
    "generate-group-policy",
    "-m",
    "C=GB, L=London, O=Alice",
    "--notary",
    "O=Notary, L=Zurich, C=CH",
  );
  assert.equal(code, 0);
  const policy = JSON.parse(out) as {
    groupId: string;
    protocolParameters: { staticNetwork: { members: { name: string; notary?: unknown }[] } };
  };
  assert.match(policy.groupId, /^[0-9a-f-]{36}$/);
  const { members } = policy.protocolParameters.staticNetwork;
  assert.deepEqual(
    members.map(({ name, notary }) => [name, notary !== undefined]),
    [
      ["O=Notary, L=Zurich, C=CH", true],
      ["O=Alice, L=London, C=GB", false],
    ],
  );
  const several = ["--notary", "O=N1, L=Zurich, C=CH", "--notary", "O=N2, L=Bern, C=CH", "--notary-type", "contract-verifying"];
  const verifying = await run("network", "generate-group-policy", "-m", "O=Alice, L=London, C=GB", ...several, "--notary-signatures", "2");
  const { protocolParameters } = JSON.parse(verifying.out) as typeof policy;
  const service = {
    serviceName: "O=Notary Service, L=Zurich, C=CH",
    flowProtocolName: "com.r3.corda.notary.plugin.contractverifying",
    backchainRequired: false,
    signaturesRequired: 2,
  };
  assert.deepEqual(
    protocolParameters.staticNetwork.members.map(({ notary }) => notary),
    [service, service, undefined],
  );
  assert.equal((await run("network", "generate-group-policy", "-m", "O=A, L=B, C=GB", ...several, "--notary-signatures", "3")).code, 2);
  assert.equal((await run("network", "generate-group-policy")).code, 2);
  assert.equal((await run("network", "generate-group-policy", "-m", "Alice")).code, 1);
});

test("nothing but a home of Bowline is ever deleted, and not without a yes", async () => {
  const other = join(folder, "documents");
  mkdirSync(other);
  assert.match((await run("reset", "--yes", "--home", other)).err, /no home folder of Bowline/);
  const home = join(folder, "project", ".bowline");
  assert.match((await run("reset", "--home", home)).err, /Say --yes/);
});
