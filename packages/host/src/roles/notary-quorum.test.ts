import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { parseName, type ShortHash } from "@bowline/base";
import { decomposeKey, generateBootKey, leafKeys, pemOf } from "@bowline/crypto";
import { decodeParameters } from "@bowline/membership";
import { openConnection } from "../sealed-connection.ts";
import { buildTestCpi, createTestNode, GROUP_ID, groupPolicy, startTestCluster, type TestCluster, uploadTestCpi } from "./test-cluster.ts";

const SERVICE = "O=Quorum, L=London, C=GB";
const NODES = ["O=Notary A, L=London, C=GB", "O=Notary B, L=Paris, C=FR", "O=Notary C, L=Berlin, C=DE"].map(parseName);
const members = NODES.map((name) => ({
  name,
  "endpointUrl-1": "https://localhost:1080",
  "endpointProtocol-1": 1,
  notary: { serviceName: SERVICE, signaturesRequired: 2 },
}));

describe("a notary service that several virtual nodes run", () => {
  let cluster: TestCluster;
  let checksum: string;
  const rest = () => cluster.calls.for("rest").db;

  before(async () => {
    cluster = await startTestCluster();
    await rest().importCertificate({ usage: "code-signer", vnode: null, alias: "tests", pem: pemOf(cluster.signer.chain) });
    checksum = await uploadTestCpi(cluster, await buildTestCpi(cluster.signer, { policy: groupPolicy(members) }));
  });
  after(() => cluster.stop());

  const notaries = async () => {
    const signed = await rest().groupParameters({ groupId: GROUP_ID, hash: null });
    return signed === null ? [] : decodeParameters(signed.bytes).notaries;
  };

  test("is listed when enough of them are there to sign, and then with a key of them all", async () => {
    assert.equal((await createTestNode(cluster, checksum, NODES[0] as string)).status, "SUCCEEDED");
    assert.deepEqual(await notaries(), []);
    const made = await Promise.all(NODES.slice(1).map((name) => createTestNode(cluster, checksum, name)));
    assert.deepEqual(
      made.map(({ status }) => status),
      ["SUCCEEDED", "SUCCEEDED"],
    );
    const [notary] = await notaries();
    assert.deepEqual(notary?.members, NODES);
    assert.equal(leafKeys(notary?.key ?? "").length, 3);
    assert.equal(decomposeKey(notary?.key ?? "")?.threshold, 2);
  });

  test("has one memory, whichever of them is asked", async () => {
    const nodes = (await rest().virtualNodes(null)).map(({ holdingIdentity }) => holdingIdentity.shortHash);
    const schemaOf = async (vnode: ShortHash) => {
      const bootKey = generateBootKey();
      const request = { database: { kind: "uniqueness", vnode }, sealTo: bootKey.publicKey } as const;
      const { sealed } = await cluster.db.service.connection(request, { role: "uniqueness" });
      return openConnection(bootKey, sealed).schema;
    };
    const schemas = await Promise.all(nodes.map(schemaOf));
    assert.equal(schemas.length, 3);
    assert.equal(new Set(schemas).size, 1);
  });
});
