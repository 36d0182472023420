import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BowlineError, encode, parseName, secureHash } from "@bowline/base";
import { composeKeys, generateKeyPair, holdingIdentity, isFulfilledBy, secureHashOf } from "@bowline/crypto";
import type { SyscallContext } from "@bowline/flow";
import type { Syscall } from "@bowline/sdk";
import type { Directory, Member } from "./directory.ts";
import { createFlowServices } from "./syscalls.ts";

const GROUP = "7c5d6948-e17b-44e7-9d1c-fa4a3f667cad";
const [ALICE, BOB, CAROL, NOTARY] = ["Alice", "Bob", "Carol", "Notary"].map((o) => parseName(`O=${o}, L=London, C=GB`)) as [
  never,
  never,
  never,
  never,
];
const SERVICE = parseName("O=Notary Service, L=London, C=GB");
const { publicKey: KEY } = await generateKeyPair("CORDA.ECDSA.SECP256R1");
const { publicKey: OTHER } = await generateKeyPair("CORDA.EDDSA.ED25519");

const member = (name: never, status: "ACTIVE" | "SUSPENDED", ledgerKeys: readonly string[], notaryService?: never): Member => ({
  info: { name, status, ledgerKeys, ...(notaryService === undefined ? {} : { notaryService }) },
  memberContext: { "corda.name": name, "corda.platformVersion": "50300", "ext.colour": "blue" },
  mgmContext: { "corda.serial": "3", "corda.status": status },
});
const parameters = encode({ groupId: GROUP, epoch: 2, modifiedAt: 5, minimumPlatformVersion: 50_000, notaries: [] });
const directory = {
  hosted: async () => ({ holdingIdentity: holdingIdentity(ALICE, GROUP) }),
  members: async () => [
    member(ALICE, "SUSPENDED", [KEY]),
    member(BOB, "ACTIVE", [OTHER]),
    member(CAROL, "SUSPENDED", []),
    member(NOTARY, "ACTIVE", [], SERVICE as never),
  ],
  groupParameters: async () => ({ bytes: parameters, signature: new Uint8Array(), signedBy: KEY }),
} as unknown as Directory;

const asked: unknown[] = [];
const calls = {
  crypto: {
    sign: async (request: { readonly publicKey: string }) => {
      asked.push(request);
      if (request.publicKey === OTHER) throw new BowlineError("notFound", "crypto.keyUnknown", "Not yours.");
      return { signature: Uint8Array.of(1, 2, 3) };
    },
    filterMyKeys: async ({ keys }: { readonly keys: readonly string[] }) => ({ keys: keys.filter((key) => key === KEY) }),
  },
} as never;

const services = createFlowServices(calls, directory);
const context: SyscallContext = {
  identity: { flowId: "f", me: ALICE, groupId: GROUP } as never,
  path: "1",
  bundle: secureHash(new Uint8Array(32)),
  trusted: false,
};
const perform = async (call: Syscall): Promise<never> => {
  const outcome = await services.perform(call, context);
  return ("ok" in outcome ? outcome.ok : outcome.error) as never;
};

describe("members", () => {
  const names = (found: readonly { readonly name: string }[]) => found.map(({ name }) => name);

  test("those that are active, and the asker itself, with all that is known of them", async () => {
    assert.deepEqual(names(await perform({ kind: "members.find" })), [ALICE, BOB, NOTARY]);
    const [bob] = (await perform({ kind: "members.find", name: BOB })) as readonly Record<string, unknown>[];
    assert.deepEqual(bob, {
      name: BOB,
      status: "ACTIVE",
      ledgerKeys: [OTHER],
      serial: 3,
      platformVersion: 50_300,
      context: { "corda.name": BOB, "corda.platformVersion": "50300", "ext.colour": "blue" },
      groupContext: { "corda.serial": "3", "corda.status": "ACTIVE" },
    });
  });

  test("by ledger key, and nobody where there is none", async () => {
    assert.deepEqual(names(await perform({ kind: "members.find", key: OTHER })), [BOB]);
    assert.deepEqual(names(await perform({ kind: "members.find", key: "AAAA" })), []);
    assert.deepEqual(names(await perform({ kind: "members.find", name: CAROL })), []);
  });
});

test("the group's parameters come with the hash that transactions name", async () => {
  const found = (await perform({ kind: "group.parameters" })) as { readonly epoch: number; readonly hash: string };
  assert.deepEqual([found.epoch, found.hash], [2, secureHashOf(parameters)]);
});

describe("keys", () => {
  test("sign for the virtual node that asks, as an author's bytes and nothing else", async () => {
    const bytes = Uint8Array.of(9);
    const signed = await perform({ kind: "keys.sign", key: KEY, bytes });
    const tenant = holdingIdentity(ALICE, GROUP).shortHash;
    assert.deepEqual(signed, { by: KEY, vnode: tenant, spec: "SHA256withECDSA", signature: Uint8Array.of(1, 2, 3) });
    assert.deepEqual(asked.at(-1), { tenant, publicKey: KEY, purpose: "app", parts: { bytes, spec: null } });
  });

  test("of another are refused in words that a flow can catch", async () => {
    const { type } = (await perform({ kind: "keys.sign", key: OTHER, bytes: new Uint8Array() })) as { readonly type: string };
    assert.equal(type, "crypto.keyUnknown");
  });

  test("of mine: those that I hold, through composite keys too", async () => {
    const both = composeKeys({ threshold: 1, children: [KEY, OTHER].map((key) => ({ key, weight: 1 })) });
    assert.deepEqual(await perform({ kind: "keys.mine", keys: [OTHER, both, KEY] }), [KEY]);
  });

  test("are composed, or refused with the reason", async () => {
    const children = [KEY, OTHER].map((key) => ({ key, weight: 1 }));
    const composed: string = await perform({ kind: "keys.compose", threshold: 2, children });
    assert.deepEqual([isFulfilledBy(composed, new Set([KEY])), isFulfilledBy(composed, new Set([KEY, OTHER]))], [false, true]);
    const refused = (await perform({ kind: "keys.compose", threshold: 3, children })) as { readonly type: string };
    assert.equal(refused.type, "crypto.compositeInvalid");
  });
});
