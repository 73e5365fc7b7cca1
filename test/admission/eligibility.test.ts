import assert from "node:assert/strict";
import { readEligibility } from "../../src/admission/eligibility.ts";
import { isRefusal } from "../../src/decision/refusal.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { sampleNamespace, samplePod } from "./pods.ts";

const INJECT = "wasmount.dev/inject";
const LOCKED = "wasmount.dev/locked";

const kinds: Record<string, Partial<Pod["spec"]>> = {
  "of the host's network": { hostNetwork: true },
  "for Windows, by spec.os": { os: { name: "windows" } },
  "for Windows, by nodeSelector": { nodeSelector: { "kubernetes.io/os": "windows" } },
  "for Linux, and nothing else": { os: { name: "linux" }, nodeSelector: { "kubernetes.io/os": "windows" } },
};

describe("a pod", () => {
  const expected: [kind: string, asked: "namespace" | "pod" | "locked" | "nobody", verdict: string][] = [
    ["of the host's network", "namespace", "skipped HostNetwork"],
    ["of the host's network", "pod", "eligible"],
    ["of the host's network", "locked", "refused HostNetwork"],
    ["of the host's network", "nobody", "skipped NotSwitchedOn"],
    ["for Windows, by spec.os", "namespace", "skipped WindowsPod"],
    ["for Windows, by spec.os", "pod", "refused WindowsPod"],
    ["for Windows, by spec.os", "locked", "refused WindowsPod"],
    ["for Windows, by nodeSelector", "namespace", "skipped WindowsPod"],
    ["for Windows, by nodeSelector", "pod", "refused WindowsPod"],
    ["for Linux, and nothing else", "locked", "eligible"],
  ];
  const labels = {
    namespace: [{}, { [INJECT]: "true" }],
    pod: [{ [INJECT]: "true" }, {}],
    locked: [{}, { [LOCKED]: "true" }],
    nobody: [{}, {}],
  } as const;
  for (const [kind, asked, verdict] of expected) {
    it(`${kind}, where ${asked} asks for filters: ${verdict}`, () => {
      const [own, inherited] = labels[asked];
      assert.equal(verdictOn(samplePod({ labels: own, spec: kinds[kind] ?? {} }), inherited), verdict);
    });
  }

  for (const inherited of [{ [INJECT]: "true" }, { [LOCKED]: "true" }]) {
    it(`that mirrors a static one is left alone where the namespace has ${JSON.stringify(inherited)}`, () => {
      const mirror = samplePod({ annotations: { "kubernetes.io/config.mirror": "abc" }, labels: { [INJECT]: "junk" } });
      assert.equal(verdictOn(mirror, inherited), "skipped MirrorPod");
    });
  }
});

function verdictOn(pod: Pod, inherited: Record<string, string>): string {
  const result = readEligibility(pod, sampleNamespace({ labels: inherited }));
  if (isRefusal(result)) return `refused ${result.reason}`;
  return result.kind === "skipped" ? `skipped ${result.reason}` : "eligible";
}
