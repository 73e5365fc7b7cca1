import assert from "node:assert/strict";
import type { FailureCode } from "../../src/trust/failure.ts";
import type { KeylessAuthority } from "../../src/trust/rule.ts";
import { readTrustedRoot } from "../../src/trust/trusted-root.ts";
import {
  type BundleDocument,
  ISSUER,
  type PrivateSigstore,
  privateSigstore,
  type SigningOptions,
  SUBJECT,
} from "./private-sigstore.ts";
import { DIGEST, evidence, OTHER_DIGEST, REPOSITORY, ruleBy, verdictOf } from "./samples.ts";

const MINUTE = 60_000;

describe("keyless signatures, with a root of one's own", () => {
  let sigstore: PrivateSigstore;
  before(async () => {
    sigstore = await privateSigstore();
  });

  const keyless = (changes: Partial<KeylessAuthority> = {}): KeylessAuthority => ({
    kind: "keyless",
    name: "ci",
    formats: ["sigstoreBundle"],
    identity: "MatchRepository",
    annotations: {},
    trustedRoot: sigstore.trustedRoot,
    identities: [{ issuer: ISSUER, subject: SUBJECT }],
    tlogThreshold: 1,
    ctlogThreshold: 1,
    ...changes,
  });

  async function refused(
    code: FailureCode,
    says: RegExp,
    options: SigningOptions = {},
    changes: Partial<KeylessAuthority> = {},
  ) {
    const verdict = await verdictOf(ruleBy([keyless(changes)]), evidence(await sigstore.sign(options)));
    assert.equal(verdict.allowed, false);
    assert.equal(verdict.policies[0]?.authorities[0]?.failure?.code, code, verdict.denial ?? "");
    assert.match(verdict.denial ?? "", says);
  }

  it("count for exactly who is named", async () => {
    const verdict = await verdictOf(ruleBy([keyless()]), evidence(await sigstore.sign()));
    assert.equal(verdict.denial, null);
    assert.deepEqual(verdict.policies[0]?.authorities[0]?.signers, [JSON.stringify([ISSUER, SUBJECT])]);
    const either = [
      { issuer: ISSUER, subject: "x" },
      { issuer: ISSUER, subject: SUBJECT },
    ];
    assert.ok((await verdictOf(ruleBy([keyless({ identities: either })]), evidence(await sigstore.sign()))).allowed);
  });

  const strangers: readonly (readonly [string, SigningOptions])[] = [
    ["a subject that begins so", { subject: `${SUBJECT}-evil` }],
    ["a subject that ends so", { subject: `https://evil.example/${SUBJECT}` }],
    ["a subject that a pattern would take", { subject: SUBJECT.replace("git.example", "gitxexample") }],
    ["another issuer", { issuer: "https://issuer.evil.example" }],
    ["an issuer that begins so", { issuer: `${ISSUER}.evil.example` }],
  ];
  for (const [what, options] of strangers) {
    it(`don't count for ${what}`, () => refused("IdentityMismatch", /it is signed by ".*" of ".*", not "/, options));
  }

  it("take no pattern for a name", async () => {
    const identities = [
      { issuer: ISSUER, subject: ".*" },
      { issuer: ".*", subject: SUBJECT },
      { issuer: ISSUER, subject: "" },
    ];
    await refused("IdentityMismatch", /not "\.\*"/, {}, { identities });
  });

  it("need a certificate of this root", async () => {
    const { trustedRoot } = await privateSigstore();
    await refused("UntrustedSignature", /./, {}, { trustedRoot });
    const { tlogs } = JSON.parse(sigstore.trustedRoot);
    const mixed = JSON.stringify({ ...JSON.parse(trustedRoot), tlogs });
    await refused("UntrustedSignature", /certificate is not one of the trusted root's/, {}, { trustedRoot: mixed });
  });

  it("need a certificate that was valid when it signed", async () => {
    const late = new Date(Date.now() + 20 * MINUTE);
    const early = new Date(Date.now() - 20 * MINUTE);
    await refused("UntrustedSignature", /was expired when it signed/, { logged: late });
    await refused("UntrustedSignature", /was expired when it signed/, { logged: early });
    const old = await privateSigstore({ made: new Date("2020-01-01T00:00:00Z") });
    const rule = ruleBy([keyless({ trustedRoot: old.trustedRoot })]);
    assert.equal((await verdictOf(rule, evidence(await old.sign({ logged: new Date() })))).allowed, false);
  });

  it("need a root that was trusted when they signed", async () => {
    const future = await privateSigstore({ start: new Date(Date.now() + 60 * MINUTE) });
    const { denial } = await verdictOf(
      ruleBy([keyless({ trustedRoot: future.trustedRoot })]),
      evidence(await future.sign()),
    );
    assert.match(denial ?? "", /release: not signed/);
  });

  it("need a proof of time", async () => {
    const withoutTime = (document: BundleDocument) => {
      for (const entry of document.verificationMaterial.tlogEntries) delete entry["inclusionPromise"];
    };
    await refused("UntrustedSignature", /no timestamp/, { change: withoutTime });
    await refused("UntrustedSignature", /no timestamp/, { logs: [] }, { tlogThreshold: 0 });
  });

  it("need as many logs as the policy says, each once, and known ones", async () => {
    const two = { tlogThreshold: 2 };
    const rule = ruleBy([keyless(two)]);
    assert.ok((await verdictOf(rule, evidence(await sigstore.sign({ logs: ["first", "second"] })))).allowed);
    await refused("UntrustedSignature", /not enough transparency log entries/, {}, two);
    await refused("UntrustedSignature", /./, { logs: ["unknown"] });
    const doubled = ({ verificationMaterial }: BundleDocument) => {
      verificationMaterial.tlogEntries.push(...verificationMaterial.tlogEntries);
    };
    await refused("UntrustedSignature", /./, { change: doubled }, two);
  });

  it("are not in two logs for being in one log twice", async () => {
    const signature = await sigstore.sign({ logs: ["first", "first"] });
    assert.ok((await verdictOf(ruleBy([keyless()]), evidence(signature))).allowed);
    const verdict = await verdictOf(ruleBy([keyless({ tlogThreshold: 2 })]), evidence(signature));
    assert.match(verdict.denial ?? "", /it is in 1 transparency logs, not 2/);
  });

  it("need an entry of the log that is of this signature", async () => {
    await refused("UntrustedSignature", /the transparency log's entry is of something else/, {
      loggedPayload: Buffer.from("other"),
    });
    const other = JSON.parse(((await sigstore.sign()) as { bytes: Buffer }).bytes.toString());
    const swapped = (document: BundleDocument) => {
      document.verificationMaterial.tlogEntries = other.verificationMaterial.tlogEntries;
    };
    await refused("UntrustedSignature", /the transparency log's entry is of something else/, { change: swapped });
  });

  it("need log timestamps in the certificate where the policy says so", async () => {
    const { ctlogs: _ctlogs, ...rest } = JSON.parse(sigstore.trustedRoot);
    const trustedRoot = JSON.stringify({ ...rest, ctlogs: [] });
    await refused("UntrustedSignature", /lacks log timestamps/, {}, { trustedRoot });
    await refused("UntrustedSignature", /lacks log timestamps/, { certificateLogged: false });
    const quiet = evidence(await sigstore.sign({ certificateLogged: false }));
    assert.ok((await verdictOf(ruleBy([keyless({ ctlogThreshold: 0 })]), quiet)).allowed);
  });

  it("need the certificate's own signature, over this payload", async () => {
    const changed = ({ dsseEnvelope }: BundleDocument) => {
      dsseEnvelope.payload = Buffer.from(
        Buffer.from(dsseEnvelope.payload, "base64").toString().replace('"predicate":{}', '"predicate":{"a":1}'),
      ).toString("base64");
    };
    await refused("UntrustedSignature", /./, { change: changed });
    const other = JSON.parse(((await sigstore.sign()) as { bytes: Buffer }).bytes.toString());
    await refused("UntrustedSignature", /./, {
      change: document => {
        document.verificationMaterial.certificate = other.verificationMaterial.certificate;
      },
    });
  });

  it("say what any signature has to say", async () => {
    const statement = (subject: object) => ({
      _type: "https://in-toto.io/Statement/v1",
      subject: [subject],
      predicateType: "https://sigstore.dev/cosign/sign/v1",
      predicate: {},
    });
    const hex = (digest: string) => ({ sha256: digest.slice(7) });
    const annotations = { "wasmount.dev/repository": REPOSITORY };
    await refused("DigestMismatch", /sha256:bbb/, { statement: statement({ digest: hex(OTHER_DIGEST), annotations }) });
    await refused("RepositoryMismatch", /names no repository/, { statement: statement({ digest: hex(DIGEST) }) });
    const provenance = {
      ...statement({ digest: hex(DIGEST), annotations }),
      predicateType: "https://slsa.dev/provenance/v1",
    };
    await refused("NotASignature", /slsa/, { statement: provenance });
  });

  it("are denied, not a crash, whatever is broken in the bundle", async () => {
    for (const rawBytes of ["", "AAAA", Buffer.alloc(100, 0x30).toString("base64")]) {
      const change = (document: BundleDocument) => {
        document.verificationMaterial.certificate = { rawBytes };
      };
      const verdict = await verdictOf(ruleBy([keyless()]), evidence(await sigstore.sign({ change })));
      assert.equal(verdict.allowed, false);
    }
  });

  it("of one person under two names count once", async () => {
    const rule = ruleBy([keyless({ name: "a" }), keyless({ name: "b" })], { minimum: 2 });
    const found = evidence(await sigstore.sign(), await sigstore.sign());
    assert.match((await verdictOf(rule, found)).denial ?? "", /signed by 1 of the 2 needed/);
  });
});

describe("a trusted root", () => {
  const refuses = (text: string, message: RegExp) =>
    assert.throws(() => readTrustedRoot(text), { code: "BadTrustRoot", message });

  it("says since when each of its parts is trusted", async () => {
    const { trustedRoot } = await privateSigstore();
    assert.equal(readTrustedRoot(trustedRoot).tlogs.length, 2);
    for (const part of ["certificateAuthorities", "tlogs", "ctlogs"]) {
      const root = JSON.parse(trustedRoot);
      const [first] = root[part];
      delete (first.publicKey ?? first).validFor.start;
      refuses(JSON.stringify(root), /without validFor\.start/);
    }
  });

  it("is one, with authorities, and of a size that can be", async () => {
    const { trustedRoot } = await privateSigstore();
    refuses("{}", /has no certificateAuthorities/);
    refuses("x", /is no trusted_root\.json/);
    const root = JSON.parse(trustedRoot);
    root.certificateAuthorities[0].certChain.certificates = [];
    refuses(JSON.stringify(root), /authority without certificates/);
    refuses(" ".repeat(256 * 1024 + 1), /more than 262144 characters/);
  });
});
