import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { isSlotPatch, slotPatches } from "../../src/dataplanes/kuma-slots.ts";
import { chartFolder, Helm, manifestsOf } from "../environment/helm.ts";
import { meshFile, renderedMesh } from "../environment/installation.ts";
import type { Manifest } from "../environment/stage.ts";

describe("the chart's slots for Kuma", function () {
  this.timeout(5 * 60_000);
  let helm: Helm;

  before(async () => {
    helm = await Helm.open(line => console.log(`      ${line}`));
  });

  async function rendered(...settings: readonly string[]): Promise<readonly Manifest[]> {
    const set = settings.flatMap(setting => ["--set", setting]);
    const text = await helm.run("template", "wasmount", chartFolder, "--namespace", "wasmount-system", ...set);
    return manifestsOf(text).filter(({ kind }) => kind === "MeshProxyPatch");
  }

  // 1e3 is a DNS label, and a number in YAML.
  for (const [namespace, meshes, slots, root] of [
    ["kuma-system", ["default"], 4, "/wasmount"],
    ["kong-mesh-system", ["default", "1e3"], 11, "/filters/of-ours"],
  ] as const) {
    it(`are what the webhook compares them with: ${slots} in ${namespace}, below ${root}`, async () => {
      const found = await rendered(
        "dataPlanes={kuma}",
        `kuma.slots=${slots}`,
        `kuma.systemNamespace=${namespace}`,
        `kuma.meshes={${meshes.join(",")}}`,
        `volume.mountPath=${root}`,
      );
      const wanted = meshes.flatMap(mesh => slotPatches(namespace, mesh, slots, root));
      assert.equal(found.length, wanted.length);
      for (const { apiVersion, kind, metadata } of wanted) {
        const one = found.find(other => other.metadata.name === metadata.name) ?? assert.fail(metadata.name);
        assert.deepEqual([one.apiVersion, one.kind, one.metadata.namespace], [apiVersion, kind, metadata.namespace]);
        for (const [key, value] of Object.entries(metadata.labels ?? {})) assert.equal(one.metadata.labels[key], value);
        assert.equal(one.metadata.annotations["helm.sh/resource-policy"], "keep");
        assert.ok(isSlotPatch(one as never, { namespace, root }), metadata.name);
      }
    });
  }

  it("are none where the operator has no Kuma", async () => {
    assert.deepEqual(await rendered(), []);
  });

  for (const mesh of ["kuma", "consul"] as const) {
    it(`are in manifests/${mesh}.yaml with what else the webhook needs, as the chart renders them`, async () => {
      assert.equal(await readFile(meshFile(mesh), "utf8"), await renderedMesh(helm, mesh), "run npm run manifests");
    });
  }
});
