import { isDeepStrictEqual } from "node:util";
import { policyDefinition } from "../../trust/crd.ts";
import type { PolicyKind } from "../../trust/policy.ts";
import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import type { KubeObject } from "../kube-object.ts";

interface Definition extends KubeObject {
  readonly spec: {
    readonly versions: readonly { readonly name: string; readonly served: boolean; readonly schema?: object }[];
  };
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

const kinds: readonly PolicyKind[] = ["WasmPolicy", "NamespacedWasmPolicy"];

/** Are policies defined, as this release knows them? */
export const definitionsCheck: Check = {
  name: "the definitions of policies",
  async run({ cluster, installation: { config } }) {
    if (!config.policy.fromCluster) return [];
    const found: Finding[] = [];
    for (const kind of kinds) {
      const expected = policyDefinition(kind);
      const { name } = expected.metadata;
      const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`;
      const problem = problemOf(await cluster.get<Definition>(path), expected.spec.versions[0]);
      if (problem !== null) found.push(finding(problem[0], `CustomResourceDefinition/${name}`, problem[1]));
    }
    return found;
  },
};

function problemOf(
  found: Definition | null,
  expected: { readonly name: string; readonly schema: object },
): ["DefinitionMissing" | "DefinitionOutdated", string] | null {
  if (found === null) return ["DefinitionMissing", "it is not there"];
  const established = found.status?.conditions?.some(one => one.type === "Established" && one.status === "True");
  if (!established) return ["DefinitionMissing", "it is not established"];
  const version = found.spec.versions.find(({ name }) => name === expected.name);
  if (!version?.served) return ["DefinitionMissing", `version ${expected.name} is not served`];
  if (isDeepStrictEqual(version.schema, plain(expected.schema))) return null;
  return ["DefinitionOutdated", `the schema of version ${expected.name} is another`];
}

/** As it is after a way through JSON. */
function plain(value: object): object {
  return JSON.parse(JSON.stringify(value));
}
