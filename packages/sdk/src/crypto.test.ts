import assert from "node:assert/strict";
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { describe, test } from "node:test";
import { appPreimage } from "@bowline/base/preimage";
import { compositeKeys, digest, merkle, publicKeys, signatures } from "./crypto.ts";
import type { SignatureSpec } from "./signature-specs.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const textOf = (key: KeyObject) => key.export({ type: "spki", format: "der" }).toString("base64");

describe("digests", () => {
  test("are those of the platform", () => {
    const data = new TextEncoder().encode("häsh");
    const of = (name: string, some: Uint8Array) => createHash(name).update(some).digest();
    assert.equal(digest.hash("häsh"), `SHA-256:${of("sha256", data).toString("hex").toUpperCase()}`);
    assert.deepEqual(Buffer.from(digest.bytes(data, "SHA-256D")), of("sha256", of("sha256", data)));
    assert.deepEqual(Buffer.from(digest.bytes(data, "SHA-384")), of("sha384", data));
    assert.deepEqual(Buffer.from(digest.bytes(data, "SHA-512")), of("sha512", data));
    assert.deepEqual(Buffer.from(digest.bytes(data, "SHA3-256")), of("sha3-256", data));
    for (const name of digest.supported) assert.equal(digest.bytes(data, name).length, digest.length(name));
    assert.throws(() => digest.hash(data, "MD5"), { type: "digest.unknown" });
    assert.throws(() => digest.length("toString"), { type: "digest.unknown" });
  });

  test("as text are read back, and nothing else is", () => {
    const text = digest.hash("x", "SHA-384");
    const { algorithm, bytes: read } = digest.parse(text);
    assert.deepEqual([algorithm, read], ["SHA-384", digest.bytes("x", "SHA-384")]);
    for (const bad of [
      "",
      "SHA-256:",
      text.toLowerCase(),
      text.slice(0, -2),
      text.replace("384", "256"),
      `MD5:${"0".repeat(32)}`,
      "SHA-256:0G",
    ])
      assert.throws(() => digest.parse(bad), { type: "digest.malformed" });
  });
});

describe("Merkle trees", () => {
  const leaves = Array.from({ length: 11 }, (_, i) => bytes(i, i + 1));

  test("a proof shows its leaves, of exactly that tree", () => {
    const tree = merkle.tree(leaves, { domain: "prices" });
    const proof = tree.prove([7, 2]);
    assert.deepEqual(
      proof.leaves.map(({ index, data }) => [index, [...data]]),
      [
        [2, [2, 3]],
        [7, [7, 8]],
      ],
    );
    assert.ok(merkle.verify(proof, tree.root, "prices"));
    assert.ok(!merkle.verify(proof, tree.root, "other"));
    assert.ok(!merkle.verify(proof, merkle.tree(leaves).root));
    const [first, ...rest] = proof.leaves;
    assert.ok(first !== undefined);
    assert.ok(!merkle.verify({ ...proof, leaves: [{ ...first, data: bytes(9, 9) }, ...rest] }, tree.root, "prices"));
    assert.ok(!merkle.verify({ ...proof, count: 12 }, tree.root, "prices"));
    assert.ok(!merkle.verify({ ...proof, hashes: proof.hashes.slice(1) }, tree.root, "prices"));
    assert.throws(() => tree.prove([11]), { type: "merkle.malformed", name: "FlowError" });
  });

  test("a salt hides what is not shown, and does not change what is", () => {
    const [one, other] = [merkle.tree(leaves, { salt: bytes(1) }), merkle.tree(leaves, { salt: bytes(2) })];
    assert.notDeepEqual(one.root, other.root);
    const proof = one.prove([3]);
    assert.equal(proof.leaves[0]?.nonce.length, 32);
    assert.ok(merkle.verify(proof, one.root) && !merkle.verify(proof, other.root));
  });

  test("proofs shrink and join", () => {
    const tree = merkle.tree(leaves);
    const both = merkle.merge(tree.prove([1]), tree.prove([9]));
    assert.deepEqual(both, tree.prove([1, 9]));
    assert.deepEqual(merkle.subset(both, [9]), tree.prove([9]));
    assert.throws(() => merkle.merge(tree.prove([1]), merkle.tree(leaves.slice(1)).prove([2])), { type: "merkle.malformed" });
  });
});

const PAIRS = {
  "CORDA.ECDSA.SECP256R1": generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
  "CORDA.ECDSA.SECP256K1": generateKeyPairSync("ec", { namedCurve: "secp256k1" }),
  "CORDA.EDDSA.ED25519": generateKeyPairSync("ed25519"),
  "CORDA.RSA": generateKeyPairSync("rsa", { modulusLength: 2048 }),
};

describe("public keys", () => {
  for (const [scheme, { publicKey }] of Object.entries(PAIRS)) {
    test(`of ${scheme} are read from DER, PEM and text, and written back`, () => {
      const text = textOf(publicKey);
      const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
      const der = Uint8Array.from(publicKey.export({ type: "spki", format: "der" }));
      for (const encoded of [text, ` ${text}\n`, pem, der]) assert.equal(publicKeys.decode(encoded), text);
      assert.deepEqual([publicKeys.toPem(text), publicKeys.toBytes(text), publicKeys.scheme(text)], [pem, der, scheme]);
    });
  }

  test("what is none is refused", () => {
    const text = textOf(PAIRS["CORDA.RSA"].publicKey);
    const privatePem = PAIRS["CORDA.RSA"].privateKey.export({ type: "pkcs8", format: "pem" }).toString();
    const compressed = `${"MDYwEAYHKoZIzj0CAQYFK4EEAAoDIgAC"}${"A".repeat(43)}=`;
    const small = textOf(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey);
    for (const bad of [
      "",
      "AAAA",
      text.slice(0, -4),
      `${text}AAAA`,
      `${text.slice(0, -1)}!`,
      privatePem,
      compressed,
      small,
      "A".repeat(4_000),
    ])
      assert.throws(() => publicKeys.decode(bad), { type: "key.malformed" }, bad.slice(0, 30));
  });

  test("say which signatures they make, by digest too", () => {
    const [ec, ed, rsa] = (["CORDA.ECDSA.SECP256R1", "CORDA.EDDSA.ED25519", "CORDA.RSA"] as const).map((name) =>
      textOf(PAIRS[name].publicKey),
    );
    assert.deepEqual(
      [ec, ed, rsa].map((key) => publicKeys.defaultSpec(key ?? "")),
      ["SHA256withECDSA", "EdDSA", "SHA512withRSA"],
    );
    assert.equal(publicKeys.defaultSpec(rsa ?? "", "SHA-384"), "SHA384withRSA");
    assert.equal(publicKeys.defaultSpec(ed ?? "", "SHA-256"), undefined);
    assert.equal(publicKeys.compatibleSpecs(ec ?? "").length, 3);
  });
});

describe("signatures", () => {
  const data = bytes(1, 2, 3);
  const NODE_DIGEST: Readonly<Record<SignatureSpec, string | null>> = {
    SHA256withECDSA: "sha256",
    SHA384withECDSA: "sha384",
    SHA512withECDSA: "sha512",
    SHA256withRSA: "sha256",
    SHA384withRSA: "sha384",
    SHA512withRSA: "sha512",
    EdDSA: null,
  };
  const signed = (name: keyof typeof PAIRS, spec: SignatureSpec, over = data) => ({
    key: textOf(PAIRS[name].publicKey),
    spec,
    bytes: data,
    signature: Uint8Array.from(sign(NODE_DIGEST[spec], over, PAIRS[name].privateKey)),
  });

  for (const name of Object.keys(PAIRS) as (keyof typeof PAIRS)[]) {
    test(`of ${name} pass by each of its specifications, and by no other`, () => {
      const specs = publicKeys.compatibleSpecs(textOf(PAIRS[name].publicKey));
      for (const spec of specs) {
        const good = signed(name, spec);
        signatures.verifyForeign(good);
        for (const other of specs)
          if (other !== spec) assert.throws(() => signatures.verifyForeign({ ...good, spec: other }), { type: "signature.invalid" });
        assert.throws(() => signatures.verifyForeign({ ...good, bytes: bytes(1, 2, 4) }), { type: "signature.invalid" });
        const flipped = good.signature.map((byte, i) => (i === 20 ? byte ^ 1 : byte));
        for (const signature of [
          flipped,
          good.signature.slice(1),
          new Uint8Array(0),
          new Uint8Array(good.signature.length),
          new Uint8Array(300).fill(0xff),
        ])
          assert.throws(() => signatures.verifyForeign({ ...good, signature }), { type: "signature.invalid" });
      }
      const refused = name === "CORDA.EDDSA.ED25519" ? "SHA256withRSA" : "EdDSA";
      assert.throws(() => signatures.verifyForeign({ ...signed(name, specs[0] as SignatureSpec), spec: refused }), {
        type: "signature.specRefused",
      });
    });
  }

  test("both halves of the curve count, as they do for the platform", () => {
    const highs = Array.from({ length: 40 }, () => signed("CORDA.ECDSA.SECP256K1", "SHA256withECDSA"));
    for (const one of highs) signatures.verifyForeign(one);
  });

  test("a key whose point is on no curve signs nothing", () => {
    const good = signed("CORDA.ECDSA.SECP256R1", "SHA256withECDSA");
    const off = Buffer.from(good.key, "base64");
    off[90] = (off[90] as number) ^ 1;
    assert.throws(() => signatures.verifyForeign({ ...good, key: off.toString("base64") }), { type: "signature.invalid" });
  });

  test("made by a flow are of the purpose app and of one virtual node, and bare ones are not", () => {
    const vnode = "0123456789AB";
    const spec = "SHA256withECDSA";
    const { key: by, signature: bare } = signed("CORDA.ECDSA.SECP256R1", spec);
    const { signature } = signed("CORDA.ECDSA.SECP256R1", spec, appPreimage(vnode, data) as Uint8Array<ArrayBuffer>);
    signatures.verify(data, { by, vnode, spec, signature });
    assert.throws(() => signatures.verify(data, { by, vnode, spec, signature: bare }), { type: "signature.invalid" });
    for (const other of ["FFFFFFFFFFFF", "0123456789A", `${vnode}\0`])
      assert.throws(() => signatures.verify(data, { by, vnode: other, spec, signature }), { type: "signature.invalid" });
    const longer = signed("CORDA.ECDSA.SECP256R1", spec, appPreimage(`${vnode}\0\x01`, data) as Uint8Array<ArrayBuffer>);
    assert.throws(() => signatures.verify(data, { by, vnode: `${vnode}\0\x01`, spec, signature: longer.signature }), {
      type: "signature.invalid",
    });
    assert.throws(() => signatures.verifyForeign({ bytes: data, key: by, signature }), { type: "signature.invalid" });
  });
});

describe("composite keys", () => {
  const key = () => textOf(generateKeyPairSync("ec", { namedCurve: "prime256v1" }).publicKey);
  const [a, b, c] = [key(), key(), key()];
  const weighted = (...keys: string[]) => keys.map((one) => ({ key: one, weight: 1 }));

  test("are fulfilled by as many as their threshold asks for, and by themselves", () => {
    const board = compositeKeys.compose({ threshold: 2, children: weighted(a, b) });
    const whole = compositeKeys.compose({ threshold: 1, children: weighted(board, c) });
    assert.equal(compositeKeys.compose({ threshold: 1, children: weighted(c, board) }), whole);
    assert.deepEqual(new Set(compositeKeys.leaves(whole)), new Set([a, b, c]));
    assert.equal(compositeKeys.decompose(whole)?.threshold, 1);
    assert.equal(compositeKeys.decompose(a), undefined);
    const cases: readonly [readonly string[], boolean][] = [
      [[], false],
      [[a], false],
      [[a, b], true],
      [[c], true],
      [[board], true],
      [[whole], true],
    ];
    for (const [signers, expected] of cases) assert.equal(compositeKeys.isFulfilledBy(whole, signers), expected, signers.join());
  });

  test("that could not be are refused in the author's own terms", () => {
    assert.throws(() => compositeKeys.compose({ threshold: 3, children: weighted(a, b) }), { type: "crypto.compositeInvalid" });
    assert.throws(() => compositeKeys.compose({ threshold: 1, children: weighted(a, "AAAA") }), { type: "key.malformed" });
  });
});
