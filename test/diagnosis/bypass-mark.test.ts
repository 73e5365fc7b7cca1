import assert from "node:assert/strict";
import {
  BYPASS,
  bypassedEntries,
  bypassRegistration,
  markOf,
  restoreBinding,
  restoreRegistration,
  softenBinding,
} from "../../src/diagnosis/bypass-mark.ts";
import type { GuardBinding } from "../../src/diagnosis/guards.ts";
import type { WebhookConfiguration } from "../../src/diagnosis/webhook-configuration.ts";

const mark = { since: "2026-01-02T03:04:05Z", by: "alice", reason: "INC-1" };
const registration: WebhookConfiguration = {
  metadata: { name: "wasmount", resourceVersion: "7", annotations: { theirs: "1" } },
  webhooks: [
    {
      name: "a.wasmount.dev",
      clientConfig: { caBundle: "b2xk" },
      matchConditions: [{ name: "own", expression: "true" }],
    },
    { name: "b.wasmount.dev", clientConfig: {} },
  ],
};
const binding: GuardBinding = {
  metadata: { name: "wasmount-unfiltered-pods" },
  spec: { policyName: "wasmount-unfiltered-pods", validationActions: ["Deny", "Audit"] },
};

/** As an API server stores it: what is empty is left out. */
function stored<Value>(value: Value): Value {
  return JSON.parse(
    JSON.stringify(value, (_, member) => {
      const empty = typeof member === "object" && member !== null && Object.keys(member).length === 0;
      return empty ? undefined : member;
    }),
  );
}

describe("a bypass's marks", () => {
  it("are on every entry of a registration, and go without a trace", () => {
    const on = bypassRegistration(registration, mark);
    assert.deepEqual(bypassedEntries(on), { off: 2, all: 2 });
    assert.deepEqual(markOf(on), { version: 1, ...mark });
    assert.deepEqual(stored(restoreRegistration(stored(on))), stored(registration));
  });

  it("are made once: the first record stays, and nothing is written twice", () => {
    const on = bypassRegistration(registration, mark);
    assert.deepEqual(bypassRegistration(on, { since: "later", by: "bob", reason: "x" }), on);
    const soft = softenBinding(binding, mark);
    assert.deepEqual(softenBinding(soft, { since: "later", by: "bob", reason: "x" }), soft);
  });

  it("leave what others changed meanwhile", () => {
    const on = bypassRegistration(registration, mark);
    const rotated = (found: WebhookConfiguration) => ({
      ...found,
      webhooks: (found.webhooks ?? []).map(webhook => ({ ...webhook, clientConfig: { caBundle: "bmV3" } })),
    });
    assert.deepEqual(stored(restoreRegistration(rotated(on))), stored(rotated(registration)));
  });

  it("give a binding back what it did before", () => {
    const soft = softenBinding(binding, mark);
    assert.deepEqual(soft.spec.validationActions, ["Warn", "Audit"]);
    assert.deepEqual(stored(restoreBinding(soft)), binding);
  });

  it("record what a binding does now, where somebody put it back by hand in between", () => {
    const { metadata } = softenBinding(binding, mark);
    const byHand = { metadata, spec: { ...binding.spec, validationActions: ["Deny"] } };
    const again = softenBinding(byHand, mark);
    assert.deepEqual(restoreBinding(again).spec.validationActions, ["Deny"]);
  });

  for (const [what, text] of [
    ["no JSON", "{"],
    ["no object", "null"],
    ["no actions", JSON.stringify({ ...mark, original: { validationActions: [] } })],
    ["actions that there are not", JSON.stringify({ ...mark, original: { validationActions: ["Allow"] } })],
    ["something else for actions", JSON.stringify({ ...mark, original: { validationActions: "Deny" } })],
  ] as const) {
    it(`leave a binding that refuses where their record is ${what}`, () => {
      const metadata = { ...binding.metadata, annotations: { [BYPASS]: text } };
      const found = { metadata, spec: { ...binding.spec, validationActions: ["Warn"] } };
      assert.notEqual(markOf(found), null);
      assert.deepEqual(restoreBinding(found).spec.validationActions, ["Deny"]);
    });
  }

  it("are not on objects that others made soft", () => {
    const theirs = { ...binding, spec: { ...binding.spec, validationActions: ["Audit"] } };
    assert.deepEqual(softenBinding(theirs, mark), theirs);
    assert.deepEqual(restoreBinding(theirs), theirs);
  });
});
