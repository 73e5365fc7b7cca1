import assert from "node:assert/strict";
import { reviewResponse, sentence } from "../../src/admission/response.ts";

describe("answer to a review", () => {
  it("says the reason's code, its sentence and what was found", () => {
    assert.equal(
      sentence({ reason: "BadValue", detail: "annotation a is b." }),
      "wasmount: BadValue: An annotation's value is not one that its key allows. Annotation a is b.",
    );
    assert.match(sentence({ reason: "UnknownKey", detail: "did you mean x?" }), /Did you mean x\?$/);
    assert.match(sentence({ reason: "OptedOut", detail: "" }), /inject=false\.$/);
  });

  it("lets nobody write to the terminal of who reads it", () => {
    const detail = "annotation \u001b[31mred\u009b\u202e\u2028";
    const { status } = reviewResponse("u", { outcome: "Denied", reason: "BadValue", detail }).response;
    assert.ok(status?.message.endsWith("Annotation \\u{1b}[31mred\\u{9b}\\u{202e}\\u{2028}."));
  });

  it("keeps from the author what is for the operator alone", () => {
    const denied = { outcome: "Denied", reason: "TagUnresolved", detail: "no answer", cause: "ECONNREFUSED" } as const;
    assert.ok(!JSON.stringify(reviewResponse("u", denied)).includes("ECONNREFUSED"));
  });
});
