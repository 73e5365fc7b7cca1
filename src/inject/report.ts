import type { Decision } from "../admission/decision.ts";
import { sentence } from "../admission/response.ts";
import { printable } from "../printable.ts";
import type { Injection } from "./injection.ts";

/** How messages call a workload: "Deployment default/web". */
export function subjectOf({ workload: { kind, name }, namespace }: Injection): string {
  return printable(`${kind} ${namespace}/${name}`);
}

/** What was decided, and why: one line of text. */
export function explanation(injection: Injection): string {
  return `${subjectOf(injection)}: ${decisionText(injection.decision)}`;
}

/** A denial with the place of what it is about. */
export function denial(injection: Injection): string {
  return `${subjectOf(injection)} in ${printable(injection.workload.place)}: ${decisionText(injection.decision)}`;
}

/** The outcome, and a full sentence about its reason. */
export function decisionText(decision: Decision): string {
  const { outcome, reason } = decision;
  const said = sentence(decision).replace(/^wasmount: /, "");
  const text = outcome === reason ? said : `${outcome}: ${said}`;
  return outcome === "Denied" && decision.cause !== undefined ? `${text} (${printable(decision.cause)})` : text;
}

/** What the API server would show to whoever creates the pod. */
export function warnings(injection: Injection): string[] {
  const { decision } = injection;
  if (decision.outcome !== "Injected") return [];
  return decision.warnings.map(warning => `Warning: ${subjectOf(injection)}: ${printable(warning)}`);
}
