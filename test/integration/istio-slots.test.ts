import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { slotFilters } from "../../src/dataplanes/istio-slots.ts";
import { chartFolder, Helm, manifestsOf } from "../environment/helm.ts";
import { meshFile, renderedMesh } from "../environment/installation.ts";
import type { Manifest } from "../environment/stage.ts";

describe("the chart's slots for Istio", function () {
  this.timeout(5 * 60_000);
  let helm: Helm;

  before(async () => {
    helm = await Helm.open(line => console.log(`      ${line}`));
  });

  async function rendered(...settings: readonly string[]): Promise<readonly Manifest[]> {
    const set = settings.flatMap(setting => ["--set", setting]);
    const text = await helm.run("template", "wasmount", chartFolder, "--namespace", "wasmount-system", ...set);
    return manifestsOf(text).filter(({ kind }) => kind === "EnvoyFilter");
  }

  for (const [namespace, slots, root] of [
    ["istio-system", 4, "/wasmount"],
    ["mesh-root", 11, "/filters/of-ours"],
  ] as const) {
    it(`are what the webhook compares them with: ${slots} in ${namespace}, below ${root}`, async () => {
      const found = await rendered(
        "istio.enabled=true",
        `istio.slots=${slots}`,
        `istio.rootNamespace=${namespace}`,
        `volume.mountPath=${root}`,
      );
      const wanted = slotFilters(namespace, slots, root);
      const byName = (one: Manifest, other: Manifest) => (one.metadata.name < other.metadata.name ? -1 : 1);
      assert.equal(found.length, wanted.length);
      for (const [index, filter] of found.toSorted(byName).entries()) {
        const { apiVersion, kind, metadata, spec } = wanted.toSorted(byName)[index] ?? assert.fail();
        assert.deepEqual([filter.apiVersion, filter.kind], [apiVersion, kind]);
        assert.deepEqual([filter.metadata.name, filter.metadata.namespace], [metadata.name, metadata.namespace]);
        assert.equal(filter.metadata.labels["wasmount.dev/slot"], metadata.labels["wasmount.dev/slot"]);
        assert.equal(filter.metadata.annotations["helm.sh/resource-policy"], "keep");
        assert.deepEqual(filter.spec, spec);
      }
    });
  }

  it("are none where Istio is off", async () => {
    assert.deepEqual(await rendered(), []);
  });

  it("are in manifests/istio.yaml as the chart renders them", async () => {
    assert.equal(await readFile(meshFile("istio"), "utf8"), await renderedMesh(helm, "istio"), "run npm run manifests");
  });
});
