import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { planHash } from "../../src/plan/canonical.ts";
import { signPlan } from "../../src/plan/signature.ts";
import { digest, sampleNamespace, samplePod } from "../admission/pods.ts";
import { assertDenied, assertVerified, owned, validate, variable } from "./attacks.ts";
import { injected, newKey, type RawPod, signing, unsigned, verifying } from "./injected-pod.ts";

describe("validation of the plan", () => {
  describe("made by a replica of another release or configuration", () => {
    const other = {
      fetcher: {
        ...signing.fetcher,
        image: "registry.example/wasmount:0.2.0",
        resources: { limits: { memory: "1Gi" } },
      },
      volume: { ...signing.volume, sizeLimit: "1Gi" },
      limits: { ...signing.limits, moduleBytes: 1 },
      envoy: { version: "1.41" },
    };

    it("goes by that one, where it is signed", async () => {
      const decision = validate(await injected(samplePod(), undefined, { ...signing, ...other }));
      assert.equal(decision.outcome, "Verified", decision.detail);
    });

    it("vouches for its own fetcher only", async () => {
      const pod = await injected(samplePod(), undefined, { ...signing, ...other });
      pod.spec.initContainers[0].image = signing.fetcher.image;
      assertDenied(validate(pod), "FetcherAltered", /its image/);
    });

    it("is denied where nothing is signed: then anybody could have made it", async () => {
      const pod = await injected(samplePod(), undefined, { ...unsigned, ...other });
      assertDenied(validate(pod, undefined, { ...verifying, keys: null }), "PlanForged", /says otherwise about/);
    });
  });

  describe("denies a plan", () => {
    const withPlanOf = (pod: RawPod, other: RawPod): RawPod => {
      const { metadata, spec } = structuredClone(other);
      return {
        ...pod,
        metadata: { ...pod.metadata, labels: metadata.labels },
        spec: { ...pod.spec, initContainers: spec.initContainers },
      };
    };

    /** A plan that wasmount's key signed, whatever it says. */
    async function signedText(change: (text: string) => string): Promise<RawPod> {
      const pod = await injected(samplePod());
      const text = Buffer.from(variable(pod, "WASMOUNT_PLAN_0").value, "base64").toString();
      const changed = change(text);
      assert.notEqual(changed, text);
      const hash = planHash(changed);
      variable(pod, "WASMOUNT_PLAN_0").value = gzipSync(changed).toString("base64");
      variable(pod, "WASMOUNT_PLAN_SHA256").value = hash;
      variable(pod, "WASMOUNT_PLAN_SIGNATURE").value = signing.sign?.({ hash, namespace: "shop", owner: "" });
      return pod;
    }

    it("that someone else signed", async () => {
      const { signer } = newKey();
      const pod = await injected(samplePod(), undefined, { ...signing, sign: plan => signPlan(plan, signer) });
      assertDenied(validate(pod), "PlanForged", /trusted are/);
    });

    it("that was signed for another owner or namespace", async () => {
      const stolen = withPlanOf(await injected(owned("uid-2")), await injected(owned("uid-1")));
      assertDenied(validate(stolen), "PlanForged", /not one of key .* for owner uid-2 in namespace shop/);
      const elsewhere = await injected(samplePod(), sampleNamespace({ name: "other" }));
      assertDenied(validate(elsewhere), "PlanForged", /in namespace shop/);
      assertVerified(validate(elsewhere, sampleNamespace({ name: "other" })));
    });

    it("of the same owner that this pod doesn't ask for", async () => {
      const others: [annotations: Record<string, string>, place: string][] = [
        [{ "wasmount.dev/config.headers": "weak" }, "filters[0].config"],
        [{ "wasmount.dev/module.headers": `registry.example/headers@${digest("b")}` }, "filters[0].digest"],
        [{ "wasmount.dev/module.headers": `evil.example/headers@${digest("a")}` }, "filters[0].repository"],
        [{ "wasmount.dev/phase.headers": "first" }, "filters[0].slot"],
        [{ "wasmount.dev/root-id.headers": "r" }, "filters[0].rootId"],
        [{ "wasmount.dev/runtime-failure.headers": "open" }, "filters[0].runtimeFailure"],
        [{ "wasmount.dev/capabilities.headers": "" }, "filters[0].capabilities"],
        [{ "wasmount.dev/module.more": `registry.example/more@${digest("a")}` }, "filters[1]"],
      ];
      for (const [annotations, place] of others) {
        const pod = withPlanOf(await injected(samplePod()), await injected(samplePod({ annotations })));
        const decision = validate(pod);
        assertDenied(decision, "PlanForged", /the fetcher's says otherwise about/);
        assert.ok(decision.detail.endsWith(` about ${place}`), decision.detail);
      }
    });

    it("whose tag stands for another filter's digest", async () => {
      const tagged = samplePod({ annotations: { "wasmount.dev/module.headers": "registry.example/headers:1.0" } });
      const other = samplePod({ annotations: { "wasmount.dev/module.headers": "registry.example/other:1.0" } });
      const replayed = withPlanOf(await injected(tagged), await injected(other));
      assertDenied(validate(replayed), "PlanForged", /about filters\[0\]\.repository/);
      const renamed = samplePod({
        annotations: { "wasmount.dev/module.headers": "none", "wasmount.dev/module.x": "registry.example/headers:1.0" },
      });
      assertDenied(
        validate(withPlanOf(await injected(tagged), await injected(renamed))),
        "PlanForged",
        /has no filter headers/,
      );
    });

    it("of another schema", async () => {
      assertDenied(
        validate(await signedText(text => text.replace('"schema":1', '"schema":99'))),
        "PlanOutdated",
        /schema 99/,
      );
    });

    it("with members that nobody reads", async () => {
      const pod = await signedText(text => text.replace("{", '{"aside":1,'));
      assertDenied(validate(pod), "PlanForged", /not in canonical form/);
    });

    it("where no filter is asked for", async () => {
      const pod = await injected(samplePod());
      pod.metadata.annotations["wasmount.dev/module.headers"] = "none";
      assertDenied(
        validate(pod),
        "PlanForged",
        /is to have no fetcher, since it is not injected into: .* names a module/,
      );
      const forged = structuredClone(pod);
      variable(forged, "WASMOUNT_PLAN_SIGNATURE").value = "forged";
      assertDenied(validate(forged), "PlanForged", /signed by key "forged"/);
      const claimed = structuredClone(pod);
      claimed.spec.initContainers = [];
      assertDenied(validate(claimed), "FetcherMissing", /no init container/);
      const unmarked = structuredClone(pod);
      unmarked.metadata.labels = {};
      assertDenied(
        validate(unmarked),
        "PlanForged",
        /is to have no fetcher, since it is not injected into: .* names a module/,
      );
      const bare = structuredClone(claimed);
      bare.metadata.labels = {};
      assert.equal(validate(bare).outcome, "Skipped");
    });
  });
});
