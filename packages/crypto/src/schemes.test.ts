import assert from "node:assert/strict";
import { createPublicKey, ECDH, generateKeyPairSync } from "node:crypto";
import { before, describe, test } from "node:test";
import { utf8 } from "@bowline/base";
import { secureHashOf } from "./digest.ts";
import {
  generateKeyPair,
  type KeyPair,
  keyIdOf,
  parseScheme,
  publicKeyText,
  SCHEMES,
  type SchemeName,
  schemeOf,
  sign,
  signSync,
  verify,
  verifyAll,
  verifySync,
} from "./schemes.ts";

const bytes = utf8("an obligation");
const names = Object.keys(SCHEMES) as SchemeName[];

for (const scheme of names)
  describe(scheme, () => {
    let pair: KeyPair;
    before(async () => {
      pair = await generateKeyPair(scheme);
    });

    test("what was signed verifies, here and on the thread pool, under every specification of the scheme", async () => {
      for (const spec of SCHEMES[scheme].specs) {
        const { publicKey } = pair;
        for (const signature of [signSync(pair.privateKey, bytes, spec), await sign(pair.privateKey, bytes, spec)]) {
          assert.equal(verifySync({ publicKey, bytes, signature, spec }), true);
          assert.equal(await verify({ publicKey, bytes, signature, spec }), true);
        }
      }
    });

    test("other bytes, another signature and another key do not verify", async () => {
      const signature = signSync(pair.privateKey, bytes);
      const { publicKey } = pair;
      const flipped = signature.slice();
      flipped[flipped.length - 1] = (flipped.at(-1) as number) ^ 1;
      const other = (await generateKeyPair("CORDA.ECDSA.SECP256R1")).publicKey;
      const answers = await verifyAll([
        { publicKey, bytes, signature },
        { publicKey, bytes: utf8("another obligation"), signature },
        { publicKey, bytes, signature: flipped },
        { publicKey, bytes, signature: new Uint8Array() },
        { publicKey: other, bytes, signature },
      ]);
      assert.deepEqual(answers, [true, false, false, false, false]);
      assert.equal(verifySync({ publicKey, bytes, signature: flipped }), false);
    });

    test("a public key names its scheme, and its id is the hash of its encoding", () => {
      assert.equal(schemeOf(pair.publicKey), scheme);
      assert.equal(publicKeyText(pair.privateKey), pair.publicKey);
      assert.equal(keyIdOf(pair.publicKey), secureHashOf(Buffer.from(pair.publicKey, "base64")));
    });
  });

test("that a signature is known to be valid says nothing of any other, however it is cut", async () => {
  const { publicKey, privateKey } = await generateKeyPair("CORDA.RSA");
  const signature = signSync(privateKey, bytes, "SHA256withRSA");
  const known = { publicKey, bytes, signature, spec: "SHA256withRSA" } as const;
  const wrong = [
    { ...known, bytes: bytes.slice(1), signature: new Uint8Array([...signature, bytes[0] as number]) },
    { ...known, bytes: new Uint8Array([signature.at(-1) as number, ...bytes]), signature: signature.slice(0, -1) },
    { ...known, spec: "SHA512withRSA" },
    { ...known, publicKey: (await generateKeyPair("CORDA.RSA")).publicKey },
  ] as const;
  assert.equal(verifySync(known), true);
  for (const one of wrong) assert.equal(verifySync(one), false);
  for (const one of wrong) assert.equal(await verify(one), false);
  assert.deepEqual(await verifyAll([known, ...wrong, known]), [true, false, false, false, false, true]);
});

test("a valid signature is checked once, and what is not valid each time", async () => {
  const { publicKey, privateKey } = await generateKeyPair("CORDA.RSA");
  const signed = { publicKey, bytes, signature: signSync(privateKey, bytes) };
  const secondsOf = (work: () => void) => {
    const started = process.cpuUsage();
    for (let i = 0; i < 200; i++) work();
    return process.cpuUsage(started).user / 1e6;
  };
  verifySync(signed);
  const other = { ...signed, bytes: utf8("another") };
  const [once, eachTime] = [secondsOf(() => assert.ok(verifySync(signed))), secondsOf(() => assert.ok(!verifySync(other)))];
  assert.ok(once < eachTime / 2, `${once} s against ${eachTime} s`);
});

test("a specification of another scheme is refused when signing and never verifies", async () => {
  const { privateKey, publicKey } = await generateKeyPair("CORDA.EDDSA.ED25519");
  assert.throws(() => signSync(privateKey, bytes, "SHA256withRSA"), { code: "crypto.specRefused" });
  assert.equal(verifySync({ publicKey, bytes, signature: signSync(privateKey, bytes), spec: "SHA256withRSA" }), false);
});

test("one key has one text: other encodings of it are refused", async () => {
  const { publicKey } = await generateKeyPair("CORDA.ECDSA.SECP256R1");
  const der = Buffer.from(publicKey, "base64");
  const compressed = ECDH.convertKey(der.subarray(-65), "prime256v1", undefined, undefined, "compressed");
  const compressedDer = Buffer.concat([Buffer.from("3039301306072a8648ce3d020106082a8648ce3d030107032200", "hex"), compressed as Buffer]);
  assert.ok(createPublicKey({ key: compressedDer, format: "der", type: "spki" }), "the platform reads it");
  for (const text of [
    compressedDer.toString("base64"),
    publicKey.replace(/=*$/, "\n"),
    Buffer.concat([der, Buffer.of(0)]).toString("base64"),
    "",
    "x".repeat(10_000),
  ])
    assert.throws(() => schemeOf(text), { code: "crypto.keyMalformed" });
});

test("keys of schemes that are not in the table are refused", () => {
  for (const { publicKey } of [generateKeyPairSync("ec", { namedCurve: "secp384r1" }), generateKeyPairSync("rsa", { modulusLength: 1024 })])
    assert.throws(() => schemeOf(publicKey.export({ type: "spki", format: "der" }).toString("base64")), { code: "crypto.keyMalformed" });
  assert.throws(() => parseScheme("CORDA.SM2"), { code: "crypto.schemeUnknown" });
});
