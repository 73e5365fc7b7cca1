import assert from "node:assert/strict";
import type { Answer } from "../../src/hooks/calls.ts";
import { readResult, selfTest, selfTestPod, selfTestText } from "../../src/hooks/self-test.ts";

const TEST = { namespace: "default", module: `registry.example/a@sha256:${"0".repeat(64)}` };
const refusal = (status: number, message: string): Answer => ({ status, body: { kind: "Status" }, message });

const injected = {
  metadata: { labels: { "wasmount.dev/injected": "true" } },
  spec: {
    initContainers: [{ name: "wasmount-fetch", image: "registry.example/wasmount:1" }],
    volumes: [{ name: "config" }, { name: "wasmount" }],
  },
};

describe("the self-test", () => {
  it("asks for a pod that is switched on, and not kept", async () => {
    const asked: unknown[] = [];
    await selfTest(async (...call) => {
      asked.push(call);
      return { status: 201, body: injected, message: "" };
    }, TEST);
    assert.deepEqual(asked, [["POST", "/api/v1/namespaces/default/pods?dryRun=All", { body: selfTestPod(TEST) }]]);
  });

  it("passes with the fetcher, its volume and the label", () => {
    const result = readResult({ status: 201, body: injected, message: "" });
    assert.deepEqual(result, { outcome: "Injected", image: "registry.example/wasmount:1" });
  });

  const { metadata, spec } = injected;
  for (const [missing, pod] of [
    ["init container wasmount-fetch", { metadata, spec: { ...spec, initContainers: [{ name: "other", image: "x" }] } }],
    ["volume wasmount", { metadata, spec: { ...spec, volumes: [] } }],
    ["label wasmount.dev/injected", { metadata: {}, spec }],
    ["init container wasmount-fetch, volume wasmount, label wasmount.dev/injected", {}],
  ] as const) {
    it(`fails without ${missing}`, () => {
      const result = readResult({ status: 201, body: pod, message: "" });
      assert.deepEqual(result, { outcome: "Untouched", missing: missing.split(", ") });
      assert.match(selfTestText(result, TEST), new RegExp(`without ${missing}`));
    });
  }

  it("tells the webhook's denial from others'", () => {
    const ours =
      'admission webhook "pod.wasmount.dev" denied the request: wasmount: PolicyMissing: No policy is for the image.';
    const denied = (message: string) => readResult(refusal(403, message));
    const known = ours.replace("PolicyMissing", "TagUnresolved");
    assert.deepEqual(denied(known), { outcome: "Denied", reason: "TagUnresolved", message: known });
    assert.equal(denied(ours.replace("pod.wasmount.dev", "pod.other.example")).outcome, "Refused");
    assert.equal(denied(ours.replace("PolicyMissing", "Nonsense")).outcome, "Refused", "no reason of ours");
    assert.equal(denied(ours.replace("PolicyMissing", "constructor")).outcome, "Refused");
    assert.equal(denied('pods "x" is forbidden: exceeded quota: all').outcome, "Refused");
  });

  it("tells a webhook that can't be called", () => {
    const message =
      'Internal error occurred: failed calling webhook "pod.wasmount.dev": failed to call webhook: Post "https://wasmount-webhook.wasmount-system.svc:443/mutate/pod?timeout=5s": no endpoints available for service "wasmount-webhook"';
    assert.deepEqual(readResult(refusal(500, message)), { outcome: "NotReached", message });
    assert.equal(readResult(refusal(500, message.replace("pod.wasmount", "pod.other"))).outcome, "Refused");
  });
});
