import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { INJECTED } from "../../src/admission/key.ts";
import { samplePod } from "../admission/pods.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { injected } from "../validation/injected-pod.ts";

const folder = fileURLToPath(new URL("../../manifests/examples/network-policies", import.meta.url));

describe("the examples of network policies", function () {
  this.timeout(15 * 60_000);
  let policies: readonly Manifest[];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const kubectl = new Kubectl(await openCluster({ node: false, progress: line => console.log(`      ${line}`) }));
    const files = (await readdir(folder)).flatMap(name => ["-f", join(folder, name)]);
    const options = ["--dry-run=server", "--validate=strict", "-n", "default", "-o", "json"];
    policies = JSON.parse(await kubectl.run(["create", ...files, ...options])).items;
  });

  it("are taken by the API server as they are", async () => {
    assert.equal(policies.length, (await readdir(folder)).length);
    for (const { kind, spec } of policies) {
      assert.equal(kind, "NetworkPolicy");
      assert.deepEqual(spec.policyTypes, ["Egress"]);
    }
  });

  it("deny everything in one, and in the others let injected pods reach names and one place", async () => {
    const [none, ...some] = [...policies].sort((a, b) => (a.spec.egress?.length ?? 0) - (b.spec.egress?.length ?? 0));
    assert.deepEqual(none.spec, { podSelector: {}, policyTypes: ["Egress"] });
    const { metadata } = await injected(samplePod());
    for (const { spec } of some) {
      // The label is one that admission stamps.
      assert.deepEqual(spec.podSelector, { matchLabels: { [INJECTED]: metadata.labels[INJECTED] } });
      const [names, place, ...others] = spec.egress;
      assert.deepEqual(names.ports.map(({ protocol, port }: Manifest) => `${protocol} ${port}`).sort(), [
        "TCP 53",
        "UDP 53",
      ]);
      assert.deepEqual([place.to.length, place.ports.length, others.length], [1, 1, 0]);
    }
  });
});
