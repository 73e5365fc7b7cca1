import assert from "node:assert/strict";
import { defaultConfig } from "../../src/config/load.ts";
import { kumaSlotObjects } from "../../src/dataplanes/slot-objects.ts";
import type { ClusterView } from "../../src/diagnosis/cluster-view.ts";
import { DiagnosisError } from "../../src/diagnosis/error.ts";
import { dataPlanesIn, readSlots } from "../../src/diagnosis/slots.ts";
import { recordedCluster } from "./recorded-cluster.ts";

const base = defaultConfig("registry.example/wasmount:1");
const config = { ...base, istio: { ...base.istio, enabled: true }, dataPlanes: ["kuma", "consul"] as const };

/** What a cluster says of every collection that it is asked for. */
function clusterThatSays(code: "NotFound" | "Unreachable"): ClusterView {
  return {
    ...recordedCluster({}),
    // biome-ignore lint/correctness/useYield: it ends before the first object.
    async *list<Item>(path: string): AsyncGenerator<Item> {
      throw new DiagnosisError(code, `there is no ${path}`);
    },
  };
}

describe("slots, to whoever looks from outside", () => {
  it("are all missing where the mesh's definitions are", async () => {
    const cluster = clusterThatSays("NotFound");
    const states = await readSlots(cluster, kumaSlotObjects(config) ?? assert.fail("Kuma is named"));
    assert.ok(states.size > 0);
    assert.deepEqual(new Set(states.values()), new Set(["Missing"]));
    const names = (await dataPlanesIn(cluster, config)).map(({ name }) => name);
    assert.deepEqual(names, ["istio", "kuma", "consul", "envoy"]);
  });

  it("are not told where the API server does not answer", async () => {
    await assert.rejects(dataPlanesIn(clusterThatSays("Unreachable"), config), { code: "Unreachable" });
  });
});
