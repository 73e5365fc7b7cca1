import { POLICY_API, POLICY_COLLECTIONS } from "../../policies/watched-policy.ts";
import type { Check } from "../check.ts";
import { DiagnosisError } from "../error.ts";
import { type Finding, finding } from "../finding.ts";
import type { KubeObject } from "../kube-object.ts";

interface StoredPolicy extends KubeObject {
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly Condition[];
  };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

/** Are policies in force as they are written? */
export const policiesCheck: Check = {
  name: "policies",
  async run({ cluster, installation: { config } }) {
    if (!config.policy.fromCluster) return [];
    const found: Finding[] = [];
    for (const [kind, collection] of Object.entries(POLICY_COLLECTIONS)) {
      try {
        for await (const policy of cluster.list<StoredPolicy>(`${POLICY_API}/${collection}`)) {
          const { namespace, name } = policy.metadata;
          found.push(...policyFindings(policy, `${kind}/${namespace === undefined ? "" : `${namespace}/`}${name}`));
        }
      } catch (error) {
        // A kind that is not defined is the definitions' check's.
        if (!(error instanceof DiagnosisError) || error.code !== "NotFound") throw error;
      }
    }
    return found;
  },
};

function policyFindings({ metadata, status }: StoredPolicy, where: string): Finding[] {
  const ready = status?.conditions?.find(({ type }) => type === "Ready");
  if (ready === undefined || status?.observedGeneration !== metadata.generation) {
    return [finding("PolicyUnseen", where)];
  }
  if (ready.status === "True") return [];
  return [finding("PolicyNotReady", where, `${ready.reason}: ${ready.message ?? ""}`)];
}
