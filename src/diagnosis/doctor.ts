import type { Check, Patient } from "./check.ts";
import { apiServerCheck } from "./checks/api-server.ts";
import { bypassCheck } from "./checks/bypass.ts";
import { certificatesCheck } from "./checks/certificates.ts";
import { configurationCheck } from "./checks/configuration.ts";
import { definitionsCheck } from "./checks/definitions.ts";
import { guardsCheck } from "./checks/guards.ts";
import { namespacesCheck } from "./checks/namespaces.ts";
import { orderingCheck } from "./checks/ordering.ts";
import { podsCheck } from "./checks/pods.ts";
import { policiesCheck } from "./checks/policies.ts";
import { failurePolicyCheck, registrationCheck } from "./checks/registration.ts";
import { replicasCheck } from "./checks/replicas.ts";
import { rightsCheck } from "./checks/rights.ts";
import { slotsCheck } from "./checks/slots.ts";
import { trialCheck } from "./checks/trial.ts";
import { DiagnosisError } from "./error.ts";
import { type Finding, finding, type Severity } from "./finding.ts";

/** In the order in which what they find is to be mended: what comes first may be the cause of what follows. */
export const checks: readonly Check[] = [
  apiServerCheck,
  bypassCheck,
  configurationCheck,
  definitionsCheck,
  rightsCheck,
  replicasCheck,
  registrationCheck,
  failurePolicyCheck,
  certificatesCheck,
  orderingCheck,
  guardsCheck,
  slotsCheck,
  trialCheck,
  policiesCheck,
  namespacesCheck,
  podsCheck,
];

export interface CheckReport {
  readonly check: string;
  readonly result: "ok" | Severity;
  readonly findings: readonly Finding[];
}

/**
 * Runs all checks. One that can't be made is a finding of its own.
 * @throws DiagnosisError where the cluster can't be asked at all
 */
export async function examine(patient: Patient): Promise<readonly CheckReport[]> {
  const reports: CheckReport[] = [];
  for (const { name, run } of checks) {
    const found = await run(patient).catch(error => [unmade(error, name)]);
    const severities: readonly Severity[] = found.map(({ severity }) => severity);
    const result = severities.includes("failure") ? "failure" : (severities[0] ?? "ok");
    reports.push({ check: name, result, findings: found });
  }
  return reports;
}

function unmade(error: unknown, check: string): Finding {
  if (!(error instanceof DiagnosisError)) throw error;
  switch (error.code) {
    case "NotLoggedIn":
    case "BadKubeconfig":
    case "Unreachable":
      throw error;
    case "RightMissing":
      return finding("RightMissing", check, error.message);
    default:
      return finding("CheckFailed", check, error.message);
  }
}
