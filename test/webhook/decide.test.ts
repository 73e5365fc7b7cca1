import assert from "node:assert/strict";
import type { AdmissionConfig } from "../../src/admission/admission.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { Deadline } from "../../src/kube/deadline.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { mutation, type Sources, validation } from "../../src/webhook/decide.ts";
import { digest, sampleNamespace, samplePod } from "../admission/pods.ts";
import { injected, signing, unsigned, verifying } from "../validation/injected-pod.ts";
import { noPolicies } from "./no-policies.ts";

const NEVER = new Promise<never>(() => {});
const MODULE = "wasmount.dev/module.auth";
const tagged = { annotations: { "wasmount.dev/module.headers": "registry.example/headers:1" } };

/** What a review asks, of whom, and by when. */
class Asked {
  readonly questions: string[] = [];
  readonly deadlines = new Set<Deadline | undefined>();

  note(question: string, deadline: Deadline | undefined): void {
    this.questions.push(question);
    this.deadlines.add(deadline);
  }
}

describe("a decision's questions", () => {
  let asked: Asked;
  let held: Namespace | null;
  let now: Namespace | null;

  beforeEach(() => {
    asked = new Asked();
    held = sampleNamespace();
    now = sampleNamespace();
  });

  const sources: Sources = {
    namespaces: {
      async get(_name, deadline) {
        asked.note("held", deadline);
        return held;
      },
      async getNow(_name, deadline) {
        asked.note("now", deadline);
        return now;
      },
    },
    async limitsOf(_namespace, deadline) {
      asked.note("limits", deadline);
      return [{ name: "most", type: "Container", min: {}, max: { memory: "128Mi" }, maxLimitRequestRatio: {} }];
    },
    async resolve(_reference, { deadline }) {
      asked.note("tag", deadline);
      return { digest: digest("d") };
    },
    ...noPolicies,
  };

  const request = (pod: Pod, entry: "locked" | "namespace" | "pod" = "namespace") =>
    ({ pod, namespace: "shop", entry, dryRun: false }) as const;
  const mutate = (pod: Pod, entry?: "locked" | "namespace" | "pod", config: AdmissionConfig = signing) =>
    mutation(() => config, [envoyDataPlane], sources)(request(pod, entry));
  const validate = (pod: Pod, entry?: "locked" | "namespace" | "pod", keys = verifying.keys) =>
    validation(() => ({ ...verifying, keys }), [envoyDataPlane], sources)(request(pod, entry));

  it("end with the namespace as it is held, where that is what the entry called asks for", async () => {
    assert.equal((await mutate(samplePod())).outcome, "Injected");
    assert.deepEqual(asked.questions, ["held", "limits"]);
  });

  for (const [side, decide] of [
    ["mutating", mutate],
    ["validating", validate],
  ] as const) {
    it(`go to the namespace itself where what is held contradicts the entry called: ${side}`, async () => {
      held = sampleNamespace({ labels: {} });
      now = sampleNamespace({ labels: { "wasmount.dev/locked": "true" } });
      const { reason } = await decide(samplePod({ labels: { "wasmount.dev/inject": "false" } }), "locked");
      assert.equal(reason, "Locked", "as the namespace is now");
      assert.deepEqual(asked.questions, ["held", "now"]);
    });

    it(`go to the namespace itself where none is held, and fail where there is none: ${side}`, async () => {
      held = null;
      now = null;
      await assert.rejects(decide(samplePod()), { code: "NoNamespace" });
      assert.deepEqual(asked.questions, ["held", "now"]);
    });
  }

  it("are about the namespace once more before a pod is denied on the validating side", async () => {
    const newer = sampleNamespace({ annotations: { [MODULE]: `registry.example/auth@${digest("b")}` } });
    const pod = await injected(samplePod(), newer);
    now = newer;
    assert.equal((await validate(pod)).outcome, "Verified", "another replica knew the newer namespace");
    assert.deepEqual(asked.questions, ["held", "now"]);
  });

  it("end with the denial where the namespace says now what was held, or was read just now", async () => {
    assert.equal((await validate(samplePod())).reason, "FetcherMissing");
    assert.deepEqual(asked.questions, ["held", "now"]);
    held = sampleNamespace({ labels: {} });
    assert.equal((await validate(samplePod())).reason, "FetcherMissing");
    assert.deepEqual(asked.questions.slice(2), ["held", "now"]);
  });

  it("are about limits only where a plan is made, or one that is not signed is held against them", async () => {
    assert.equal((await mutate(samplePod({ labels: { "wasmount.dev/inject": "false" } }))).outcome, "Skipped");
    assert.equal((await mutate(samplePod({ annotations: { "wasmount.dev/x": "y" } }))).outcome, "Denied");
    const signed = await injected(samplePod());
    assert.equal((await validate(signed)).outcome, "Verified");
    assert.ok(!asked.questions.includes("limits"));
    const made = await mutate(samplePod(), "namespace", unsigned);
    if (made.outcome !== "Injected") return assert.fail(made.detail);
    assert.deepEqual(made.plan.fetcher.resources.limits?.["memory"], "128Mi", "within the limits");
    const limits = await sources.limitsOf("shop", new Deadline(60_000));
    const plain = await injected(samplePod(), sampleNamespace({ limits }), unsigned);
    assert.equal((await validate(plain, "namespace", null)).outcome, "Verified");
  });

  it("have one deadline, whomever they go to", async () => {
    held = sampleNamespace({ labels: {} });
    assert.equal((await mutate(samplePod(tagged))).outcome, "Injected");
    assert.deepEqual(new Set(asked.questions), new Set(["held", "now", "tag", "limits"]));
    assert.equal(asked.deadlines.size, 1);
    assert.ok([...asked.deadlines][0] instanceof Deadline);
    const [deadline] = asked.deadlines;
    await validate(await injected(samplePod()), "pod");
    assert.equal(asked.deadlines.size, 2, "another review has another one");
    assert.equal(deadline?.signal.aborted, false);
  });

  it("fail once the review's time is over", async () => {
    const limits = { ...signing.limits, reviewSeconds: 0.02 };
    const slow: Sources = {
      ...sources,
      limitsOf: (_name, deadline) => deadline.wait("limits", NEVER),
    };
    await assert.rejects(mutation(() => ({ ...signing, limits }), [envoyDataPlane], slow)(request(samplePod())), {
      code: "Deadline",
      message: "no time left for limits: 20 ms are over",
    });
  });
});
