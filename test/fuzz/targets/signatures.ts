import assert from "node:assert/strict";
import { readBundle } from "../../../src/trust/bundle.ts";
import { TrustError } from "../../../src/trust/error.ts";
import { readEvidence, type Signature, storedEvidence } from "../../../src/trust/evidence.ts";
import { readPayload } from "../../../src/trust/payload.ts";
import { readStatement } from "../../../src/trust/statement.ts";
import { readTrustedRoot } from "../../../src/trust/trusted-root.ts";
import { authority, DIGEST, KINDS, REPOSITORY, ruleBy, verdictOf } from "../../trust/samples.ts";
import { jsonInputs } from "../json-mutation.ts";
import { type FuzzTarget, readOrRefused } from "../target.ts";

const key = KINDS["P-256"]?.();
const statement = {
  _type: "https://in-toto.io/Statement/v1",
  subject: [{ digest: { sha256: DIGEST.slice(7) }, annotations: { "wasmount.dev/repository": REPOSITORY } }],
  predicateType: "https://sigstore.dev/cosign/sign/v1",
  predicate: {},
};
const documents = [
  {
    critical: {
      identity: { "docker-reference": REPOSITORY },
      image: { "docker-manifest-digest": DIGEST },
      type: "cosign container image signature",
    },
    optional: { env: "prod" },
  },
  statement,
  {
    mediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
    verificationMaterial: { publicKey: { hint: "x" } },
    dsseEnvelope: {
      payloadType: "application/vnd.in-toto+json",
      payload: Buffer.from(JSON.stringify(statement)).toString("base64"),
      signatures: [{ sig: "MEUCIQ==" }],
    },
  },
  { schema: 1, signatures: [{ payload: "e30=", signature: "AAAA" }, { bundle: "e30=" }], faults: ["one"] },
];

/** Nothing that is broken is a signature, and no reader does worse than to refuse. */
export const signatures: FuzzTarget = {
  name: "signatures",
  seeds: documents.map(document => Buffer.from(JSON.stringify(document))),
  inputs: jsonInputs(documents),
  tokens: [
    '"docker-manifest-digest":"x",',
    '"certificate":{"rawBytes":"AAAA"},',
    '"messageSignature":{}',
    "null",
    "[]",
    "{}",
  ],
  run: async input => {
    await readOrRefused(TrustError, () => readPayload(input));
    await readOrRefused(TrustError, () => readStatement(input));
    await readOrRefused(TrustError, () => readBundle(input));
    await readOrRefused(TrustError, () => readTrustedRoot(input.toString("utf8")));
    await readOrRefused(TrustError, () => {
      const found = readEvidence(input);
      assert.deepEqual(readEvidence(storedEvidence(found)), found);
    });
    if (key === undefined) throw new Error("there is no key");
    const found: Signature[] = [
      { format: "sigstoreBundle", bytes: input },
      { format: "simpleSigning", payload: input, signature: input.subarray(0, 80) },
    ];
    const verdict = await verdictOf(ruleBy([authority(key)]), { signatures: found, faults: [] });
    assert.equal(verdict.allowed, false);
    assert.ok((verdict.denial ?? "").length <= 600);
  },
};
