import assert from "node:assert/strict";
import { constants, type createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { preAuthEncoding } from "../../src/trust/bundle.ts";
import type { Signature } from "../../src/trust/evidence.ts";
import type { FailureCode } from "../../src/trust/failure.ts";
import { isSignedBy, readPublicKey } from "../../src/trust/public-key.ts";
import type { Rule } from "../../src/trust/rule.ts";
import { signedPayload } from "../../src/trust/signing.ts";
import { PAYLOAD_TYPE } from "../../src/trust/statement.ts";
import {
  authority,
  bundleBy,
  DIGEST,
  evidence,
  type KeyPair,
  KINDS,
  OTHER_DIGEST,
  p256,
  payloadBy,
  REPOSITORY,
  ruleBy,
  verdictOf,
} from "./samples.ts";

const key = p256();

/** Denied, and the only authority of the only policy says why. */
async function refused(code: FailureCode, rule: Rule, signature: Signature, says: RegExp, changes = {}): Promise<void> {
  const verdict = await verdictOf(rule, evidence(signature), changes);
  assert.equal(verdict.allowed, false);
  assert.equal(verdict.policies[0]?.authorities[0]?.failure?.code, code);
  assert.match(verdict.denial ?? "", says);
}

/** A payload of one's own making, signed by the key. */
function signedText(text: string, { signer }: KeyPair = key): Signature {
  const payload = Buffer.from(text);
  return { format: "simpleSigning", payload, signature: sign(signer.hash, payload, signer.key) };
}

/** A statement of one's own making in a bundle. */
function statement(value: unknown, { payloadType = PAYLOAD_TYPE, pair = key, twice = false } = {}): Signature {
  const payload = Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
  const sig = sign(pair.signer.hash, preAuthEncoding({ payloadType, payload }), pair.signer.key).toString("base64");
  const document = {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { publicKey: { hint: "x" } },
    dsseEnvelope: {
      payloadType,
      payload: payload.toString("base64"),
      signatures: twice ? [{ sig: "AAAA" }, { sig }] : [{ sig }],
    },
  };
  return { format: "sigstoreBundle", bytes: Buffer.from(JSON.stringify(document)) };
}

const STATEMENT = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ digest: { sha256: "a".repeat(64) }, annotations: { "wasmount.dev/repository": REPOSITORY } }],
  predicateType: "https://sigstore.dev/cosign/sign/v1",
  predicate: {},
};

function payload(changes: { identity?: unknown; image?: unknown; type?: unknown; more?: object } = {}): string {
  const critical = {
    identity: changes.identity ?? { "docker-reference": REPOSITORY },
    image: changes.image ?? { "docker-manifest-digest": DIGEST },
    type: changes.type ?? "cosign container image signature",
    ...changes.more,
  };
  return JSON.stringify({ critical, optional: null });
}

describe("signatures by keys", () => {
  for (const [kind, make] of Object.entries(KINDS)) {
    it(`count in both formats: ${kind}`, async () => {
      const pair = make();
      for (const signature of [bundleBy(pair), payloadBy(pair)]) {
        const verdict = await verdictOf(ruleBy([authority(pair)]), evidence(signature));
        assert.equal(verdict.denial, null);
        assert.deepEqual(verdict.policies[0]?.outcome, "Passed");
      }
    });

    it(`don't count for another key, and not with a bit changed: ${kind}`, async () => {
      const pair = make();
      const other = make();
      for (const signature of [bundleBy(other), payloadBy(other)]) {
        await refused(
          "WrongKey",
          ruleBy([authority(pair)]),
          signature,
          /release: the signature found is not by this key/,
        );
      }
      const { payload: said, signature } = signedPayload(
        { repository: REPOSITORY, digest: DIGEST, annotations: {} },
        pair.signer,
      );
      const public_ = readPublicKey(pair.publicPem);
      assert.ok(isSignedBy(public_, said, signature));
      said.writeUInt8(said.readUInt8(20) ^ 1, 20);
      assert.ok(!isSignedBy(public_, said, signature));
    });
  }

  it("take PSS of an ordinary RSA key, with a salt as long as the hash", () => {
    const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const data = Buffer.from("data");
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    const read = readPublicKey(publicKey.export({ type: "spki", format: "pem" }).toString());
    assert.ok(isSignedBy(read, data, sign("sha256", data, { key: privateKey, padding, saltLength: 32 })));
    assert.ok(!isSignedBy(read, data, sign("sha256", data, { key: privateKey, padding, saltLength: 20 })));
  });

  it("hash by the key: P-384 with SHA-256 counts only where the policy says so", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    const data = Buffer.from("data");
    const signature = sign("sha256", data, privateKey);
    assert.ok(!isSignedBy(readPublicKey(pem), data, signature));
    assert.ok(isSignedBy(readPublicKey(pem, "sha256"), data, signature));
  });

  it("are DER alone for ECDSA", () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const data = Buffer.from("data");
    const raw = sign("sha256", data, { key: privateKey, dsaEncoding: "ieee-p1363" });
    assert.ok(!isSignedBy(readPublicKey(publicKey.export({ type: "spki", format: "pem" }).toString()), data, raw));
  });

  it("need keys that are strong enough, public and alone", () => {
    const pem = (keys: { publicKey: ReturnType<typeof createPublicKey> }) =>
      keys.publicKey.export({ type: "spki", format: "pem" }).toString();
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const cases: readonly (readonly [string, RegExp])[] = [
      [pem(generateKeyPairSync("rsa", { modulusLength: 1024 })), /RSA of 1024 bits/],
      [pem(generateKeyPairSync("ec", { namedCurve: "secp256k1" })), /curve is secp256k1/],
      [pem(generateKeyPairSync("x25519")), /kind x25519/],
      [privateKey.export({ type: "pkcs8", format: "pem" }).toString(), /one public key in PEM/],
      [key.publicPem + p256().publicPem, /one public key in PEM/],
      ["-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", /can't be read/],
    ];
    for (const [text, says] of cases) assert.throws(() => readPublicKey(text), { code: "BadKey", message: says });
    assert.throws(() => readPublicKey(KINDS["Ed25519"]!().publicPem, "sha256"), /leave hash out/);
  });
});

describe("what a signature says", () => {
  const rule = ruleBy([authority(key)]);

  it("is of this image or it does not count", async () => {
    for (const make of [bundleBy, payloadBy])
      await refused(
        "DigestMismatch",
        rule,
        make(key, { digest: OTHER_DIGEST }),
        /is of sha256:b{12}, the image is sha256:a{12}/,
      );
  });

  it("may be of an index or of the image in it", async () => {
    for (const digests of [
      [OTHER_DIGEST, DIGEST],
      [DIGEST, OTHER_DIGEST],
    ]) {
      assert.ok((await verdictOf(rule, evidence(bundleBy(key)), { digests })).allowed);
    }
  });

  it("is for this repository or it does not count", async () => {
    for (const make of [bundleBy, payloadBy])
      for (const repository of [
        "registry.example/team/other",
        "registry.example/team/filter-evil",
        "evil.example/team/filter",
      ])
        await refused(
          "RepositoryMismatch",
          rule,
          make(key, { repository }),
          /the signature is for ".*", the image is registry\.example\/team\/filter/,
        );
  });

  it("names a repository in whichever spelling, and one at all", async () => {
    const hub = { registry: "docker.io", repository: "library/filter" };
    const signature = payloadBy(key, { repository: "index.docker.io/library/filter" });
    assert.ok((await verdictOf(rule, evidence(signature), hub)).allowed);
    const unnamed = statement({ ...STATEMENT, subject: [{ digest: { sha256: "a".repeat(64) } }] });
    await refused("RepositoryMismatch", rule, unnamed, /names no repository .*wasmount sign/);
    const ignoring = ruleBy([authority(key, { identity: "Ignore" })]);
    assert.ok((await verdictOf(ignoring, evidence(unnamed))).allowed);
  });

  it("is followed to where an image was copied, and nowhere else", async () => {
    const identity = { from: "origin.example/release", to: "registry.example/team" };
    const remapping = ruleBy([authority(key, { identity })]);
    const signature = payloadBy(key, { repository: "origin.example/release/filter" });
    assert.ok((await verdictOf(remapping, evidence(signature))).allowed);
    await refused("RepositoryMismatch", remapping, payloadBy(key), /the image is origin\.example\/release\/filter/);
    await refused("RepositoryMismatch", remapping, signature, /the image is registry\.example\/team-evil\/filter/, {
      repository: "team-evil/filter",
    });
  });

  it("has the annotations that are asked for", async () => {
    const wanting = ruleBy([authority(key, { annotations: { env: "prod" } })]);
    for (const make of [bundleBy, payloadBy]) {
      assert.ok((await verdictOf(wanting, evidence(make(key, { annotations: { env: "prod", more: "x" } })))).allowed);
      await refused("AnnotationMismatch", wanting, make(key), /"env" is not there, and has to be "prod"/);
      await refused(
        "AnnotationMismatch",
        wanting,
        make(key, { annotations: { env: "production" } }),
        /"env" is "production"/,
      );
    }
    const inherited = ruleBy([authority(key, { annotations: { constructor: "x" } })]);
    await refused("AnnotationMismatch", inherited, bundleBy(key), /"constructor" is not there/);
  });

  it("is of a format that the policy allows", async () => {
    const old = ruleBy([authority(key, { formats: ["simpleSigning"] })]);
    await refused("FormatNotAllowed", old, bundleBy(key), /a sigstoreBundle is there, allowed are simpleSigning/);
  });

  const payloads: readonly (readonly [string, string, RegExp])[] = [
    [
      "another spelling of the digest's key",
      payload({ image: { "Docker-manifest-digest": DIGEST } }),
      /no docker-manifest-digest/,
    ],
    [
      "two digests",
      payload().replace(
        '"docker-manifest-digest"',
        `"docker-manifest-digest":"${OTHER_DIGEST}","docker-manifest-digest"`,
      ),
      /twice/,
    ],
    [
      "two digests, in two spellings",
      payload({ image: { "docker-manifest-digest": DIGEST, "Docker-Manifest-Digest": OTHER_DIGEST } }),
      /twice/,
    ],
    ["another type", payload({ type: "atomic container signature" }), /critical\.type/],
    ["no type", JSON.stringify({ critical: { identity: {}, image: {} } }), /no type in critical/],
    [
      "a digest in capitals",
      payload({ image: { "docker-manifest-digest": DIGEST.toUpperCase() } }),
      /no sha256 digest/,
    ],
    ["further keys", payload({ more: { extra: 1 } }), /unknown key "extra" in critical/],
    ["no JSON", "signed", /is not JSON/],
  ];
  for (const [what, text, says] of payloads) {
    it(`is no payload with ${what}`, () => refused("BadPayload", rule, signedText(text), says));
  }

  it("is one as a statement of the version that cosign's attestations are of, and for the repository that is its subject", async () => {
    const [subject] = STATEMENT.subject;
    const named = (name: unknown, annotations = {}) =>
      statement({
        ...STATEMENT,
        _type: "https://in-toto.io/Statement/v0.1",
        subject: [{ ...subject, name, annotations }],
      });
    assert.ok((await verdictOf(rule, evidence(named(REPOSITORY)))).allowed);
    for (const name of ["registry.example/other/filter", "filter.wasm", 7, undefined]) {
      assert.equal((await verdictOf(rule, evidence(named(name)))).allowed, false, String(name));
    }
    const contradictory = named(REPOSITORY, { "wasmount.dev/repository": "registry.example/other/filter" });
    assert.equal((await verdictOf(rule, evidence(contradictory))).allowed, false, "the annotation is the more exact");
  });

  const statements: readonly (readonly [string, Signature, FailureCode, RegExp])[] = [
    [
      "of another type",
      statement({ ...STATEMENT, _type: "https://in-toto.io/Statement/v0.2" }),
      "BadPayload",
      /is no https/,
    ],
    [
      "of another predicate",
      statement({ ...STATEMENT, predicateType: "https://slsa.dev/provenance/v1" }),
      "NotASignature",
      /it states "https:\/\/slsa\.dev\/provenance\/v1"/,
    ],
    ["without predicate", statement({ ...STATEMENT, predicateType: undefined }), "BadPayload", /no predicateType/],
    [
      "of another payload type",
      statement(STATEMENT, { payloadType: "text/plain" }),
      "BadEvidence",
      /another payloadType/,
    ],
    [
      "with its keys twice",
      statement(JSON.stringify(STATEMENT).replace("{", '{"predicateType":"x",')),
      "BadPayload",
      /twice/,
    ],
    [
      "with another image's annotations",
      statement({
        ...STATEMENT,
        subject: [
          { digest: { sha256: "a".repeat(64) } },
          { ...STATEMENT.subject[0], digest: { sha256: "b".repeat(64) } },
        ],
      }),
      "RepositoryMismatch",
      /names no repository/,
    ],
    [
      "with a subject without digest",
      statement({ ...STATEMENT, subject: [...STATEMENT.subject, {}] }),
      "BadPayload",
      /without sha256/,
    ],
    [
      "with more subjects than are read",
      statement({ ...STATEMENT, subject: [...STATEMENT.subject, ...Array(16).fill(STATEMENT.subject[0])] }),
      "BadPayload",
      /1 to 16 subjects/,
    ],
    ["with two signatures", statement(STATEMENT, { twice: true }), "BadEvidence", /no Sigstore bundle/],
    [
      "with a digest in capitals",
      statement({ ...STATEMENT, subject: [{ digest: { sha256: "A".repeat(64) } }] }),
      "BadPayload",
      /without sha256/,
    ],
    ["of nothing", statement({ ...STATEMENT, subject: [] }), "BadPayload", /1 to 16 subjects/],
  ];
  for (const [what, signature, code, says] of statements) {
    it(`is no signature as a statement ${what}`, () => refused(code, rule, signature, says));
  }

  it("is a statement as cosign writes it", async () => {
    assert.ok((await verdictOf(rule, evidence(statement(STATEMENT)))).allowed);
  });

  it("is refused where the bundle can't be read, and others still count", async () => {
    const broken: Signature = { format: "sigstoreBundle", bytes: Buffer.from('{"mediaType":"x"}') };
    await refused("BadEvidence", rule, broken, /no Sigstore bundle/);
    assert.ok((await verdictOf(rule, evidence(broken, bundleBy(key)))).allowed);
  });

  it("is told from the signature that came farthest", async () => {
    const found = evidence(bundleBy(p256()), bundleBy(key, { digest: OTHER_DIGEST }), bundleBy(p256()));
    const { denial } = await verdictOf(rule, found);
    assert.match(denial ?? "", /is of sha256:bbb/);
  });
});

describe("a bundle that only names a key", () => {
  it("is nobody's certificate", async () => {
    const keyless: Rule["authorities"][number] = {
      kind: "keyless",
      name: "ci",
      formats: ["simpleSigning", "sigstoreBundle"],
      identity: "MatchRepository",
      annotations: {},
      trustedRoot: "{}",
      identities: [{ issuer: "https://issuer.example", subject: "a" }],
      tlogThreshold: 0,
      ctlogThreshold: 0,
    };
    await refused("UntrustedSignature", ruleBy([keyless]), bundleBy(key), /without a certificate/);
    await refused(
      "FormatNotAllowed",
      ruleBy([keyless]),
      payloadBy(key),
      /certificate counts in a sigstoreBundle alone/,
    );
  });
});
