import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../src/config/load.ts";
import { admissionCore } from "../../src/inject/core.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import { readManifest } from "../../src/oci/manifest.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { attachBundle } from "../../src/trust/attaching.ts";
import { signedBundle } from "../../src/trust/signing.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { sampleNamespace, samplePod } from "../admission/pods.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { policyObject, RELEASE } from "../policies/policies.ts";

describe("injection by files of policies", () => {
  let folder: string;
  let registry: Registry;
  let client: RegistryClient;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-inject-"));
    registry = await startRegistry();
    client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
  });
  afterEach(async () => {
    client.close();
    await registry.close();
    await rm(folder, { recursive: true });
  });

  it("denies what admission would deny, and plans what fetchers are to verify", async () => {
    const file = join(folder, "policies.yaml");
    const match = { repositories: [`${registry.address}/**`] };
    await writeFile(file, JSON.stringify(policyObject("release", { match })));
    const config = parseConfig(
      JSON.stringify({
        tls: { certFile: "a", keyFile: "b" },
        fetcher: { image: "registry.example/wasmount:1" },
        registries: [{ host: registry.address, plainHttp: true }],
        policy: { files: [file] },
      }),
      "a test",
    );
    const repository = `${registry.address}/team/filter`;
    const image = await moduleImage({ module: Buffer.from(noopModule), name: "a", layout: "cncf" });
    const { digest } = await pushModule(client, parseReference(`${repository}:1`), image);
    const pod = samplePod({ annotations: { "wasmount.dev/module.headers": `${repository}:1` } });
    const decide = async () => {
      const core = await admissionCore(config, "envoy", "test");
      return core.decide({ pod, namespace: sampleNamespace(), isTemplate: false }).finally(() => core.close());
    };
    const { reason, detail } = await decide();
    assert.equal(reason, "PolicyDenied");
    assert.match(detail, /WasmPolicy\/release: not signed \(release: no signature found\)/);
    const bundle = signedBundle({ repository, digest, annotations: {} }, RELEASE.signer);
    const { bytes } = await client.manifest(registry.address, "team/filter", digest);
    const place = { registry: registry.address, repository: "team/filter" };
    const subject = readManifest(bytes, null, null);
    await attachBundle(client, place, subject, bundle, new Date(0), new AbortController().signal);
    const decision = await decide();
    assert.ok(decision.outcome === "Injected", decision.detail);
    assert.deepEqual(decision.plan.filters[0]?.trust, { rules: ["WasmPolicy/release"], deferred: false });
  });
});
