import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Signature } from "../../src/trust/evidence.ts";
import { identityToken } from "../../src/trust/identity-token.ts";
import { keylessBundle } from "../../src/trust/keyless-signing.ts";
import type { KeylessAuthority } from "../../src/trust/rule.ts";
import { ISSUER, identityTokenOf, type PrivateSigstore, privateSigstore, SUBJECT } from "./private-sigstore.ts";
import { DIGEST, evidence, OTHER_DIGEST, p256, REPOSITORY, ruleBy, verdictOf } from "./samples.ts";
import { type SigstoreServers, sigstoreServers } from "./sigstore-servers.ts";

const IMAGE = { repository: REPOSITORY, digest: DIGEST, annotations: { env: "prod" } };
const never = new AbortController().signal;

describe("keyless signing, by services of one's own", () => {
  let sigstore: PrivateSigstore;
  let servers: SigstoreServers;
  before(async () => {
    sigstore = await privateSigstore();
  });
  beforeEach(async () => {
    servers = await sigstoreServers(sigstore);
  });
  afterEach(() => servers.close());

  const keyless = (changes: Partial<KeylessAuthority> = {}): KeylessAuthority => ({
    kind: "keyless",
    name: "ci",
    formats: ["sigstoreBundle"],
    identity: "MatchRepository",
    annotations: { env: "prod" },
    trustedRoot: sigstore.trustedRoot,
    identities: [{ issuer: ISSUER, subject: SUBJECT }],
    tlogThreshold: 1,
    ctlogThreshold: 1,
    ...changes,
  });

  const bundle = async (token = identityTokenOf(), timestamp = false): Promise<Signature & { bytes: Buffer }> => {
    const { fulcio, rekor } = servers;
    const services = { fulcio, rekor, timestamp: timestamp ? servers.timestamp : null };
    return { format: "sigstoreBundle", bytes: await keylessBundle(IMAGE, token, services, never) };
  };

  async function denial(signature: Signature, changes: Partial<KeylessAuthority> = {}): Promise<string | null> {
    return (await verdictOf(ruleBy([keyless(changes)]), evidence(signature))).denial;
  }

  it("makes what counts for exactly who the token names", async () => {
    const signature = await bundle();
    const verdict = await verdictOf(ruleBy([keyless()]), evidence(signature));
    assert.equal(verdict.denial, null);
    assert.deepEqual(verdict.policies[0]?.authorities[0]?.signers, [JSON.stringify([ISSUER, SUBJECT])]);
    assert.deepEqual(servers.requests, ["POST /api/v2/signingCert", "POST /api/v1/log/entries"]);
    const others = [
      { issuer: "https://other.example", subject: SUBJECT },
      { issuer: ISSUER, subject: `${SUBJECT}x` },
    ];
    for (const identity of others)
      assert.match((await denial(signature, { identities: [identity] })) ?? "", /IdentityMismatch|it is signed by/);
    const { trustedRoot } = await privateSigstore();
    assert.notEqual(await denial(signature, { trustedRoot }), null);
  });

  it("makes it of this image and repository alone", async () => {
    const signature = await bundle();
    const rule = ruleBy([keyless()]);
    const elsewhere = { repository: "other/filter" };
    assert.equal((await verdictOf(rule, evidence(signature), { digests: [OTHER_DIGEST] })).allowed, false);
    assert.equal((await verdictOf(rule, evidence(signature), elsewhere)).allowed, false);
    assert.match((await denial(signature, { annotations: { env: "dev" } })) ?? "", /"env" is "prod"/);
  });

  it("makes a bundle 0.3 as cosign writes it: one certificate, one entry, no key id", async () => {
    const document = JSON.parse((await bundle()).bytes.toString());
    assert.equal(document.mediaType, "application/vnd.dev.sigstore.bundle.v0.3+json");
    assert.deepEqual(Object.keys(document.verificationMaterial.certificate), ["rawBytes"]);
    assert.deepEqual(
      document.verificationMaterial.tlogEntries.map((entry: { kindVersion: object }) => entry.kindVersion),
      [{ kind: "dsse", version: "0.0.1" }],
    );
    assert.equal(document.dsseEnvelope.payloadType, "application/vnd.in-toto+json");
    assert.deepEqual(
      document.dsseEnvelope.signatures.map(({ keyid }: { keyid?: string }) => keyid ?? ""),
      [""],
    );
  });

  it("names an e-mail that the issuer verified, and no other", async () => {
    const claims = { iss: ISSUER, sub: SUBJECT, email: "a@example.com" };
    await assert.rejects(bundle(identityTokenOf(claims)), { code: "BadToken", message: /did not verify/ });
    await assert.rejects(bundle(identityTokenOf({ iss: ISSUER })), { code: "BadToken" });
    assert.deepEqual(servers.requests, []);
    assert.equal(await denial(await bundle(identityTokenOf({ ...claims, email_verified: true }))), null);
  });

  it("asks a timestamp authority, too, where there is one", async () => {
    const signature = await bundle(identityTokenOf(), true);
    assert.ok(servers.requests.includes("POST /api/v1/timestamp"));
    const { verificationMaterial } = JSON.parse(signature.bytes.toString());
    assert.equal(verificationMaterial.timestampVerificationData.rfc3161Timestamps.length, 1);
    assert.equal(await denial(signature), null);
    // It is a proof of time in place of the log's, for a policy that wants no log.
    const unlogged = JSON.parse(signature.bytes.toString());
    unlogged.verificationMaterial.tlogEntries = [];
    const alone: Signature = { format: "sigstoreBundle", bytes: Buffer.from(JSON.stringify(unlogged)) };
    assert.equal(await denial(alone, { tlogThreshold: 0 }), null);
    assert.match((await denial(alone)) ?? "", /not enough transparency log entries/);
    // Of an authority that nobody vouches for it is worth nothing.
    const { timestampAuthorities: _none, ...root } = JSON.parse(sigstore.trustedRoot);
    assert.notEqual(await denial(signature, { trustedRoot: JSON.stringify(root) }), null);
  });

  const token = identityTokenOf();
  const json = (statusCode: number, value: unknown) => ({
    statusCode,
    response: JSON.stringify(value),
    contentType: "application/json",
  });
  const wrong = [
    [
      "fulcio",
      json(400, { code: 3, message: `bad token ${token}` }),
      /Fulcio, 127\.0\.0\.1:\d+\) refused a certificate: HTTP 400 \(is the token expired/,
    ],
    ["fulcio", json(500, { message: token }), /refused a certificate: HTTP 500$/],
    ["fulcio", { statusCode: 201, response: `<html>${token}` }, /answered with something else than a certificate$/],
    ["fulcio", json(201, {}), /answered with something else than a certificate$/],
    [
      "fulcio",
      json(201, { signedCertificateEmbeddedSct: { chain: { certificates: [] } } }),
      /something else than a cert/,
    ],
    [
      "fulcio",
      json(201, { signedCertificateEmbeddedSct: { chain: { certificates: [token] } } }),
      /of the key that signed/,
    ],
    ["fulcio", json(201, null), /something else than a certificate/],
    [
      "rekor",
      json(400, { message: token }),
      /the transparency log \(Rekor, 127\.0\.0\.1:\d+\) refused an entry: HTTP 400$/,
    ],
    ["rekor", json(503, { message: token }), /refused an entry: HTTP 503$/],
    ["rekor", { statusCode: 201, response: token }, /answered with something else than an entry$/],
    ["rekor", json(201, {}), /answered with something else than an entry$/],
    [
      "rekor",
      json(201, { a: { body: "e30=", logID: "00", logIndex: 1, integratedTime: 1 } }),
      /with proof and promise/,
    ],
    [
      "timestamp",
      json(400, { message: token }),
      /the timestamp authority \(127\.0\.0\.1:\d+\) refused a timestamp: HTTP 400$/,
    ],
  ] as const;
  for (const [name, answer, says] of wrong) {
    it(`says in one line who did not do it: ${name}, ${answer.statusCode} ${answer.response.slice(0, 30)}`, async () => {
      servers.answers[name] = answer;
      await assert.rejects(bundle(token, true), (error: Error & { code?: string }) => {
        assert.equal(error.code, "NotSigned");
        assert.match(error.message, says);
        assert.doesNotMatch(error.message, /\n/);
        withoutToken(error, token);
        return true;
      });
    });
  }

  it("takes no certificate of another key", async () => {
    const request = (await privateSigstore()).services.fulcio;
    const { response } = await request(
      JSON.stringify({
        credentials: { oidcIdentityToken: token },
        publicKeyRequest: { publicKey: { content: p256().publicPem } },
      }),
    );
    servers.answers.fulcio = { statusCode: 201, response, contentType: "application/json" };
    await assert.rejects(bundle(), { code: "NotSigned", message: /than a certificate of the key that signed/ });
    assert.deepEqual(servers.requests, ["POST /api/v2/signingCert"]);
  });

  it("says who can't be reached", async () => {
    const { fulcio } = servers;
    await servers.close();
    await assert.rejects(bundle(), {
      code: "NotSigned",
      message: `the certificate authority (Fulcio, ${fulcio.host}) can't be reached: ECONNREFUSED`,
    });
  });

  it("ends when it is told to, whatever the services do", async () => {
    const stop = new AbortController();
    const silent = await sigstoreServers({ services: { ...sigstore.services, fulcio: () => new Promise(() => {}) } });
    const pending = keylessBundle(IMAGE, token, silent, stop.signal);
    setTimeout(() => stop.abort(), 50);
    await assert.rejects(pending, { name: "AbortError" });
    await silent.close();
  });
});

describe("an identity token", () => {
  const token = identityTokenOf();
  const from = (environment: Record<string, string>, file: { name: string; text: string } | null = null) =>
    identityToken({ file, environment }, never);

  it("comes from a file, else from the environment, and is asked for only then", async () => {
    const other = identityTokenOf({ iss: ISSUER, sub: "other" });
    const file = { name: "token", text: `${token}\n` };
    assert.equal(await from({ SIGSTORE_ID_TOKEN: other }, file), token);
    assert.equal(await from({ SIGSTORE_ID_TOKEN: token, ACTIONS_ID_TOKEN_REQUEST_URL: "x" }), token);
  });

  it("is missed with the three ways to give it", async () => {
    const message = /--identity-token-file FILE.*SIGSTORE_ID_TOKEN.*GitHub Actions.*id-token: write/;
    for (const environment of [{}, { SIGSTORE_ID_TOKEN: "" }, { ACTIONS_ID_TOKEN_REQUEST_URL: "http://127.0.0.1:1" }])
      await assert.rejects(from(environment as Record<string, string>), { code: "BadToken", message });
  });

  it("is a JSON Web Token of a size that can be", async () => {
    for (const text of ["", "secret", "a.b", `${token} ${token}`, `${token}\r\nX: y`])
      await assert.rejects(from({}, { name: "token", text }), (error: Error & { code?: string }) => {
        assert.equal(error.code, "BadToken");
        assert.equal(error.message, "token holds no identity token (a JSON Web Token)");
        return true;
      });
    const text = "a".repeat(64 * 1024 + 1);
    await assert.rejects(from({}, { name: "token", text }), { code: "BadToken", message: /more than 65536 bytes/ });
  });

  describe("of a job of GitHub Actions", () => {
    const names = ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "SIGSTORE_ID_TOKEN", "BUILDKITE"];
    const before = names.map(name => [name, process.env[name]] as const);
    afterEach(() => {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });

    async function asked(statusCode: number, answer: object) {
      const requests: string[] = [];
      const server = createServer((request, response) => {
        requests.push(`${request.url} ${request.headers.authorization}`);
        response.writeHead(statusCode, { "Content-Type": "application/json", Connection: "close" });
        response.end(JSON.stringify(answer));
      });
      await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
      for (const name of names) delete process.env[name];
      process.env["ACTIONS_ID_TOKEN_REQUEST_URL"] =
        `http://127.0.0.1:${(server.address() as AddressInfo).port}/job?v=2`;
      process.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = "job-secret";
      try {
        const result = await identityToken({ file: null, environment: process.env }, never).catch(error => error);
        return { result, requests };
      } finally {
        await new Promise(resolve => server.close(resolve));
      }
    }

    it("is asked for with the audience of Fulcio", async () => {
      const { result, requests } = await asked(200, { value: token });
      assert.equal(result, token);
      assert.deepEqual(requests, ["/job?v=2&audience=sigstore Bearer job-secret"]);
    });

    it("is missed in one line, without the job's secret", async () => {
      const { result } = await asked(403, { message: "job-secret" });
      assert.equal(result.code, "NotSigned");
      assert.equal(result.message, "GitHub Actions gave no identity token");
      withoutToken(result, "job-secret");
    });
  });
});

/** Nothing of an error, down to its causes, has the token or one of its longer parts. */
function withoutToken(error: Error, token: string): void {
  for (let one: unknown = error; one instanceof Error; one = one.cause)
    for (const part of [token, ...token.split(".").filter(({ length }) => length > 24)])
      assert.ok(!`${one.stack} ${JSON.stringify(one)}`.includes(part), "the token is in an error");
}
