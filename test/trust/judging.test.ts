import assert from "node:assert/strict";
import { RegistryClient } from "../../src/oci/client.ts";
import type { RegistryError } from "../../src/oci/error.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { attachBundle, attachPayload } from "../../src/trust/attaching.ts";
import { collectEvidence, SIGNATURE_ANNOTATION, SIMPLE_SIGNING } from "../../src/trust/collection.ts";
import { evaluate } from "../../src/trust/evaluation.ts";
import { isUnasked, judgeImage, resolveImage } from "../../src/trust/judging.ts";
import type { Rule } from "../../src/trust/rule.ts";
import { signedBundle, signedPayload } from "../../src/trust/signing.ts";
import { type HostileRegistry, startHostileRegistry } from "../environment/hostile-registry.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { descriptorOf, manifestBytes } from "../oci/images.ts";
import { authority, evidence, type KeyPair, p256, ruleBy } from "./samples.ts";

const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const EMPTY = Buffer.from("{}");
const IMAGE = manifestBytes({ config: descriptorOf(EMPTY, OCI_EMPTY) });
const DIGEST = descriptorOf(IMAGE, OCI_MANIFEST).digest;
const key = p256();
const never = new AbortController().signal;
const unreadable = (error: RegistryError) => ({
  unreadable: isUnasked(error) ? error.code : error.message,
  deferrable: true,
});

describe("signatures in a registry", () => {
  let registry: Registry;
  let client: RegistryClient;
  let repository: string;
  const place = () => ({ registry: registry.address, repository: "team/filter" });

  beforeEach(async () => {
    registry = await startRegistry({ habits: { sparse: true } });
    client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    repository = `${registry.address}/team/filter`;
    await push(IMAGE);
  });
  afterEach(async () => {
    client.close();
    await registry.close();
  });

  async function push(bytes: Buffer, tag?: string, mediaType = OCI_MANIFEST): Promise<string> {
    const { digest } = await client.pushManifest(
      registry.address,
      "team/filter",
      tag ?? descriptorOf(bytes, mediaType).digest,
      { bytes, mediaType },
    );
    return digest;
  }

  function signBundle(pair: KeyPair = key, of = IMAGE): Promise<string> {
    const subject = readManifest(of, null, null);
    const bundle = signedBundle({ repository, digest: subject.digest, annotations: {} }, pair.signer);
    return attachBundle(client, place(), subject, bundle, new Date(0), never);
  }

  function signPayload(pair: KeyPair = key, digest = DIGEST): Promise<string> {
    return attachPayload(
      client,
      place(),
      digest,
      signedPayload({ repository, digest, annotations: {} }, pair.signer),
      never,
    );
  }

  async function verdict(rules: readonly Rule[], digests: readonly string[] = [DIGEST]) {
    const image = { ...place(), tag: null, byDigest: true, digests };
    return judgeImage(client, rules, image, { unmatched: "Deny", stage: "Fetcher", unreadable, signal: never });
  }

  it("are found under cosign's tag and as referrers, several of each", async () => {
    assert.deepEqual(await collectEvidence(client, place(), [DIGEST], never), evidence());
    const others = [p256(), p256()] as const;
    for (const pair of [key, ...others]) {
      await signBundle(pair);
      await signPayload(pair);
    }
    const found = await collectEvidence(client, place(), [DIGEST], never);
    assert.deepEqual(
      found.signatures.map(({ format }) => format).sort(),
      [...Array(3).fill("sigstoreBundle"), ...Array(3).fill("simpleSigning")].sort(),
    );
    assert.deepEqual(found.faults, []);
    for (const pair of [key, ...others]) {
      for (const format of ["simpleSigning", "sigstoreBundle"] as const) {
        assert.ok((await verdict([ruleBy([authority(pair, { formats: [format] })])])).allowed);
      }
    }
  });

  it("are read where the policy says they are", async () => {
    const elsewhere = { registry: registry.address, repository: "signatures" };
    const bytes = signedPayload({ repository, digest: DIGEST, annotations: {} }, key.signer);
    await attachPayload(client, elsewhere, DIGEST, bytes, never);
    assert.equal((await verdict([ruleBy([authority(key)])])).allowed, false);
    assert.ok((await verdict([ruleBy([authority(key)], { source: `${registry.address}/signatures` })])).allowed);
  });

  it("may be of an index or of the one image in it, and not of another", async () => {
    const other = manifestBytes({ config: descriptorOf(EMPTY, OCI_EMPTY), annotations: { other: "1" } });
    await push(other);
    const wasm = { ...descriptorOf(IMAGE, OCI_MANIFEST), platform: { os: "wasip1", architecture: "wasm" } };
    const linux = { ...descriptorOf(other, OCI_MANIFEST), platform: { os: "linux", architecture: "amd64" } };
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [linux, wasm] }));
    await push(index, "1.0", OCI_INDEX);
    const image = await resolveImage(client, parseReference(`${repository}:1.0`), never);
    assert.deepEqual(image.digests, [descriptorOf(index, OCI_INDEX).digest, DIGEST]);
    assert.deepEqual([image.byDigest, image.tag], [false, "1.0"]);
    const rule = ruleBy([authority(key)]);
    await signBundle(key, other);
    assert.equal((await verdict([rule], image.digests)).allowed, false);
    await signPayload(key, DIGEST);
    assert.ok((await verdict([rule], image.digests)).allowed);
  });

  it("are not looked for below indexes without end", async () => {
    let inner = descriptorOf(IMAGE, OCI_MANIFEST);
    for (const depth of [1, 2, 3]) {
      const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [inner] }));
      await push(index, `depth-${depth}`, OCI_INDEX);
      inner = descriptorOf(index, OCI_INDEX);
    }
    const resolved = (depth: number) => resolveImage(client, parseReference(`${repository}:depth-${depth}`), never);
    assert.equal((await resolved(2)).digests.length, 3);
    await assert.rejects(resolved(3), { code: "UnsupportedLayout", message: /nested more than 2 deep/ });
  });

  it("are not hidden by what is broken beside them, and that is told", async () => {
    const missing = manifestBytes({
      artifactType: BUNDLE,
      subject: descriptorOf(IMAGE, OCI_MANIFEST),
      layers: [descriptorOf(Buffer.from("gone"), BUNDLE)],
    });
    const digest = await push(missing);
    const rule = ruleBy([authority(key)]);
    assert.match(
      (await verdict([rule])).denial ?? "",
      new RegExp(`the referrer ${digest.slice(0, 19)} can't be had \\(NotFound\\)`),
    );
    await signBundle();
    assert.ok((await verdict([rule])).allowed);
  });

  it("are looked for in every referrer, whatever it is called", async () => {
    const bytes = signedBundle({ repository, digest: DIGEST, annotations: {} }, key.signer);
    await client.pushBlob(registry.address, "team/filter", blobOf(bytes));
    const subject = descriptorOf(IMAGE, OCI_MANIFEST);
    await push(manifestBytes({ artifactType: OCI_EMPTY, subject, layers: [descriptorOf(bytes, BUNDLE)] }));
    assert.ok((await verdict([ruleBy([authority(key)])])).allowed);
  });

  it("don't count in an older version of the bundle, or beside another layer", async () => {
    const bytes = signedBundle({ repository, digest: DIGEST, annotations: {} }, key.signer);
    await client.pushBlob(registry.address, "team/filter", blobOf(bytes));
    const subject = descriptorOf(IMAGE, OCI_MANIFEST);
    const older = descriptorOf(bytes, "application/vnd.dev.sigstore.bundle.v0.2+json");
    await push(manifestBytes({ subject, layers: [older] }));
    await push(manifestBytes({ subject, layers: [descriptorOf(bytes, BUNDLE), descriptorOf(bytes, BUNDLE)] }));
    assert.deepEqual(await collectEvidence(client, place(), [DIGEST], never), evidence());
  });

  it("are refused where there are too many, not cut", async () => {
    const { payload, signature } = signedPayload({ repository, digest: DIGEST, annotations: {} }, key.signer);
    await client.pushBlob(registry.address, "team/filter", blobOf(payload));
    const layer = {
      ...descriptorOf(payload, SIMPLE_SIGNING),
      annotations: { [SIGNATURE_ANNOTATION]: signature.toString("base64") },
    };
    const tag = DIGEST.replace(":", "-");
    await push(manifestBytes({ layers: Array(50).fill(layer) }), `${tag}.sig`);
    assert.ok((await verdict([ruleBy([authority(key)])])).allowed);
    await assert.rejects(signPayload(), { code: "TooLarge", message: /has 50 signatures already/ });
    await push(manifestBytes({ layers: Array(51).fill(layer) }), `${tag}.sig`);
    const lenient = ruleBy([authority(key)], { onRegistryError: "Warn" });
    assert.match((await verdict([lenient])).denial ?? "", /51 signatures, 50 are allowed/);
  });

  it("are refused where there are too many referrers", async () => {
    const subject = descriptorOf(IMAGE, OCI_MANIFEST);
    await signBundle();
    for (let count = 0; count < 31; count += 1)
      await push(manifestBytes({ subject, annotations: { count: `${count}` } }));
    assert.ok((await verdict([ruleBy([authority(key)])])).allowed);
    await push(manifestBytes({ subject, annotations: { count: "one more" } }));
    const lenient = ruleBy([authority(key)], { onRegistryError: "Warn" });
    assert.match((await verdict([lenient])).denial ?? "", /more than the 32 referrers allowed/);
  });

  it("are not read where they are too large", async () => {
    const tag = `${DIGEST.replace(":", "-")}.sig`;
    const annotations = { [SIGNATURE_ANNOTATION]: "AAAA" };
    const large = { ...descriptorOf(Buffer.alloc(64 * 1024 + 1), SIMPLE_SIGNING), annotations };
    await push(manifestBytes({ layers: [large] }), tag);
    const subject = descriptorOf(IMAGE, OCI_MANIFEST);
    await push(manifestBytes({ subject, layers: [descriptorOf(Buffer.alloc(1024 * 1024 + 1), BUNDLE)] }));
    const { faults } = await collectEvidence(client, place(), [DIGEST], never);
    assert.match(faults.join("\n"), /has 65537 bytes, 65536 are allowed\n.* has 1048577 bytes, 1048576 are allowed/);
    assert.ok(!registry.requests.some(line => line.startsWith("GET") && line.includes("/blobs/")));
    await push(manifestBytes({ layers: [], annotations: { pad: "x".repeat(1024 * 1024) } }), tag);
    await assert.rejects(collectEvidence(client, place(), [DIGEST], never), { code: "TooLarge" });
  });

  it("under cosign's tag are what they are called there", async () => {
    const tag = `${DIGEST.replace(":", "-")}.sig`;
    const { payload, signature } = signedPayload({ repository, digest: DIGEST, annotations: {} }, key.signer);
    await client.pushBlob(registry.address, "team/filter", blobOf(payload));
    const annotations = (text: string) => ({ annotations: { [SIGNATURE_ANNOTATION]: text } });
    await push(
      manifestBytes({
        layers: [
          { ...descriptorOf(payload, "application/json"), ...annotations(signature.toString("base64")) },
          { ...descriptorOf(payload, SIMPLE_SIGNING), ...annotations("no base64!") },
          descriptorOf(payload, SIMPLE_SIGNING),
        ],
      }),
      tag,
    );
    const { signatures, faults } = await collectEvidence(client, place(), [DIGEST], never);
    assert.deepEqual([signatures.length, faults.length], [0, 3]);
    const index = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }));
    await push(index, tag, OCI_INDEX);
    assert.match((await collectEvidence(client, place(), [DIGEST], never)).faults.join(), /points to is an index/);
  });

  it("are asked for once, whatever number of policies wants them", async () => {
    await signBundle();
    const before = registry.requests.length;
    const rules = [ruleBy([authority(key)]), ruleBy([authority(key)], { policy: "WasmPolicy/other" })];
    assert.ok((await verdict(rules)).allowed);
    const asked = registry.requests.slice(before);
    assert.equal(asked.filter(line => line.includes("/referrers/")).length, 1);
    assert.equal(new Set(asked).size, asked.length);
  });

  it("are judged by the digest that was resolved, though the tag moves", async () => {
    await push(IMAGE, "1.0");
    await signBundle();
    const image = await resolveImage(client, parseReference(`${repository}:1.0`), never);
    const unsigned = manifestBytes({ config: descriptorOf(EMPTY, OCI_EMPTY), annotations: { evil: "1" } });
    await push(unsigned, "1.0");
    const rules = [ruleBy([authority(key)])];
    const options = { unmatched: "Deny", stage: "Fetcher", unreadable, signal: never } as const;
    assert.ok((await judgeImage(client, rules, image, options)).allowed);
    assert.deepEqual(image.digests, [DIGEST]);
    const moved = await resolveImage(client, parseReference(`${repository}:1.0`), never);
    assert.equal((await judgeImage(client, rules, moved, options)).allowed, false);
    const found = await collectEvidence(client, place(), moved.digests, never);
    assert.equal((await evaluate(rules, moved, () => found, { unmatched: "Deny", stage: "Fetcher" })).allowed, false);
  });
});

describe("a registry that lies about signatures", () => {
  let registry: HostileRegistry;
  let client: RegistryClient;
  beforeEach(async () => {
    registry = await startHostileRegistry();
    client = new RegistryClient({
      registries: [{ host: registry.address, plainHttp: true }],
      retry: { attempts: 1 },
    });
  });
  afterEach(async () => {
    client.close();
    await registry.close();
  });

  const judged = (rule: Rule) =>
    judgeImage(
      client,
      [rule],
      { registry: registry.address, repository: "team/filter", tag: null, byDigest: true, digests: [DIGEST] },
      { unmatched: "Deny", stage: "Fetcher", unreadable, signal: never },
    );
  const referrersOf = (entries: readonly object[]) =>
    registry.script((request, response) => {
      if (!request.url?.includes("/referrers/")) return false;
      response.writeHead(200, { "content-type": OCI_INDEX });
      response.end(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: entries }));
      return true;
    });
  const strict = ruleBy([authority(key)]);
  const lenient = ruleBy([authority(key)], { onRegistryError: "Warn" });

  it("can't give another image's bundle as this one's", async () => {
    const bytes = signedBundle(
      { repository: `${registry.address}/team/filter`, digest: DIGEST, annotations: {} },
      key.signer,
    );
    registry.hold(bytes);
    const subject = { mediaType: OCI_MANIFEST, digest: `sha256:${"0".repeat(64)}`, size: 1 };
    const manifest = manifestBytes({ subject, layers: [descriptorOf(bytes, BUNDLE)] });
    registry.hold(manifest, OCI_MANIFEST);
    referrersOf([descriptorOf(manifest, OCI_MANIFEST)]);
    const { denial } = await judged(strict);
    assert.match(denial ?? "", /is of another subject/);
  });

  it("can't give other bytes than the digest's", async () => {
    const digest = `sha256:${"1".repeat(64)}`;
    registry.hold(manifestBytes(), OCI_MANIFEST, digest);
    referrersOf([{ mediaType: OCI_MANIFEST, digest, size: 10 }]);
    assert.match((await judged(strict)).denial ?? "", /can't be had \(DigestMismatch\)/);
  });

  it("is a registry that can't be asked where it fails, and a bad answer where it says nonsense", async () => {
    registry.script((_request, response) => {
      response.writeHead(503, { "content-length": "0" }).end();
      return true;
    });
    assert.match((await judged(strict)).denial ?? "", /its signatures can't be read: Server/);
    const tolerated = await judged(lenient);
    assert.deepEqual([tolerated.allowed, tolerated.warnings.length], [true, 1]);
    referrersOf([{ mediaType: "x", digest: "y" }]);
    assert.equal((await judged(lenient)).allowed, false, "nonsense is no outage");
  });

  it("can't put its own words into a denial", async () => {
    registry.script((_request, response) => {
      response.writeHead(403, { "content-type": "application/json" });
      response.end('{"errors":[{"code":"EVIL","message":"\\u001b[31mpassword hunter2"}]}');
      return true;
    });
    const verdict = await judged(strict);
    assert.doesNotMatch(JSON.stringify(verdict), /hunter2|EVIL/);
    assert.equal(verdict.allowed, false);
  });
});
