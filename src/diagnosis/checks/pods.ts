import type { Check } from "../check.ts";
import { finding } from "../finding.ts";
import type { PodReport } from "../pod-report.ts";
import { surveyPods } from "../pod-survey.ts";

const NAMED = 5;

/** Do pods have what they ask for? The same as `wasmount status -A`. */
export const podsCheck: Check = {
  name: "pods with filters",
  async run({ cluster, installation, dataPlanes }) {
    const reports = await surveyPods(cluster, installation, dataPlanes, { namespace: null });
    const uninjected = reports.filter(({ state }) => state === "Uninjected");
    const failed = reports.filter(({ state }) => state === "Failed");
    return [
      ...(uninjected.length > 0 ? [finding("PodsUninjected", "the cluster", named(uninjected))] : []),
      ...(failed.length > 0 ? [finding("PodsFailed", "the cluster", named(failed))] : []),
    ];
  },
};

function named(reports: readonly PodReport[]): string {
  const names = reports.slice(0, NAMED).map(({ namespace, pod }) => `${namespace}/${pod}`);
  const rest = reports.length > NAMED ? ` and ${reports.length - NAMED} more` : "";
  return `${reports.length} pod${reports.length === 1 ? "" : "s"}: ${names.join(", ")}${rest}`;
}
