import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { parseAllDocuments } from "yaml";
import { guards } from "../../src/diagnosis/guards.ts";
import { type WebhookRight, webhookRights } from "../../src/diagnosis/webhook-rights.ts";
import type { Manifest } from "../environment/stage.ts";

async function manifestsOf(folder: string): Promise<Manifest[]> {
  const place = new URL(`../../manifests/${folder}/`, import.meta.url);
  const names = (await readdir(place)).filter(name => name.endsWith(".yaml")).sort();
  const texts = await Promise.all(names.map(name => readFile(new URL(name, place), "utf8")));
  return texts.flatMap(text => parseAllDocuments(text).map(document => document.toJS() as Manifest));
}

describe("what the doctor knows of manifests", () => {
  it("is all guards, and what each of them does", async () => {
    const manifests = await manifestsOf("guards");
    const bindings = manifests.filter(({ kind }) => kind === "ValidatingAdmissionPolicyBinding");
    const shipped = bindings.map(({ metadata, spec }) => [metadata.name, spec.policyName, ...spec.validationActions]);
    const known = guards.map(({ name, action }) => [name, name, action]);
    assert.deepEqual(shipped.sort(), known.sort());
    const policies = manifests.filter(({ kind }) => kind === "ValidatingAdmissionPolicy");
    assert.deepEqual(policies.map(({ metadata }) => metadata.name).sort(), guards.map(({ name }) => name).sort());
    for (const { spec } of policies) assert.equal(spec.failurePolicy, "Fail");
  });

  it("is all rights of the webhook's, and no other", async () => {
    const flat = (rights: readonly WebhookRight[]) =>
      rights.flatMap(({ group, resource, verbs, own }) => verbs.map(verb => `${own} ${verb} ${resource}.${group}`));
    const granted = (await manifestsOf("rbac"))
      .filter(({ kind }) => kind === "Role" || kind === "ClusterRole")
      .flatMap(({ kind, rules }) =>
        rules.flatMap(({ apiGroups, resources, verbs }: Manifest) =>
          apiGroups.flatMap((group: string) =>
            resources.map((resource: string) => ({ group, resource, verbs, own: kind === "Role" })),
          ),
        ),
      );
    assert.deepEqual([...new Set(flat(webhookRights))].sort(), [...new Set(flat(granted))].sort());
  });
});
