import { readRepositoryPattern, servesRepository } from "../oci/repository-pattern.ts";
import type { LabelRequirement, LabelSelector, Policy } from "./policy.ts";

/** A namespace as the API server has it, not as a request tells. */
export interface NamespaceFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Where an image is, in the one spelling of references: "registry.example", "team/filter". */
export interface ImageRepository {
  readonly registry: string;
  readonly repository: string;
}

/** The policies that an image of a pod in a namespace has to pass: all of them. */
export function matchingPolicies(
  policies: readonly Policy[],
  image: ImageRepository,
  namespace: NamespaceFacts,
): readonly Policy[] {
  return policies.filter(policy => isFor(policy, namespace) && matches(policy, image));
}

function isFor({ kind, metadata, spec }: Policy, namespace: NamespaceFacts): boolean {
  if (kind === "NamespacedWasmPolicy") return metadata.namespace === namespace.name;
  return selects(spec.match.namespaceSelector, namespace.labels);
}

function matches({ spec: { match } }: Policy, { registry, repository }: ImageRepository): boolean {
  const among = (patterns: readonly string[]) =>
    patterns.some(text => {
      const pattern = readRepositoryPattern(text);
      return pattern !== null && servesRepository(pattern, registry, repository);
    });
  return among(match.repositories) && !among(match.exclude);
}

/** Kubernetes' rule for selectors: all has to hold, and NotIn holds for a label that is not there. */
function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: NamespaceFacts["labels"],
): boolean {
  const labelled = (key: string) => (Object.hasOwn(labels, key) ? labels[key] : undefined);
  return (
    Object.entries(matchLabels).every(([key, value]) => labelled(key) === value) &&
    matchExpressions.every(requirement => holds(requirement, labelled(requirement.key)))
  );
}

function holds({ operator, values = [] }: LabelRequirement, value: string | undefined): boolean {
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}
