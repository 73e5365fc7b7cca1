import assert from "node:assert/strict";
import { guards } from "../../src/diagnosis/guards.ts";
import { type WebhookRight, webhookRights } from "../../src/diagnosis/webhook-rights.ts";
import { shipped } from "../environment/installation.ts";
import type { Manifest } from "../environment/stage.ts";

describe("what the doctor knows of manifests", () => {
  it("is all guards, and what each of them does", async () => {
    const manifests = await shipped("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding");
    const bindings = manifests.filter(({ kind }) => kind === "ValidatingAdmissionPolicyBinding");
    const bound = bindings.map(({ metadata, spec }) => [metadata.name, spec.policyName, ...spec.validationActions]);
    const known = guards.map(({ name, action }) => [name, name, action]);
    assert.deepEqual(bound.sort(), known.sort());
    const policies = manifests.filter(({ kind }) => kind === "ValidatingAdmissionPolicy");
    assert.deepEqual(policies.map(({ metadata }) => metadata.name).sort(), guards.map(({ name }) => name).sort());
    for (const { spec } of policies) assert.equal(spec.failurePolicy, "Fail");
  });

  it("is all rights of the webhook's, and no other", async () => {
    const flat = (rights: readonly WebhookRight[]) =>
      rights.flatMap(({ group, resource, verbs, own }) => verbs.map(verb => `${own} ${verb} ${resource}.${group}`));
    const granted = (await shipped("Role", "ClusterRole")).flatMap(({ kind, rules }) =>
      rules.flatMap(({ apiGroups, resources, verbs }: Manifest) =>
        apiGroups.flatMap((group: string) =>
          resources.map((resource: string) => ({ group, resource, verbs, own: kind === "Role" })),
        ),
      ),
    );
    assert.deepEqual([...new Set(flat(webhookRights))].sort(), [...new Set(flat(granted))].sort());
  });
});
