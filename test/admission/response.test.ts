import assert from "node:assert/strict";
import { type ReviewResponse, responseText, reviewResponse, sentence } from "../../src/admission/response.ts";
import type { Reason } from "../../src/decision/reason.ts";
import type { Plan, PlanFilter } from "../../src/plan/plan.ts";

describe("answer to a review", () => {
  it("says the reason's code, its sentence and what was found", () => {
    assert.equal(
      sentence({ reason: "BadValue", detail: "annotation a is b." }),
      "wasmount: BadValue: An annotation's value is not one that its key allows. Annotation a is b.",
    );
    assert.match(sentence({ reason: "UnknownKey", detail: "did you mean x?" }), /Did you mean x\?$/);
    assert.match(sentence({ reason: "OptedOut", detail: "" }), /inject=false\.$/);
  });

  it("warns authors of pods that are left without filters in a way they may not expect, and no others", () => {
    const warnings = (reason: Reason, detail = "") =>
      reviewResponse("u", { outcome: "Skipped", reason, detail }).response.warnings;
    const [warning = "", ...more] = warnings("HostNetwork", "label the pod wasmount.dev/inject=true") ?? [];
    assert.match(
      warning,
      /^wasmount: no filters for this pod: HostNetwork: .* Label the pod wasmount\.dev\/inject=true\.$/,
    );
    assert.deepEqual(more, []);
    // API servers may cut what is longer (k8s.io/api/admission/v1, AdmissionResponse.Warnings).
    assert.ok(warning.length <= 256);
    assert.equal(warnings("WindowsPod")?.length, 1);
    for (const reason of ["OptedOut", "NotSwitchedOn", "NoFilters", "MirrorPod", "NotAPodCreation"] as const) {
      assert.equal(warnings(reason), undefined, reason);
    }
  });

  it("lets nobody write to the terminal of who reads it", () => {
    const detail = "annotation \u001b[31mred\u009b\u202e\u2028";
    const { status } = reviewResponse("u", { outcome: "Denied", reason: "BadValue", detail }).response;
    assert.ok(status?.message.endsWith("Annotation \\u{1b}[31mred\\u{9b}\\u{202e}\\u{2028}."));
  });

  it("is the same as JSON, whatever it carries", () => {
    const patch = [{ op: "add", path: "/metadata/labels/a", value: '"}}\u00e9' }] as const;
    const injected = { outcome: "Injected", reason: "Injected", detail: "", planHash: "f".repeat(64) } as const;
    const plan = { filters: [] as readonly PlanFilter[] } as Plan;
    const rest = { plan, patch, warnings: ['"}}'], policies: [], audit: [] };
    const denied = { outcome: "Denied", reason: "BadValue", detail: '"}}' } as const;
    const uid = '"}}';
    for (const decision of [{ ...injected, ...rest }, { ...injected, ...rest, patch: [] }, denied]) {
      const answer: ReviewResponse = JSON.parse(responseText(uid, decision));
      assert.deepEqual(answer, reviewResponse(uid, decision));
      const base64 = answer.response.patch;
      const operations = base64 === undefined ? [] : JSON.parse(Buffer.from(base64, "base64").toString());
      assert.deepEqual(operations, "patch" in decision ? decision.patch : []);
    }
  });

  it("keeps from the author what is for the operator alone", () => {
    const denied = { outcome: "Denied", reason: "TagUnresolved", detail: "no answer", cause: "ECONNREFUSED" } as const;
    assert.ok(!JSON.stringify(reviewResponse("u", denied)).includes("ECONNREFUSED"));
  });
});
