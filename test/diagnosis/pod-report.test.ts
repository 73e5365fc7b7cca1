import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { type PodReport, podReport } from "../../src/diagnosis/pod-report.ts";
import type { StoredPod } from "../../src/diagnosis/stored-pod.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import { digest, sampleNamespace, samplePod } from "../admission/pods.ts";
import { injected, type RawPod } from "../validation/injected-pod.ts";

const measure = {
  config: parseConfig("tls: {certFile: a, keyFile: b}\nfetcher: {image: registry.example/wasmount:1}", "wasmount.yaml"),
  dataPlanes: [envoyDataPlane],
  excluded: ["kube-system", "wasmount-system"],
};

function report(pod: RawPod, status: StoredPod["status"] = {}, namespace = sampleNamespace()): PodReport | null {
  return podReport({ ...pod, status }, namespace, measure);
}

/** An injected pod whose fetcher stands as its kubelet reports. */
async function withFetcher(status: object, phase = "Pending"): Promise<PodReport> {
  const initContainerStatuses = [{ name: "wasmount-fetch", state: {}, ...status }];
  return report(await injected(samplePod()), { phase, initContainerStatuses }) ?? assert.fail("no report");
}

describe("a report on a pod", () => {
  it("names digests and the plan of one that is injected", async () => {
    const { filters, plan, outdated } = await withFetcher({ state: { terminated: { exitCode: 0 } } });
    assert.equal(outdated, null);
    assert.match(plan ?? "", /^[0-9a-f]{64}$/);
    const [filter] = filters;
    assert.deepEqual(
      [filter?.name, filter?.repository, filter?.digest, filter?.slot],
      ["headers", "registry.example/headers", digest("a"), "in-last-01"],
    );
  });

  it("knows what Envoy is to serve, and where it can be asked, from the fetcher's last words", async () => {
    const version = "c".repeat(64);
    const modules = [
      { filters: ["other", "headers"], digest: digest("a"), source: "registry", versions: ["d".repeat(64), version] },
    ];
    const words = JSON.stringify({ summary: "wasmount-fetch", bytes: 1, seconds: 1, adminPort: 9901, modules });
    const ended = { state: { terminated: { exitCode: 0, message: words } } };
    const runs = await withFetcher(ended, "Running");
    assert.deepEqual(runs.proxy, { dataPlane: "envoy", running: true, adminPort: 9901 });
    assert.equal(runs.filters[0]?.version, version);
    assert.equal((await withFetcher(ended)).proxy?.running, false);
    const silent = await withFetcher({ state: { terminated: { exitCode: 0 } } }, "Running");
    assert.deepEqual([silent.proxy?.adminPort, silent.filters[0]?.version], [null, null]);
    const failed = await withFetcher({ state: { terminated: { exitCode: 4, message: words } } }, "Running");
    assert.deepEqual([failed.proxy?.running, failed.filters[0]?.version], [false, null]);
  });

  const message = "wasmount-fetch: DigestMismatch: the content's digest is another";
  for (const [what, status, state, code, detail] of [
    ["done", { state: { terminated: { exitCode: 0 } } }, "Mounted", null, /^$/],
    ["at work", { state: { running: {} } }, "Running", null, /at work/],
    [
      "at work again",
      { state: { running: {} }, lastState: { terminated: { exitCode: 4, message } } },
      "Running",
      null,
      /at work/,
    ],
    ["not begun", {}, "Waiting", null, /^$/],
    ["creating", { state: { waiting: { reason: "PodInitializing" } } }, "Waiting", "PodInitializing", /^$/],
    [
      "failed",
      { state: { terminated: { exitCode: 4, message } } },
      "Failed",
      "DigestMismatch",
      /^the content's digest is another$/,
    ],
    [
      "failing",
      {
        state: { waiting: { reason: "CrashLoopBackOff", message: "back-off" } },
        lastState: { terminated: { exitCode: 4, message } },
      },
      "Failed",
      "DigestMismatch",
      /digest/,
    ],
    [
      "killed",
      { state: { terminated: { exitCode: 137, reason: "OOMKilled" } } },
      "Failed",
      "OOMKilled",
      /exit code 137/,
    ],
    [
      "without its image",
      { state: { waiting: { reason: "ImagePullBackOff", message: "no such image" } } },
      "Failed",
      "ImagePullBackOff",
      /no such image/,
    ],
  ] as const) {
    it(`tells a fetcher that is ${what}`, async () => {
      const found = await withFetcher(status);
      assert.deepEqual([found.state, found.code], [state, code]);
      assert.match(found.detail, detail);
    });
  }

  it("tells what its fetcher said in one line that a terminal can be given", async () => {
    const said = `wasmount-fetch: Volume: a\u001b[2J b ${"x".repeat(2_000)}`;
    const { code, detail } = await withFetcher({ state: { terminated: { exitCode: 6, message: said } } });
    assert.equal(code, "Volume");
    assert.ok(detail.startsWith("a\\u{1b}[2J b xxx") && detail.length <= 1_001, detail);
  });

  it("tells a pod whose node ended it before its fetcher ran", async () => {
    const found = report(await injected(samplePod()), { phase: "Failed" });
    assert.deepEqual([found?.state, found?.code], ["Failed", "PodFailed"]);
  });

  it("tells one that only looks injected", () => {
    const pod = { ...samplePod(), metadata: { name: "x", labels: { "wasmount.dev/injected": "true" } } };
    assert.deepEqual([report(pod)?.state, report(pod)?.code], ["Failed", "Missing"]);
  });

  describe("that is not injected", () => {
    it("is made where admission would inject", () => {
      const found = report(samplePod(), { phase: "Running" });
      assert.deepEqual([found?.state, found?.code, found?.plan], ["Uninjected", "Injected", null]);
      assert.deepEqual(
        found?.filters.map(({ name, digest: runs }) => [name, runs]),
        [["headers", null]],
      );
    });

    it("is made where admission would refuse, with its reason", () => {
      const found = report(samplePod({ labels: { "wasmount.dev/inject": "on" } }), { phase: "Running" });
      assert.deepEqual([found?.state, found?.code], ["Uninjected", "BadSwitch"]);
      assert.match(found?.detail ?? "", /"true" and "false" are allowed/);
      const broken = samplePod({ proxy: { args: ["-c", "/etc/envoy/envoy.yaml", "--config-yaml", "x"] } });
      assert.equal(report(broken, { phase: "Running" })?.code, "ProxyConfigInline");
    });

    const off = sampleNamespace({ labels: {} });
    const system = sampleNamespace({ name: "kube-system" });
    const own = sampleNamespace({ name: "wasmount-system" });
    const cases: readonly (readonly [string, RawPod, StoredPod["status"], Namespace | undefined])[] = [
      ["opted out", samplePod({ labels: { "wasmount.dev/inject": "false" } }), { phase: "Running" }, undefined],
      ["in a namespace that is not switched on", samplePod(), { phase: "Running" }, off],
      ["done", samplePod(), { phase: "Succeeded" }, undefined],
      ["over", samplePod(), { phase: "Failed" }, undefined],
      ["of the system", samplePod(), { phase: "Running" }, system],
      ["wasmount's own", samplePod(), { phase: "Running" }, own],
      ["the mirror of a static pod", samplePod({ annotations: { "kubernetes.io/config.mirror": "x" } }), {}, undefined],
    ];
    for (const [what, pod, status, namespace] of cases) {
      it(`is not made where it is ${what}`, () => assert.equal(report(pod, status, namespace), null));
    }

    it("is not made where it is being deleted", () => {
      const pod = samplePod();
      const going = { ...pod, metadata: { ...pod.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
      assert.equal(report(going, { phase: "Running" }), null);
    });
  });

  describe("whose namespace or annotations changed since", () => {
    const annotated = (annotations: Record<string, string>, labels = { "wasmount.dev/inject": "true" }) =>
      sampleNamespace({ annotations, labels });
    const second = { "wasmount.dev/module.auth": `registry.example/auth@${digest("b")}` };

    async function outdated(now: Namespace, then = sampleNamespace()): Promise<string | null | undefined> {
      return report(await injected(samplePod(), then), {}, now)?.outdated;
    }

    it("is not outdated where both say the same", async () => {
      assert.equal(await outdated(annotated(second), annotated(second)), null);
      assert.equal(await outdated(annotated({ "other/annotation": "x" })), null);
    });

    it("is outdated by a filter more, a filter less, another configuration, another order", async () => {
      assert.match((await outdated(annotated(second))) ?? "", /wanted but not there: auth/);
      assert.match((await outdated(sampleNamespace(), annotated(second))) ?? "", /no longer wanted: auth/);
      const configured = annotated({ "wasmount.dev/config.headers": "x = y" });
      assert.match((await outdated(configured)) ?? "", /headers has another config/);
      const swapped = annotated({ ...second, "wasmount.dev/order.headers": "-1" });
      assert.match((await outdated(swapped, annotated(second))) ?? "", /another order/);
      const first = annotated({ "wasmount.dev/phase.headers": "first" });
      assert.match((await outdated(first)) ?? "", /headers has another phase/);
    });

    it("is outdated where it would not be injected any more", async () => {
      assert.match(
        (await outdated(sampleNamespace({ labels: {} }))) ?? "",
        /would not be injected now \(NotSwitchedOn\)/,
      );
      assert.match(
        (await outdated(annotated({ "wasmount.dev/modul.x": "y" }))) ?? "",
        /would be refused now: UnknownKey/,
      );
    });
  });
});
