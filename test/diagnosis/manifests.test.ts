import assert from "node:assert/strict";
import { parseConfig } from "../../src/config/load.ts";
import { guards } from "../../src/diagnosis/guards.ts";
import { webhookRights } from "../../src/diagnosis/webhook-rights.ts";
import { shipped, shippedConfiguration, shippedFor, shippedMeshes } from "../environment/installation.ts";
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
    const all = { istio: { enabled: true }, dataPlanes: ["kuma", "consul"] };
    const text = JSON.stringify({ ...(await shippedConfiguration()), ...all });
    const config = parseConfig(text, "the configuration that ships, with all meshes");
    const known = webhookRights.flatMap(({ group, resource, verbs, own, inside, name, needed }) => {
      assert.ok(needed?.(config) ?? true, "what ships makes use of all");
      const where = own ? "wasmount-system" : inside?.(config);
      return verbs.map(verb => `${where} ${verb} ${resource}.${group} ${name?.(config) ?? "*"}`);
    });
    const roles = await shipped("Role", "ClusterRole");
    for (const mesh of shippedMeshes) roles.push(...(await shippedFor(mesh, "Role", "ClusterRole")));
    const granted = roles.flatMap(({ metadata, rules }) =>
      rules.flatMap(({ apiGroups, resources, verbs, resourceNames = ["*"] }: Manifest) =>
        verbs.flatMap((verb: string) =>
          resources.flatMap((resource: string) =>
            resourceNames.map((name: string) => `${metadata.namespace} ${verb} ${resource}.${apiGroups[0]} ${name}`),
          ),
        ),
      ),
    );
    assert.deepEqual([...new Set(known)].sort(), [...new Set(granted)].sort());
  });
});
