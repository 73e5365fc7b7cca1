import assert from "node:assert/strict";
import { createMetrics } from "../../src/observe/metrics.ts";

describe("metrics of the fleet", () => {
  const lines = async (metrics: ReturnType<typeof createMetrics>) =>
    (await metrics.expose()).text.split("\n").filter(line => /^wasmount_(leader|fleet|fetcher)/.test(line));

  it("are absent where there is no controller", async () => {
    assert.deepEqual(await lines(createMetrics()), []);
  });

  it("come from the leader alone, once it knows", async () => {
    const metrics = createMetrics();
    let leading = false;
    let known = false;
    metrics.watchFleet(
      () => leading,
      () =>
        known
          ? {
              filters: { wanted: 3, mounted: 1, failed: 1, pending: 1 },
              pods: { injected: 2, differing: 0, unverified: 1 },
            }
          : null,
    );
    assert.deepEqual(await lines(metrics), ["wasmount_leader 0"]);
    leading = true;
    assert.deepEqual(await lines(metrics), ["wasmount_leader 1"]);
    known = true;
    metrics.fetcherTerminated("Mounted");
    assert.deepEqual((await lines(metrics)).sort(), [
      'wasmount_fetcher_terminations_total{outcome="Mounted"} 1',
      'wasmount_fleet_filters{state="failed"} 1',
      'wasmount_fleet_filters{state="mounted"} 1',
      'wasmount_fleet_filters{state="pending"} 1',
      'wasmount_fleet_filters{state="wanted"} 3',
      'wasmount_fleet_pods{state="differing"} 0',
      'wasmount_fleet_pods{state="injected"} 2',
      'wasmount_fleet_pods{state="unverified"} 1',
      "wasmount_leader 1",
    ]);
    leading = false;
    // What is held of a fleet that is not watched any more is no answer.
    assert.deepEqual(await lines(metrics), [
      "wasmount_leader 0",
      'wasmount_fetcher_terminations_total{outcome="Mounted"} 1',
    ]);
  });
});
