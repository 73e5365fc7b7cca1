import type { Check } from "../check.ts";
import { type Finding, finding } from "../finding.ts";
import {
  bindingPath,
  type Guard,
  type GuardBinding,
  type GuardPolicy,
  guards,
  policyPath,
  UNFILTERED_PODS,
} from "../guards.ts";

/** Do API servers refuse by themselves what they are to? */
export const guardsCheck: Check = {
  name: "the guards",
  async run({ cluster, installation: { fetcherImage } }) {
    const found: Finding[] = [];
    for (const guard of guards) {
      const policy = await cluster.get<GuardPolicy>(policyPath(guard.name));
      const binding = await cluster.get<GuardBinding>(bindingPath(guard.name));
      found.push(...guardFindings(guard, policy, binding));
      if (guard.name === UNFILTERED_PODS && policy !== null) found.push(...imageFindings(policy, fetcherImage));
    }
    return found;
  },
};

function guardFindings(guard: Guard, policy: GuardPolicy | null, binding: GuardBinding | null): Finding[] {
  const { name, action, refuses } = guard;
  const where = `ValidatingAdmissionPolicy/${name}`;
  const lost = `it is to ${action === "Deny" ? "refuse" : "warn of"} ${refuses}`;
  if (policy === null) return [finding("GuardMissing", where, lost)];
  if (binding === null || binding.spec.policyName !== name) {
    return [finding("GuardMissing", `ValidatingAdmissionPolicyBinding/${name}`, `the policy is not bound: ${lost}`)];
  }
  const found: Finding[] = [];
  const actions = binding.spec.validationActions ?? [];
  if (!actions.includes(action)) {
    const text = `validationActions are [${actions.join(", ")}] without ${action}: ${lost}`;
    found.push(finding("GuardMissing", `ValidatingAdmissionPolicyBinding/${name}`, text));
  }
  if (policy.spec.failurePolicy === "Ignore") {
    found.push(finding("GuardMissing", where, `failurePolicy is Ignore: ${lost}`));
  }
  if (binding.spec.matchResources !== undefined && Object.keys(binding.spec.matchResources).length > 0) {
    const text = "its matchResources leave a part of the cluster out";
    found.push(finding("GuardMisfit", `ValidatingAdmissionPolicyBinding/${name}`, text));
  }
  const [warning] = policy.status?.typeChecking?.expressionWarnings ?? [];
  if (warning !== undefined) found.push(finding("GuardMisfit", where, warning.warning.replaceAll(/\s+/g, " ")));
  return found;
}

/** @param fetcherImage of the operator's configuration; null where that could not be read */
function imageFindings({ spec }: GuardPolicy, fetcherImage: string | null): Finding[] {
  const where = `ValidatingAdmissionPolicy/${UNFILTERED_PODS}`;
  const expression = spec.variables?.find(({ name }) => name === "images")?.expression ?? "";
  // A list of texts in CEL, in either kind of quotes.
  const images = [...expression.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, single, double]) => single ?? double ?? "");
  if (images.length === 0) return [finding("GuardImages", where, "its variable images is empty")];
  if (fetcherImage === null || images.includes(fetcherImage)) return [];
  return [finding("GuardImages", where, `it has ${images.join(", ")}, and fetcher.image is ${fetcherImage}`)];
}
