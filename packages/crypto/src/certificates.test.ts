import assert from "node:assert/strict";
import { randomBytes, type X509Certificate } from "node:crypto";
import { before, describe, test } from "node:test";
import { checkServerIdentity, createServer, connect as tlsConnect } from "node:tls";
import { type Env, type Instant, parseName, utf8 } from "@bowline/base";
import { type CertificateUse, judgeChain, parseCertificates, parseChain, pemOf, signerName, signerSummaryHash } from "./certificates.ts";
import { signDetached, verifyDetached } from "./cms.ts";
import { type Credential, createSelfSigned, credentialPem, issueCertificate, parseCredential } from "./issuing.ts";
import { generateKeyPair, type SchemeName } from "./schemes.ts";

const DAY_MS = 86_400_000;
const now: Instant = Date.UTC(2030, 5, 1);
const env: Env = { now, random: (length) => new Uint8Array(randomBytes(length)) };
const name = (commonName: string) => parseName(`CN=${commonName}, O=Bowline, L=London, C=GB`);

async function issue(
  issuer: Credential,
  commonName: string,
  use: CertificateUse,
  change: { from?: Instant; until?: Instant; hosts?: string[] } = {},
) {
  const { publicKey, privateKey } = await generateKeyPair("CORDA.ECDSA.SECP256R1");
  const issuerName = parseName(issuer.chain[0]?.subject.replaceAll("\n", ", ") ?? "");
  const request = {
    subject: name(commonName),
    publicKey,
    use,
    validFrom: change.from ?? now - DAY_MS,
    validUntil: change.until ?? now + DAY_MS,
  };
  const certificate = issueCertificate(
    { name: issuerName, privateKey: issuer.privateKey },
    change.hosts === undefined ? request : { ...request, hosts: change.hosts },
    env.random,
  );
  return { privateKey, chain: [certificate, ...issuer.chain] };
}

const refusal = (
  chain: readonly X509Certificate[],
  anchors: readonly X509Certificate[],
  at = now,
  use: CertificateUse = "code-signing",
) => {
  const judgement = judgeChain(chain, { anchors, at, use });
  return judgement.kind === "trusted" ? "trusted" : judgement.code;
};

describe("a chain of certificates", () => {
  let root: Credential;
  let middle: Credential;
  let leaf: Credential;
  before(async () => {
    root = await createSelfSigned({ subject: name("Root"), use: "authority", days: 30 }, env);
    middle = await issue(root, "Middle", "authority");
    leaf = await issue(middle, "Leaf", "code-signing");
  });
  const anchors = () => root.chain;

  test("is trusted when it leads to a certificate that is, whether the chain holds that one or not", () => {
    assert.equal(refusal(leaf.chain, anchors()), "trusted");
    assert.equal(refusal(leaf.chain.slice(0, 2), anchors()), "trusted");
    assert.equal(refusal(leaf.chain, middle.chain.slice(0, 1)), "trusted");
    assert.equal(refusal(leaf.chain, leaf.chain.slice(0, 1)), "trusted");
  });

  test("is refused when it leads nowhere, or only seems to", async () => {
    const imposter = await createSelfSigned({ subject: name("Root"), use: "authority", days: 30 }, env);
    assert.equal(refusal(leaf.chain, []), "certificate.untrusted");
    assert.equal(refusal(leaf.chain, imposter.chain), "certificate.untrusted");
    assert.equal(refusal(leaf.chain.slice(0, 1), anchors()), "certificate.untrusted");
    assert.equal(refusal([leaf.chain[0] as X509Certificate, ...anchors()], []), "certificate.chainBroken");
    assert.equal(refusal([], anchors()), "certificate.untrusted");
  });

  test("is refused outside the dates of any certificate below the trusted one", async () => {
    assert.equal(refusal(leaf.chain, anchors(), now + DAY_MS + 1000), "certificate.expired");
    assert.equal(refusal(leaf.chain, anchors(), now - DAY_MS - 1000), "certificate.notYetValid");
    const stale = await issue(await issue(root, "Stale", "authority", { until: now - 1000 }), "Leaf", "code-signing");
    assert.equal(refusal(stale.chain, anchors()), "certificate.expired");
    const own = await createSelfSigned({ subject: name("Signer"), use: "code-signing", days: 1 }, env);
    assert.equal(refusal(own.chain, own.chain, now + 2 * DAY_MS), "certificate.expired");
  });

  test("is refused for what its certificates are not for", async () => {
    const server = await issue(root, "Server", "tls-server", { hosts: ["localhost"] });
    assert.equal(refusal(server.chain, anchors()), "certificate.misused");
    assert.equal(refusal(server.chain, anchors(), now, "tls-server"), "trusted");
    assert.equal(refusal(leaf.chain, anchors(), now, "tls-server"), "certificate.misused");
    assert.equal(refusal(middle.chain, anchors()), "certificate.misused", "an authority signs no code");
    const below = await issue(leaf, "Below", "code-signing");
    assert.equal(refusal(below.chain, anchors()), "certificate.chainBroken", "a code signer issues nothing");
    assert.equal(refusal(below.chain, leaf.chain.slice(0, 1)), "certificate.chainBroken");
  });

  test("travels as PEM, leaf first, each issued by the next, none twice", () => {
    const read = parseChain(`a comment\n${pemOf(leaf.chain)}`);
    assert.deepEqual(
      read.map(({ fingerprint256 }) => fingerprint256),
      leaf.chain.map(({ fingerprint256 }) => fingerprint256),
    );
    assert.throws(() => parseChain(pemOf([...leaf.chain].reverse())), { code: "certificate.chainBroken" });
    assert.throws(() => parseChain(pemOf([...root.chain, ...root.chain])), { code: "certificate.chainBroken" });
    assert.throws(() => parseCertificates(""), { code: "certificate.malformed" });
    assert.throws(() => parseCertificates(credentialPem(leaf)), { code: "certificate.malformed" }, "a key is no certificate");
    const corrupt = pemOf(root.chain).replace(/\n.{8}/, "\nAAAAAAAA");
    assert.throws(() => parseCertificates(corrupt), { code: "certificate.malformed" });
  });
});

test("a TLS server with an issued certificate is reached by each of its names, and by no other", async () => {
  const present = { ...env, now: Date.now() };
  const authority = await createSelfSigned({ subject: name("Authority"), use: "authority", days: 30 }, present);
  const hosts = ["localhost", "127.0.0.1", "::1", "node-1.example.com", "node-2", "2001:db8::1:0"];
  const { privateKey, chain } = await issue(authority, "Server", "tls-server", {
    hosts,
    from: present.now - DAY_MS,
    until: present.now + DAY_MS,
  });
  const pem = { key: privateKey.export({ type: "pkcs8", format: "pem" }), cert: pemOf(chain.slice(0, 1)) };
  const server = createServer({ ...pem, minVersion: "TLSv1.3" }, (socket) => socket.end("hello"));
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const greet = (servername: string) =>
    new Promise<string>((resolve) => {
      const host = { host: "127.0.0.1", port, ca: pemOf(authority.chain) };
      const socket = tlsConnect({ ...host, checkServerIdentity: (_, peer) => checkServerIdentity(servername, peer) });
      socket
        .once("data", (data) => resolve(data.toString()))
        .once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    });
  assert.deepEqual(
    await Promise.all(hosts.map(greet)),
    hosts.map(() => "hello"),
  );
  assert.equal(await greet("elsewhere.example.com"), "ERR_TLS_CERT_ALTNAME_INVALID");
  server.close();
});

test("a server certificate names hosts, and only what can be one", async () => {
  const authority = await createSelfSigned({ subject: name("Authority"), use: "authority", days: 1 }, env);
  for (const hosts of [[], ["a host"], ["-x"], ["a..b"], ["1.2.3.256"], ["1.2.3"], ["::g"], ["[::1]"], ["fe80::1%eth0"], ["a:80"]])
    await assert.rejects(issue(authority, "Server", "tls-server", { hosts }), { code: "certificate.hostInvalid" });
});

test("a credential travels as one PEM file, whose key and certificate belong together", async () => {
  const [a, b] = (await Promise.all(
    ["A", "B"].map((text) => createSelfSigned({ subject: name(text), use: "code-signing", days: 1 }, env)),
  )) as [Credential, Credential];
  const read = parseCredential(credentialPem(a));
  assert.ok(read.privateKey.equals(a.privateKey));
  assert.equal(pemOf(read.chain), pemOf(a.chain));
  for (const pem of ["", pemOf(a.chain), credentialPem({ ...a, chain: b.chain }), credentialPem(a) + credentialPem(b)])
    assert.throws(() => parseCredential(pem), { code: "credential.malformed" });
});

describe("the summary of signers", () => {
  test("is the one that Corda computes from the same subject", async () => {
    const { chain } = await createSelfSigned(
      { subject: parseName("CN=CPI Plugin Example - Signing Key 1, O=R3, L=London, C=GB"), use: "code-signing", days: 1 },
      env,
    );
    assert.equal(signerName(chain[0] as X509Certificate), "C=GB,L=London,O=R3,CN=CPI Plugin Example - Signing Key 1");
    assert.equal(signerSummaryHash(chain), "SHA-256:954202EC14D5AE47B67429318FC819F8CDEE442A17499CC2E04AA498E144E859");
  });

  test("depends neither on the order of the signers nor on their keys", async () => {
    const make = async (text: string) =>
      (await createSelfSigned({ subject: name(text), use: "code-signing", days: 1 }, env)).chain[0] as X509Certificate;
    const [a, b, again] = [await make("A\\, Ltd."), await make("Zoë"), await make("A\\, Ltd.")];
    assert.equal(signerSummaryHash([a, b]), signerSummaryHash([b, a]));
    assert.equal(signerSummaryHash([a]), signerSummaryHash([again]));
    assert.notEqual(signerSummaryHash([a]), signerSummaryHash([b]));
    assert.equal(signerName(a), "C=GB,L=London,O=Bowline,CN=A\\, Ltd.");
    assert.throws(() => signerSummaryHash([]), { code: "certificate.none" });
  });
});

describe("a detached signature", () => {
  for (const scheme of ["CORDA.ECDSA.SECP256R1", "CORDA.EDDSA.ED25519", "CORDA.RSA"] satisfies SchemeName[])
    test(`by ${scheme} holds for its content and for no other`, async () => {
      const signer = await createSelfSigned({ subject: name("Signer"), use: "code-signing", days: 1, scheme }, env);
      const der = signDetached(signer, utf8("content"));
      assert.deepEqual(
        verifyDetached(der, utf8("content")).map((chain) => pemOf(chain)),
        [pemOf(signer.chain)],
      );
      assert.throws(() => verifyDetached(der, utf8("other")), { code: "cms.signatureInvalid" });
    });

  test("with a byte changed is refused, or names the same signer", async () => {
    const signer = await createSelfSigned({ subject: name("Signer"), use: "code-signing", days: 1 }, env);
    const der = signDetached(signer, utf8("content"));
    for (let i = 0; i < der.length; i++) {
      const changed = der.slice();
      changed[i] = (changed[i] as number) ^ 0x01;
      try {
        // What a certificate says is not signed by the block that carries it, but by its issuer.
        const [chain = []] = verifyDetached(changed, utf8("content"));
        if (pemOf(chain) !== pemOf(signer.chain)) assert.notEqual(refusal(chain, signer.chain), "trusted", `byte ${i}`);
      } catch (error) {
        assert.match((error as { code?: string }).code ?? String(error), /^c(ms|ertificate)\./, `byte ${i}`);
      }
    }
  });

  test("whose lengths a lenient reader would mend is refused", async () => {
    const signer = await createSelfSigned({ subject: name("Signer"), use: "code-signing", days: 1 }, env);
    const der = signDetached(signer, utf8("content"));
    const certificate = signer.chain[0]?.raw as Buffer;
    const at = Buffer.from(der).indexOf(certificate);
    assert.ok(at > 0);
    // The lengths of the set of certificates, of the certificate, and of the first parts inside it.
    for (const i of [at - 1, at + 3, at + 7, at + 9])
      for (const bit of [0x01, 0x10, 0x80]) {
        const changed = der.slice();
        changed[i] = (changed[i] as number) ^ bit;
        assert.throws(() => verifyDetached(changed, utf8("content")), { code: "cms.malformed" }, `byte ${i - at}, bit ${bit}`);
      }
    assert.throws(() => verifyDetached(Uint8Array.of(...der, 0), utf8("content")), { code: "cms.malformed" });
  });

  test("is not made with another's certificate", async () => {
    const [a, b] = await Promise.all([1, 2].map(() => createSelfSigned({ subject: name("Signer"), use: "code-signing", days: 1 }, env)));
    assert.throws(() => signDetached({ privateKey: (a as Credential).privateKey, chain: (b as Credential).chain }, utf8("x")), {
      code: "certificate.keyDiffers",
    });
  });
});
