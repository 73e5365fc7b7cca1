import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type AttachOptions, type AttachResult, runAttach } from "../../src/inject/attach.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { deployment, documents, MODULE, streamOf } from "./injecting.ts";

const CONFIG = fileURLToPath(new URL("../fixtures/attach/config.yaml", import.meta.url));
const POD = readFileSync(new URL("../fixtures/istio/pods.json", import.meta.url), "utf8");

function attach(text: string, options: Partial<AttachOptions> = {}): Promise<AttachResult> {
  return runAttach({
    files: ["-"],
    stdin: streamOf(text),
    namespace: "shop",
    namespaceFile: null,
    config: null,
    fetcherImage: "registry.example/wasmount:0.1.0",
    dataPlane: null,
    json: false,
    ...options,
  });
}

/** A pod that Istio's injector made, asking for filters. */
function meshPod(annotations: Readonly<Record<string, string>>, labels = {}): Pod {
  const pod = JSON.parse(POD).native as Pod;
  return {
    ...pod,
    metadata: {
      ...pod.metadata,
      labels: { ...pod.metadata.labels, "wasmount.dev/inject": "true", ...labels },
      annotations: { ...pod.metadata.annotations, ...annotations },
    },
  };
}

const TWO = {
  "wasmount.dev/module.auth": MODULE,
  "wasmount.dev/phase.auth": "first",
  "wasmount.dev/module.headers": "registry.example/headers:a-tag-that-nobody-is-asked-for",
};

describe("wasmount attach", () => {
  it("prints the objects that a pod's slots need, as they can be applied", async () => {
    const { text, messages, incomplete } = await attach(JSON.stringify(meshPod(TWO)), {
      dataPlane: "istio",
      config: CONFIG,
    });
    const printed = documents(text) as { kind: string; metadata: { name: string; namespace: string } }[];
    assert.deepEqual(
      printed.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`),
      ["in-first-01", "in-last-01", "http-only"].map(slot => `EnvoyFilter istio-system/wasmount-${slot}`),
    );
    assert.equal(incomplete, false);
    assert.match(
      messages.join("\n"),
      /filters auth \(in-first-01\), headers \(in-last-01\): EnvoyFilter istio-system\/wasmount-in-first-01/,
    );
  });

  it("prints what several pods share once, as a List where JSON is asked for", async () => {
    const pods = { apiVersion: "v1", kind: "List", items: [meshPod(TWO), meshPod(TWO, { other: "pod" })] };
    const { text } = await attach(JSON.stringify(pods), { dataPlane: "istio", config: CONFIG, json: true });
    const { kind, items } = JSON.parse(text);
    assert.deepEqual([kind, items.length], ["List", 3]);
  });

  it("prints no slots by defaults: they would be taken from under the pods that run", async () => {
    await assert.rejects(
      attach(JSON.stringify(meshPod(TWO)), { dataPlane: "istio" }),
      /objects of istio are as the operator's configuration says.*--config/,
    );
  });

  it("says that plain Envoy needs no object", async () => {
    const { text, messages, incomplete } = await attach(deployment());
    assert.deepEqual([text, incomplete], ["", false]);
    assert.match(messages.join("\n"), /^Deployment shop\/web: envoy, .*nothing is to be applied/);
  });

  it("tells of pods whose objects can't be told", async () => {
    const early = JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: "early",
        labels: { "wasmount.dev/inject": "true", "sidecar.istio.io/inject": "true" },
        annotations: { "wasmount.dev/module.auth": MODULE },
      },
      spec: { containers: [{ name: "app", image: "app" }] },
    });
    const deferred = await attach(early, { dataPlane: "istio", config: CONFIG });
    assert.equal(deferred.incomplete, true);
    assert.match(deferred.messages.join("\n"), /Pod shop\/early: Deferred.*give a pod as it runs/);
    const denied = await attach(JSON.stringify(meshPod({ "wasmount.dev/modul.auth": MODULE })), {
      dataPlane: "istio",
      config: CONFIG,
    });
    assert.equal(denied.incomplete, true);
    assert.match(denied.messages.join("\n"), /wasmount\.dev\/modul\.auth/);
    assert.equal(denied.text, "");
  });

  it("says where nothing was asked for, and refuses what has no workload", async () => {
    const off = await attach(JSON.stringify(meshPod({}, { "wasmount.dev/inject": "false" })), {
      dataPlane: "istio",
      config: CONFIG,
    });
    assert.deepEqual([off.text, off.incomplete], ["", false]);
    assert.match(off.messages.join("\n"), /Skipped/);
    await assert.rejects(attach("{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}"), /no workload/);
    await assert.rejects(attach("", { files: ["-", "-"] }), /given twice/);
  });
});
