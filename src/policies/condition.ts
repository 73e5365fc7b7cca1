/** A condition as Kubernetes writes them (metav1.Condition), as far as we write it. */
export interface Condition {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

/** Conditions of any origin; what is none is left out. */
export function readConditions(value: unknown): readonly Condition[] {
  if (!Array.isArray(value)) return [];
  return value.filter(
    (one): one is Condition => typeof one === "object" && one !== null && typeof one.type === "string",
  );
}
