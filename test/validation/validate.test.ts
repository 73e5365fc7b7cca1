import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { readPlanKeys } from "../../src/plan/signature.ts";
import { digest, sampleNamespace, samplePod } from "../admission/pods.ts";
import { assertDenied, assertVerified, fetcherOf, owned, validate, variable } from "./attacks.ts";
import { injected, newKey, signing, unsigned, verifying } from "./injected-pod.ts";

describe("validation", () => {
  describe("verifies", () => {
    it("what admission made, in each way of attaching", async () => {
      const tag = { "wasmount.dev/module.headers": "registry.example/headers:1.0" };
      const native = samplePod().spec.containers[1]!;
      const pods = [
        samplePod(),
        samplePod({ annotations: tag }),
        samplePod({ proxy: { args: null } }),
        owned("uid-1"),
        samplePod({ spec: { ...samplePod().spec, imagePullSecrets: [{ name: "pull" }] } }),
        samplePod({ annotations: { "wasmount.dev/resources": '{"limits":{"memory":"128Mi"}}' } }),
        samplePod({
          spec: {
            ...samplePod().spec,
            containers: [samplePod().spec.containers[0]!],
            initContainers: [{ name: "first" }, { ...native, restartPolicy: "Always" }],
          },
        }),
      ];
      for (const pod of pods) assertVerified(validate(await injected(pod)));
    });

    it("a pod that got the operator's pull secrets, by a replica whose operator has others since", async () => {
      const fetcher = { ...signing.fetcher, imagePullSecrets: ["ours"] };
      for (const listed of [[], ["own"], ["ours"]]) {
        const spec = { ...samplePod().spec, imagePullSecrets: listed.map(name => ({ name })) };
        const pod = await injected(samplePod({ spec }), undefined, { ...signing, fetcher });
        for (const now of [["ours"], [], ["own", "other"]]) {
          const config = { ...verifying, fetcher: { ...fetcher, imagePullSecrets: now } };
          assertVerified(validate(pod, undefined, config));
        }
        const { imagePullSecrets: names } = pod.spec;
        pod.spec.imagePullSecrets = names.filter(({ name }: { name: string }) => name !== "ours");
        // What was the author's, modules are fetched with, too.
        if (listed.includes("ours")) assertDenied(validate(pod), "PlanForged", /says otherwise about pullSecrets/);
        else assertDenied(validate(pod), "FetcherAltered", /imagePullSecrets lacks ours, for the fetcher's image/);
      }
    });

    it("names the plan", async () => {
      const pod = await injected(samplePod());
      const decision = validate(pod);
      assertVerified(decision);
      assert.equal("planHash" in decision && decision.planHash, variable(pod, "WASMOUNT_PLAN_SHA256").value);
    });

    it("what a locked namespace asks for", async () => {
      const locked = sampleNamespace({
        labels: { "wasmount.dev/locked": "true" },
        annotations: { "wasmount.dev/module.headers": `registry.example/headers@${digest("a")}` },
      });
      const pod = samplePod();
      const bare = { ...pod, metadata: { ...pod.metadata, annotations: {} } };
      assertVerified(validate(await injected(bare, locked), locked));
    });

    it("a plan that was signed with the key before this one", async () => {
      const next = newKey();
      const keys = readPlanKeys([next.pem]);
      const pod = await injected(samplePod());
      assertVerified(validate(pod, undefined, { ...verifying, keys: new Map([...keys, ...signing.keys]) }));
      assertDenied(validate(pod, undefined, { ...verifying, keys }), "PlanForged", /trusted are/);
    });

    it("a plan without signature only where plans are not signed", async () => {
      const pod = await injected(samplePod(), undefined, unsigned);
      assertVerified(validate(pod, undefined, { ...verifying, keys: null }));
      assertDenied(validate(pod), "PlanForged", /signed by key ""/);
      assertDenied(validate(pod, undefined, { ...verifying, keys: new Map() }), "PlanForged", /trusted are none/);
    });

    it("the same plan compressed otherwise", async () => {
      const pod = await injected(samplePod());
      const part = variable(pod, "WASMOUNT_PLAN_0");
      const other = gzipSync(Buffer.from(part.value, "base64"), { level: 1, memLevel: 1 });
      assert.notEqual(other.toString("base64"), part.value);
      part.value = other.toString("base64");
      assertVerified(validate(pod));
    });

    it("variables that the operator allows, and never those by which other code runs", async () => {
      const allowedEnvironment = ["HTTPS_PROXY", "NODE_OPTIONS", "LD_PRELOAD"];
      const config = { ...verifying, fetcher: { ...verifying.fetcher, allowedEnvironment } };
      const pod = await injected(samplePod());
      fetcherOf(pod).env.push({ name: "HTTPS_PROXY", value: "http://proxy.example:3128" });
      assertVerified(validate(pod, undefined, config));
      assertDenied(validate(pod), "FetcherAltered", /HTTPS_PROXY/);
      for (const name of ["NODE_OPTIONS", "LD_PRELOAD"]) {
        const worse = structuredClone(pod);
        fetcherOf(worse).env.push({ name, value: "x" });
        assertDenied(validate(worse, undefined, config), "FetcherAltered", new RegExp(`sets ${name}$`));
      }
      const before = { ...signing, fetcher: { ...signing.fetcher, allowedEnvironment } };
      assert.deepEqual(await injected(pod, sampleNamespace(), before), pod, "another pass of ours leaves it there");
    });

    it("what others may add to a pod", async () => {
      const pod = await injected(samplePod());
      Object.assign(pod.metadata.labels, { other: "label" });
      Object.assign(pod.metadata.annotations, { other: "annotation" });
      const added = {
        name: "kube-api-access",
        mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
        readOnly: true,
      };
      pod.spec.volumes.push({ name: "kube-api-access", projected: { sources: [] } });
      for (const container of pod.spec.containers) container.volumeMounts = [...(container.volumeMounts ?? []), added];
      pod.spec.containers.push({ name: "log-shipper", image: "registry.example/logs:1" });
      pod.spec.initContainers.push({ name: "mesh-init", image: "registry.example/mesh:1" });
      Object.assign(pod.spec, { nodeName: "n", priority: 0, tolerations: [{ operator: "Exists" }] });
      const { resources } = fetcherOf(pod);
      resources.limits["ephemeral-storage"] = "1Gi";
      resources.requests["ephemeral-storage"] = "1Mi";
      fetcherOf(pod).imagePullPolicy = "Always";
      assertVerified(validate(pod));
    });
  });

  describe("leaves to itself", () => {
    it("what is not to be filtered, for the reason that admission gives", async () => {
      const off = sampleNamespace({ labels: {} });
      const cases: [Pod, Namespace, reason: string][] = [
        [samplePod(), off, "NotSwitchedOn"],
        [samplePod({ labels: { "wasmount.dev/inject": "false" } }), sampleNamespace(), "OptedOut"],
        [samplePod({ annotations: { "wasmount.dev/module.headers": "none" } }), sampleNamespace(), "NoFilters"],
        [samplePod({ annotations: { "kubernetes.io/config.mirror": "x" } }), sampleNamespace(), "MirrorPod"],
        [samplePod({ spec: { ...samplePod().spec, hostNetwork: true } }), sampleNamespace(), "HostNetwork"],
        [samplePod({ spec: { ...samplePod().spec, os: { name: "windows" } } }), sampleNamespace(), "WindowsPod"],
      ];
      for (const [pod, namespace, reason] of cases) {
        const { outcome, reason: given } = validate(pod, namespace);
        assert.equal(`${outcome} ${given}`, `Skipped ${reason}`);
      }
    });
  });

  it("denies a pod that is not injected into and looks as if it were", async () => {
    const host = (pod: Pod) => ({ ...pod, spec: { ...pod.spec, hostNetwork: true } });
    const out = (pod: Pod) => ({ ...pod, metadata: { ...pod.metadata, labels: { "wasmount.dev/inject": "false" } } });
    const forged = samplePod({ spec: { ...samplePod().spec, initContainers: [{ name: "wasmount-fetch" }] } });
    for (const change of [host, out])
      assertDenied(validate(change(forged)), "PlanForged", /no plan in the environment/);
    const labelled = samplePod({ labels: { "wasmount.dev/injected": "true" } });
    assertDenied(validate(host(labelled)), "FetcherMissing", /no init container/);
    const copied = host(await injected(samplePod()));
    assertDenied(validate(copied), "PlanForged", /is to have no fetcher, since it is not injected into/);
  });

  it("denies what admission would deny", () => {
    const wrong = samplePod({ labels: { "wasmount.dev/inject": "maybe" } });
    assertDenied(validate(wrong), "BadSwitch", /maybe/);
    assertDenied(validate(samplePod({ annotations: { "wasmount.dev/modul.x": "y" } })), "UnknownKey", /modul/);
  });
});
