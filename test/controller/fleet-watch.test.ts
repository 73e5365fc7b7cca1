import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { FLEET_SETTINGS, FleetWatch } from "../../src/controller/fleet-watch.ts";
import { planVouching } from "../../src/controller/vouched-plan.ts";
import { apiServer } from "../../src/kube/api-server.ts";
import { type Answer, event, hold, type Script, ScriptedApi, untilTrue } from "../kube/scripted-api.ts";
import { DIGESTS, keys, type StoredPod, storedPod, summary, terminated } from "./pods.ts";

const NOW = Date.parse("2026-01-02T03:10:00Z");
const podList =
  (...items: readonly object[]): Answer =>
  response =>
    response.end(JSON.stringify({ kind: "PodList", metadata: { resourceVersion: "5" }, items }));
const pod = (version: number, given: StoredPod) => {
  const stored = storedPod(given);
  return { ...stored, metadata: { ...stored.metadata, resourceVersion: String(version) } };
};

describe("the fleet's watch", () => {
  let api: ScriptedApi;
  let watch: FleetWatch | null;
  let told: string[];
  let outcomes: string[];

  beforeEach(() => {
    [told, outcomes, watch] = [[], [], null];
  });

  afterEach(async () => {
    await watch?.close();
    api.close();
  });

  async function open(script: Script): Promise<FleetWatch> {
    api = new ScriptedApi("/api/v1/pods", script);
    const kubeConfig = await api.open();
    const opened = new FleetWatch({
      server: apiServer(kubeConfig),
      labelSelector: "wasmount.dev/injected=true",
      vouch: planVouching(() => keys),
      reports: {
        terminated: outcome => outcomes.push(outcome),
        tell: ({ reason, regarding }, { count }) => told.push(`${regarding.name} ${reason} ${count}`),
        interrupted: () => {},
      },
      settings: { ...FLEET_SETTINGS, backoff: { baseMs: 5, maxMs: 20 } },
      monotonic: () => performance.now(),
      wall: () => NOW,
      random: Math.random,
      sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    });
    watch = opened;
    return opened;
  }

  const wanted = (opened: FleetWatch, number: number) =>
    untilTrue(
      () => opened.counts?.filters.wanted === number,
      () => JSON.stringify(opened.counts),
    );

  it("says nothing before all pods are listed, and asks for injected ones alone", async () => {
    const opened = await open({ lists: [() => {}] });
    await untilTrue(
      () => api.lists.length > 0,
      () => "no list",
    );
    assert.equal(opened.counts, null);
    assert.equal(api.lists[0]?.searchParams.get("labelSelector"), "wasmount.dev/injected=true");
  });

  it("counts what it sees happen, and tells each end of a fetcher once", async () => {
    const failing = { name: "one", fetcher: { state: terminated(3) } };
    const opened = await open({
      lists: [podList(pod(2, { name: "one" }))],
      watches: [
        hold(
          event("MODIFIED", pod(6, { name: "one", fetcher: { state: { running: {} } } })),
          event("MODIFIED", pod(7, failing)),
          event("MODIFIED", pod(8, { ...failing, phase: "Running" })),
          event("MODIFIED", pod(9, { name: "one", fetcher: { state: {}, lastState: terminated(3), restartCount: 1 } })),
          event(
            "MODIFIED",
            pod(10, { name: "one", fetcher: { state: terminated(3, "", "2026-01-02T03:05:00Z"), restartCount: 1 } }),
          ),
          event(
            "MODIFIED",
            pod(11, {
              name: "one",
              fetcher: { state: terminated(0, summary(DIGESTS), "2026-01-02T03:06:00Z"), restartCount: 2 },
            }),
          ),
          event("ADDED", pod(12, { name: "two" })),
        ),
      ],
    });
    await wanted(opened, 4);
    assert.deepEqual(outcomes, ["Unavailable", "Unavailable", "Mounted"]);
    assert.deepEqual(told, ["one FilterFetchFailed 1", "one FilterFetchFailed 2", "one FilterMounted 1"]);
    assert.deepEqual(opened.counts, {
      filters: { wanted: 4, mounted: 2, failed: 0, pending: 2 },
      pods: { injected: 2, differing: 0, unverified: 0 },
    });
  });

  it("counts nothing of what had ended before, and tells what is recent of it", async () => {
    const opened = await open({
      lists: [
        podList(
          pod(2, { name: "recent", fetcher: { state: terminated(0, "", "2026-01-02T03:01:00Z") } }),
          pod(3, { name: "old", fetcher: { state: terminated(0, "", "2026-01-02T02:59:00Z") } }),
          pod(4, { name: "ahead", fetcher: { state: terminated(3, "", "2026-01-03T00:00:00Z") } }),
          pod(5, { name: "odd", fetcher: { state: terminated(3, "", "yesterday") } }),
        ),
      ],
      watches: [hold()],
    });
    await wanted(opened, 8);
    assert.deepEqual([told, outcomes], [["recent FilterMounted 1"], []]);
  });

  it("takes a pod of the same name for another one", async () => {
    const opened = await open({
      lists: [podList(pod(2, { name: "one", uid: "a", fetcher: { state: terminated(0) } }))],
      watches: [
        hold(
          event("DELETED", pod(6, { name: "one", uid: "a" })),
          event("ADDED", pod(7, { name: "one", uid: "b", fetcher: { state: terminated(0) } })),
          event("ADDED", pod(8, { name: "two" })),
        ),
      ],
    });
    await wanted(opened, 4);
    assert.deepEqual(outcomes, ["Mounted"]);
  });

  it("forgets pods that are gone", async () => {
    const opened = await open({
      lists: [podList(pod(2, { name: "one", fetcher: { state: terminated(3) } }), pod(3, { name: "two", env: [] }))],
      watches: [hold(event("DELETED", pod(6, { name: "one" })), event("DELETED", pod(7, { name: "two" })))],
    });
    await wanted(opened, 0);
    await untilTrue(
      () => opened.counts?.pods.unverified === 0,
      () => JSON.stringify(opened.counts),
    );
    assert.deepEqual(opened.counts?.filters, { wanted: 0, mounted: 0, failed: 0, pending: 0 });
  });
});
