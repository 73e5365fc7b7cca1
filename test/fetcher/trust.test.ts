import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Run, runFetcher } from "../../src/fetcher/run.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import type { Plan, PlanFilter } from "../../src/plan/plan.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import { attachBundle, attachPayload } from "../../src/trust/attaching.ts";
import type { Rule } from "../../src/trust/rule.ts";
import { signedBundle, signedPayload } from "../../src/trust/signing.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { descriptorOf } from "../oci/images.ts";
import { samplePlan } from "../plan/sample.ts";
import { authority, type KeyPair, p256, ruleBy } from "../trust/samples.ts";

const key = p256();
const other = p256();
const never = new AbortController().signal;

const manyOf = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_one, index) => [`key-${index}`, "x"]));

describe("a fetcher whose plan has rules", () => {
  let root: string;
  let registry: Registry;
  let client: RegistryClient;
  let repository: string;
  let digest: string;
  let lines: string[];

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), "wasmount-fetch-"));
    registry = await startRegistry();
    client = clientOf();
    repository = `${registry.address}/team/filter`;
    digest = await push("a");
    lines = [];
  });
  afterEach(async () => {
    client.close();
    await registry.close();
    await rm(root, { recursive: true, force: true });
  });

  const place = () => ({ registry: registry.address, repository: "team/filter" });
  const clientOf = () => new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });

  /** An image of its own; its module is the same. */
  async function push(name: string, tag = "1"): Promise<string> {
    const image = await moduleImage({ module: Buffer.from(noopModule), name, layout: "cncf" });
    return (await pushModule(client, parseReference(`${repository}:${tag}`), image)).digest;
  }

  async function sign(pair: KeyPair = key, of = digest, said = repository): Promise<void> {
    const { bytes } = await client.manifest(registry.address, "team/filter", of);
    const bundle = signedBundle({ repository: said, digest: of, annotations: {} }, pair.signer);
    await attachBundle(client, place(), readManifest(bytes, null, null), bundle, new Date(0), never);
  }

  interface Wanted {
    readonly rules?: readonly Rule[];
    readonly filters?: readonly Partial<PlanFilter>[];
    /** Where the registry is gone, there is no use in trying again. */
    readonly deadlineMs?: number;
  }

  async function run({
    rules = [ruleBy([authority(key)])],
    filters = [{}],
    deadlineMs = 60_000,
  }: Wanted = {}): Promise<Run> {
    const [sample] = samplePlan().filters;
    assert.ok(sample);
    const names = rules.map(({ policy }) => policy);
    const plan: Plan = {
      ...samplePlan(),
      root,
      bootstrap: null,
      limits: { ...samplePlan().limits, deadlineMs },
      pullSecrets: null,
      registries: [{ host: registry.address, plainHttp: true }],
      rules,
      filters: filters.map((changes, index) => ({
        ...sample,
        name: `filter-${index}`,
        slot: `in-last-0${index + 1}`,
        onFailure: "block",
        repository,
        digest,
        reference: `${repository}:1`,
        trust: { rules: names, deferred: false },
        ...changes,
      })),
    };
    const environment = Object.fromEntries(planToEnvironment(plan).variables.map(({ name, value }) => [name, value]));
    return runFetcher({ environment, userAgent: "test", log: line => void lines.push(line), stop: never });
  }

  async function refused(says: RegExp, wanted: Wanted = {}): Promise<void> {
    const { exitCode, line } = await run(wanted);
    assert.match(line, says);
    assert.equal(exitCode, 4);
    for (const folder of ["modules", "filters"]) assert.deepEqual(await readdir(join(root, folder)), [], folder);
  }

  it("loads what is signed, and says who vouched for it", async () => {
    await sign();
    const { exitCode, modules, line } = await run();
    assert.equal(exitCode, 0, line);
    assert.deepEqual(modules[0]?.verified, ["WasmPolicy/release"]);
    assert.equal((await readdir(join(root, "modules"))).length, 1);
  });

  it("loads nothing that nobody signed, whatever admission found out", async () => {
    const says =
      /^wasmount-fetch: Untrusted: filter filter-0 may not load .*@sha256:.*: WasmPolicy\/release: not signed \(release: no signature found\)$/;
    for (const deferred of [false, true]) {
      await refused(says, { filters: [{ trust: { rules: ["WasmPolicy/release"], deferred } }] });
    }
  });

  it("loads nothing by another key, for another digest (1) or for another repository (15)", async () => {
    await sign(other);
    await refused(/the signature found is not by this key/);
    const second = await push("b", "2");
    await sign(key, second);
    await refused(/is not by this key/);
    await sign(key, digest, "registry.example/other/filter");
    await refused(/registry\.example\/other\/filter/);
  });

  it("loads what is pinned, though its tag moved to what nobody signed (1)", async () => {
    await sign();
    assert.notEqual(await push("b", "1"), digest);
    assert.equal((await run()).exitCode, 0);
  });

  for (const signed of ["the index", "the image in it"] as const) {
    it(`takes a signature of ${signed}, and none of a sibling (32)`, () => byIndex(signed));
  }

  async function byIndex(signed: "the index" | "the image in it"): Promise<void> {
    const sibling = await push("b", "2");
    const described = async (of: string, platform: object) => {
      const { bytes } = await client.manifest(registry.address, "team/filter", of);
      return { ...descriptorOf(bytes, OCI_MANIFEST), platform };
    };
    const manifests = [
      await described(digest, { os: "wasip1", architecture: "wasm" }),
      await described(sibling, { os: "linux", architecture: "amd64" }),
    ];
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
    const index = await client.pushManifest(registry.address, "team/filter", "3", { bytes, mediaType: OCI_INDEX });
    const wanted = { filters: [{ digest: index.digest }] };
    await sign(key, sibling);
    await refused(/not signed/, wanted);
    await sign(key, signed === "the index" ? index.digest : digest);
    assert.equal((await run(wanted)).exitCode, 0);
  }

  it("loads nothing whose signatures can't be read, unless the policy says so (30)", async () => {
    await sign();
    const source = `${registry.address.replace(/:\d+$/, ":1")}/signatures`;
    const rule = (onRegistryError: Rule["onRegistryError"]) => ruleBy([authority(key)], { source, onRegistryError });
    for (const onRegistryError of ["Deny", "Defer"] as const) {
      await refused(/Untrusted: .*its signatures can't be read/, { rules: [rule(onRegistryError)], deadlineMs: 2_000 });
    }
    const { exitCode } = await run({ rules: [rule("Warn")], deadlineMs: 2_000 });
    assert.equal(exitCode, 0);
    assert.match(lines.join("\n"), /filter filter-0: WARNING: WasmPolicy\/release: its signatures can't be read/);
  });

  it("holds each filter of an image to its own rules, and to how its author named it", async () => {
    await sign();
    const rules = [ruleBy([authority(key)]), ruleBy([authority(other)], { policy: "NamespacedWasmPolicy/shop/own" })];
    const only = (...names: string[]) => ({ trust: { rules: names, deferred: false } });
    const [cluster, own] = rules.map(({ policy }) => policy) as [string, string];
    await refused(/filter filter-1 may not load .*NamespacedWasmPolicy\/shop\/own: not signed/, {
      rules,
      filters: [only(cluster), only(cluster, own)],
    });
    const byDigest = [ruleBy([authority(key)], { requireDigest: true })];
    await refused(/named by its digest/, { rules: byDigest });
    assert.equal((await run({ rules: byDigest, filters: [{ reference: `${repository}@${digest}` }] })).exitCode, 0);
  });

  it("needs no registry for what it verified before, and verifies it all the same (28)", async () => {
    await sign();
    assert.equal((await run()).exitCode, 0);
    await registry.close();
    const { exitCode, modules, line } = await run();
    assert.equal(exitCode, 0, line);
    assert.deepEqual([modules[0]?.source, modules[0]?.verified], ["reused", ["WasmPolicy/release"]]);
    const { exitCode: changed } = await run({ rules: [ruleBy([authority(other)])], deadlineMs: 1_000 });
    assert.equal(changed, 4, "another key is another question, and the registry can't be asked");
  });

  it("believes no evidence that was kept, but what it proves", async () => {
    await sign();
    assert.equal((await run()).exitCode, 0);
    const folder = join(root, "evidence");
    const [name = ""] = readdirSync(folder);
    const kept = await readFile(join(folder, name));
    await chmod(folder, 0o755);
    for (const bytes of ["", "junk", '{"schema":1,"signatures":[{}],"faults":[]}', kept.subarray(0, -9)]) {
      await rm(join(folder, name));
      await writeFile(join(folder, name), bytes);
      assert.equal((await run()).exitCode, 0, "the registry has the signature still");
      await chmod(folder, 0o755);
    }
    const forged = { payload: signedPayload({ repository, digest, annotations: {} }, other.signer) };
    const { payload, signature } = forged.payload;
    const signatures = [{ payload: payload.toString("base64"), signature: signature.toString("base64") }];
    await rm(join(folder, name));
    await writeFile(join(folder, name), JSON.stringify({ schema: 1, signatures, faults: [] }));
    await registry.close();
    assert.equal((await run({ deadlineMs: 1_000 })).exitCode, 4);
  });

  it("warns where that is the policy's mode", async () => {
    const rules = [
      ruleBy([authority(key)], { mode: "Warn" }),
      ruleBy([authority(key)], { mode: "Audit", policy: "WasmPolicy/x" }),
    ];
    const { exitCode, modules } = await run({ rules });
    assert.equal(exitCode, 0);
    assert.equal(modules[0]?.verified, undefined);
    const said = (prefix: string) => lines.filter(line => line.includes(`${prefix}: WasmPolicy/`)).length;
    assert.deepEqual([said("WARNING"), said("NOTE")], [1, 1]);
  });

  it("needs no registry for a rule that passed, though one in Audit mode beside it fails", async () => {
    await sign();
    const rules = [ruleBy([authority(key)]), ruleBy([authority(other)], { mode: "Audit", policy: "WasmPolicy/x" })];
    assert.equal((await run({ rules })).exitCode, 0);
    await registry.close();
    const again = await run({ rules, deadlineMs: 1_500 });
    assert.equal(again.exitCode, 0, again.line);
  });

  it("needs no registry for a rule that passed, though another's place can't be asked", async () => {
    await sign();
    const source = `${registry.address.replace(/:\d+$/, ":1")}/signatures`;
    const lenient = ruleBy([authority(key)], { source, onRegistryError: "Warn", policy: "WasmPolicy/q" });
    const rules = [ruleBy([authority(key)]), lenient];
    assert.equal((await run({ rules, deadlineMs: 3_000 })).exitCode, 0);
    await registry.close();
    const again = await run({ rules, deadlineMs: 1_500 });
    assert.equal(again.exitCode, 0, again.line);
  });

  it("holds the module to what the policy says of modules", async () => {
    await sign();
    const of = (module: Rule["module"]) => ({ rules: [ruleBy([authority(key)], { module })] });
    await refused(
      /the image's layout is cncf, allowed are compat, content/,
      of({ formats: ["compat", "content"], maxBytes: null }),
    );
    await refused(/the module has \d+ bytes, 10 are allowed/, of({ formats: ["cncf"], maxBytes: 10 }));
    const fits = of({ formats: ["cncf"], maxBytes: noopModule.length });
    assert.equal((await run(fits)).exitCode, 0);
  });

  it("leaves it to admission what goes for images that only a tenant's rule is for", async () => {
    await sign();
    const rules = [ruleBy([authority(key)], { policy: "NamespacedWasmPolicy/shop/own" })];
    const { exitCode, line } = await run({ rules });
    assert.equal(exitCode, 0, line);
  });

  it("asks each place once, and keeps the evidence of one image apart from another's", async () => {
    await sign();
    const second = await push("b", "2");
    await sign(key, second);
    const rules = [ruleBy([authority(key)]), ruleBy([authority(key)], { policy: "WasmPolicy/x" })];
    const before = registry.requests.length;
    const filters = [{}, {}, { digest: second, reference: `${repository}:2` }];
    assert.equal((await run({ rules, filters })).exitCode, 0);
    const asked = registry.requests.slice(before).filter(request => request.includes("/referrers/"));
    assert.equal(asked.length, 2, asked.join("\n"));
    await registry.close();
    const again = await run({ rules, filters, deadlineMs: 1_500 });
    assert.equal(again.exitCode, 0, again.line);
  });

  it("starts without a filter that nobody signed where plan and operator say so, loudly", async () => {
    const { exitCode, line } = await run({ filters: [{ onFailure: "open" }] });
    assert.equal(exitCode, 0);
    assert.match(line, /Open: does nothing: filter-0 \(.*not signed/);
  });

  it("takes what cosign keeps under its tag", async () => {
    const payload = signedPayload({ repository, digest, annotations: {} }, key.signer);
    await attachPayload(client, place(), digest, payload, never);
    assert.equal((await run()).exitCode, 0);
  });

  for (const [what, broken] of [
    ["a rule that it does not know all of", { rules: [{ ...ruleBy([authority(key)]), transparency: true } as Rule] }],
    ["a rule without authorities (37)", { rules: [ruleBy([])] }],
    ["two authorities of one name", { rules: [ruleBy([authority(key), authority(other)])] }],
    ["an authority of endless text", { rules: [ruleBy([authority(key, { name: "x".repeat(2000) })])] }],
    ["an authority of endless annotations", { rules: [ruleBy([authority(key, { annotations: manyOf(65) })])] }],
    ["a rule that nobody has to meet", { rules: [ruleBy([authority(key)], { minimum: 0 })] }],
    ["a rule of another mode", { rules: [ruleBy([authority(key)], { mode: "Off" as "Warn" })] }],
    ["signatures at a place that is none", { rules: [ruleBy([authority(key)], { source: "https://x" })] }],
    ["a filter whose author wrote what is no reference", { filters: [{ reference: "Not One" }] }],
    [
      "an attestation by nobody of the rule",
      { rules: [ruleBy([authority(key)], { attestations: [{ predicateType: "x", authorities: ["y"], minimum: 1 }] })] },
    ],
    [
      "a filter that names a rule which is not there",
      { filters: [{ trust: { rules: ["WasmPolicy/release", "WasmPolicy/x"], deferred: false } }] },
    ],
    [
      "a rule that no filter names",
      {
        rules: [ruleBy([authority(key)]), ruleBy([authority(key)], { policy: "WasmPolicy/b" })],
        filters: [{ trust: { rules: ["WasmPolicy/release"], deferred: false } }],
      },
    ],
    ["two rules of one name", { rules: [ruleBy([authority(key)]), ruleBy([authority(other)])] }],
  ] as const) {
    it(`does nothing with ${what}`, async () => {
      await sign();
      const { exitCode, line } = await run(broken as Wanted);
      assert.match(line, /^wasmount-fetch: BadShape: the plan's /);
      assert.equal(exitCode, 2);
    });
  }
});
