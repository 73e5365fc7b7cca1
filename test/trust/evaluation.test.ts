import assert from "node:assert/strict";
import { sign } from "node:crypto";
import { preAuthEncoding } from "../../src/trust/bundle.ts";
import { distinctSigners } from "../../src/trust/distinct.ts";
import { evaluate, type Stage } from "../../src/trust/evaluation.ts";
import { readEvidence, type Signature, storedEvidence } from "../../src/trust/evidence.ts";
import type { OnRegistryError } from "../../src/trust/rule.ts";
import { PAYLOAD_TYPE } from "../../src/trust/statement.ts";
import {
  authority,
  bundleBy,
  DIGEST,
  evidence,
  image,
  type KeyPair,
  OTHER_DIGEST,
  p256,
  payloadBy,
  REPOSITORY,
  ruleBy,
  verdictOf,
} from "./samples.ts";

const [a, b] = [p256(), p256()];
const PROVENANCE = "https://slsa.dev/provenance/v1";

function attestation(pair: KeyPair, predicateType = PROVENANCE): Signature {
  const payload = Buffer.from(
    JSON.stringify({
      _type: "https://in-toto.io/Statement/v1",
      subject: [{ digest: { sha256: "a".repeat(64) }, annotations: { "wasmount.dev/repository": REPOSITORY } }],
      predicateType,
      predicate: { builder: "ci" },
    }),
  );
  const sig = sign(pair.signer.hash, preAuthEncoding({ payloadType: PAYLOAD_TYPE, payload }), pair.signer.key);
  const document = {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { publicKey: { hint: "x" } },
    dsseEnvelope: {
      payloadType: PAYLOAD_TYPE,
      payload: payload.toString("base64"),
      signatures: [{ sig: sig.toString("base64") }],
    },
  };
  return { format: "sigstoreBundle", bytes: Buffer.from(JSON.stringify(document)) };
}

describe("a verdict", () => {
  it("needs every policy", async () => {
    const rules = [ruleBy([authority(a)]), ruleBy([authority(b)], { policy: "NamespacedWasmPolicy/team/own" })];
    const one = await evaluate(rules, image, () => evidence(bundleBy(a)), { unmatched: "Deny", stage: "Fetcher" });
    assert.equal(one.allowed, false);
    assert.match(
      one.denial ?? "",
      /^NamespacedWasmPolicy\/team\/own: not signed \(release: the signature found is not by this key\)$/,
    );
    const both = await evaluate(rules, image, () => evidence(bundleBy(a), bundleBy(b)), {
      unmatched: "Deny",
      stage: "Fetcher",
    });
    assert.deepEqual([both.allowed, both.denial, both.warnings], [true, null, []]);
  });

  it("counts authorities, each key once whatever its name", async () => {
    const two = (first: KeyPair, second: KeyPair) =>
      ruleBy([authority(first, { name: "one" }), authority(second, { name: "two" })], { minimum: 2 });
    assert.ok((await verdictOf(two(a, b), evidence(bundleBy(a), payloadBy(b)))).allowed);
    const { denial } = await verdictOf(two(a, b), evidence(bundleBy(a), payloadBy(a)));
    assert.match(
      denial ?? "",
      /signed by 1 of the 2 needed \(one: good, two: the signature found is not by this key\)/,
    );
    const windows = { ...a, publicPem: a.publicPem.replaceAll("\n", "\r\n") };
    assert.equal((await verdictOf(two(a, windows), evidence(bundleBy(a), payloadBy(a)))).allowed, false);
    const frozen = (name: string) => ({ kind: "digests", name, digests: [DIGEST] }) as const;
    assert.equal((await verdictOf(ruleBy([frozen("x"), frozen("y")], { minimum: 2 }), evidence())).allowed, false);
  });

  it("gives each authority a signer of its own", () => {
    assert.equal(distinctSigners([["x"], ["x"]]), 1);
    assert.equal(distinctSigners([["x", "y"], ["x"]]), 2);
    assert.equal(distinctSigners([["x", "y"], ["x"], ["y"]]), 2);
    assert.equal(distinctSigners([[], []]), 0);
  });

  it("is no without any authority, whatever the plan's rule says", async () => {
    for (const minimum of [0, 1]) {
      assert.equal((await verdictOf(ruleBy([], { minimum }), evidence(bundleBy(a)))).allowed, false);
    }
  });

  it("says so where there is no signature, and what is there that is none", async () => {
    const rule = ruleBy([authority(a)]);
    assert.equal(
      (await verdictOf(rule, evidence())).denial,
      "WasmPolicy/release: not signed (release: no signature found)",
    );
    const faults = ["the referrer sha256:123 can't be had (NotFound)"];
    const { denial } = await verdictOf(rule, { signatures: [], faults });
    assert.match(denial ?? "", /release: the referrer sha256:123 can't be had/);
  });

  it("takes frozen digests as they are, and no others", async () => {
    const frozen = ruleBy([{ kind: "digests", name: "frozen", digests: [DIGEST] }]);
    assert.ok((await verdictOf(frozen, evidence())).allowed);
    const { denial } = await verdictOf(frozen, evidence(bundleBy(a)), { digests: [OTHER_DIGEST] });
    assert.match(denial ?? "", /its digest is none of the 1 listed/);
  });

  it("wants attestations beside signatures, by type and signer", async () => {
    const wanted = [{ predicateType: PROVENANCE, authorities: ["ci"], minimum: 1 }];
    const rule = ruleBy([authority(a, { name: "release" }), authority(b, { name: "ci" })], { attestations: wanted });
    assert.ok((await verdictOf(rule, evidence(bundleBy(a), attestation(b)))).allowed);
    const cases = [
      [evidence(bundleBy(a)), /not stated .*ci: the signature found is not by this key/],
      [evidence(bundleBy(a), attestation(a)), /not stated \(https:\/\/slsa/],
      [
        evidence(bundleBy(a), attestation(b, "https://slsa.dev/provenance/v0.2")),
        /it states "https:\/\/slsa\.dev\/provenance\/v0\.2"/,
      ],
      [evidence(bundleBy(a), bundleBy(b)), /it states "https:\/\/sigstore\.dev\/cosign\/sign\/v1"/],
      [evidence(attestation(b)), /^WasmPolicy\/release: not signed/],
      [evidence(bundleBy(a), payloadBy(b)), /not stated/],
    ] as const;
    for (const [found, says] of cases) {
      const { allowed, denial } = await verdictOf(rule, found);
      assert.equal(allowed, false);
      assert.match(denial ?? "", says);
    }
  });

  it("takes no frozen digest for a statement", async () => {
    const wanted = [{ predicateType: PROVENANCE, authorities: ["frozen"], minimum: 1 }];
    const frozen = { kind: "digests", name: "frozen", digests: [DIGEST] } as const;
    assert.match((await verdictOf(ruleBy([frozen], { attestations: wanted }), evidence())).denial ?? "", /not stated/);
  });

  it("warns or keeps it to the log where the mode says so", async () => {
    const warned = await verdictOf(ruleBy([authority(a)], { mode: "Warn" }), evidence());
    assert.deepEqual([warned.allowed, warned.warnings.length, warned.audit.length], [true, 1, 0]);
    const audited = await verdictOf(ruleBy([authority(a)], { mode: "Audit" }), evidence());
    assert.deepEqual([audited.allowed, audited.warnings.length, audited.audit.length], [true, 0, 1]);
    const rules = [ruleBy([authority(a)], { mode: "Warn" }), ruleBy([authority(b)], { policy: "WasmPolicy/strict" })];
    const both = await evaluate(rules, image, () => evidence(bundleBy(a)), { unmatched: "Deny", stage: "Fetcher" });
    assert.equal(both.allowed, false);
  });

  it("about an image that no cluster policy is for is the operator's", async () => {
    const ask = (unmatched: "Deny" | "Warn" | "Allow", rules = [] as ReturnType<typeof ruleBy>[]) =>
      evaluate(rules, image, () => evidence(bundleBy(a)), { unmatched, stage: "Fetcher" });
    assert.match((await ask("Deny")).denial ?? "", /no WasmPolicy is for registry\.example\/team\/filter/);
    const warned = await ask("Warn");
    assert.deepEqual([warned.allowed, warned.warnings.length], [true, 1]);
    const allowed = await ask("Allow");
    assert.deepEqual([allowed.allowed, allowed.warnings.length], [true, 0]);
    const tenant = ruleBy([authority(a)], { policy: "NamespacedWasmPolicy/team/own" });
    assert.equal((await ask("Deny", [tenant])).allowed, false, "a tenant vouches for nothing");
  });

  it("is no where the registry can't be asked, unless the policy says otherwise", async () => {
    const unreadable = () => ({ unreadable: "no usable answer came in time", deferrable: true });
    const rule = ruleBy([authority(a)]);
    const denied = await evaluate([rule], image, unreadable, { unmatched: "Deny", stage: "Fetcher" });
    assert.equal(denied.denial, "WasmPolicy/release: its signatures can't be read: no usable answer came in time");
    assert.equal(denied.policies[0]?.outcome, "Unknown");
    const warned = await evaluate([{ ...rule, onRegistryError: "Warn" }], image, unreadable, {
      unmatched: "Deny",
      stage: "Fetcher",
    });
    assert.deepEqual([warned.allowed, warned.warnings.length], [true, 1]);
    const unsigned = await evaluate([{ ...rule, onRegistryError: "Warn" }], image, () => evidence(), {
      unmatched: "Deny",
      stage: "Fetcher",
    });
    assert.equal(unsigned.allowed, false, "an answer without a signature is no failure of the registry");
    const frozen = ruleBy([{ kind: "digests", name: "frozen", digests: [DIGEST] }]);
    assert.ok((await evaluate([frozen], image, unreadable, { unmatched: "Deny", stage: "Fetcher" })).allowed);
  });

  it("is left to the fetcher by admission alone, where the policy or missing credentials say so", async () => {
    const ask = async (stage: Stage, deferrable: boolean, onRegistryError: OnRegistryError) => {
      const rule = ruleBy([authority(a)], { onRegistryError });
      const found = () => ({ unreadable: "no answer", deferrable });
      const { allowed, deferred } = await evaluate([rule], image, found, { unmatched: "Deny", stage });
      return `${allowed} ${deferred.length}`;
    };
    assert.equal(await ask("Admission", false, "Deny"), "false 0");
    assert.equal(await ask("Admission", true, "Deny"), "true 1");
    assert.equal(await ask("Admission", false, "Defer"), "true 1");
    assert.equal(await ask("Fetcher", true, "Deny"), "false 0");
    assert.equal(await ask("Fetcher", true, "Defer"), "false 0");
    const deferring = ruleBy([authority(a)], { onRegistryError: "Defer" });
    const unsigned = await evaluate([deferring], image, () => evidence(), { unmatched: "Deny", stage: "Admission" });
    assert.equal(unsigned.allowed, false, "an answer without a signature leaves nothing open");
  });

  it("holds references to the policy", async () => {
    const digestOnly = ruleBy([authority(a)], { requireDigest: true });
    const byTag = { byDigest: false, tag: "1.0" };
    assert.match((await verdictOf(digestOnly, evidence(bundleBy(a)), byTag)).denial ?? "", /named by its digest/);
    assert.ok((await verdictOf(digestOnly, evidence(bundleBy(a)))).allowed);
    const fits = async (tag: string | null, allowedTagPattern: string) =>
      (await verdictOf(ruleBy([authority(a)], { allowedTagPattern }), evidence(bundleBy(a)), { byDigest: false, tag }))
        .allowed;
    for (const [tag, pattern, expected] of [
      ["1.0", "1.*", true],
      ["11.0", "1.*", false],
      ["1.0-rc", "*.0", false],
      ["1.0", "1.0*0", false],
      ["v1-x-2", "v*-x-*", true],
      [null, "latest", true],
      ["latest-evil", "latest", false],
    ] as const) {
      assert.equal(await fits(tag, pattern), expected, `${tag} ${pattern}`);
    }
  });

  it("fits into what kubectl shows, however long the strangers' texts are", async () => {
    const long = "x".repeat(5000);
    const many = Array.from({ length: 20 }, (_, index) =>
      authority(b, { name: `authority-${index}`, annotations: { [long]: long } }),
    );
    const rules = Array.from({ length: 5 }, () => ruleBy(many));
    const { denial } = await evaluate(rules, image, () => evidence(bundleBy(b, { annotations: { evil: long } })), {
      unmatched: "Deny",
      stage: "Fetcher",
    });
    assert.ok((denial ?? "").length <= 600);
  });

  it("shows nothing of a stranger's that could disturb a terminal", async () => {
    const rule = ruleBy([authority(a, { annotations: { env: "prod" } })]);
    const { denial } = await verdictOf(rule, evidence(bundleBy(a, { annotations: { env: "\u001b[31m\n\u202eprod" } })));
    assert.match(denial ?? "", /"env" is ".*prod"/);
    assert.doesNotMatch(denial ?? "", /[^\x20-\x7e…]/);
  });

  it("is the same from stored evidence", async () => {
    const rule = ruleBy([authority(a), authority(b, { name: "second" })], { minimum: 2 });
    const found = { signatures: [bundleBy(a), payloadBy(b)], faults: ["one is broken"] };
    const again = readEvidence(storedEvidence(found));
    assert.deepEqual(await verdictOf(rule, again), await verdictOf(rule, found));
    assert.ok((await verdictOf(rule, again)).allowed);
    for (const text of [
      "",
      "{}",
      '{"schema":2,"signatures":[],"faults":[]}',
      '{"schema":1,"signatures":[{}],"faults":[]}',
    ]) {
      assert.throws(() => readEvidence(Buffer.from(text)), { code: "BadEvidence" });
    }
    const many = storedEvidence({ signatures: Array(513).fill(bundleBy(a)), faults: [] });
    assert.throws(() => readEvidence(many), /more than 512 signatures/);
  });
});
