import { type RepositoryPattern, readRepositoryPattern, servesRepository } from "../oci/repository-pattern.ts";
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

/** Whether a policy is for an image of a pod in a namespace. */
export type PolicyMatcher = (image: ImageRepository, namespace: NamespaceFacts) => boolean;

/** Reads a policy's patterns once, for all images that it is asked about. */
export function policyMatcher({ kind, metadata, spec: { match } }: Policy): PolicyMatcher {
  const [repositories, exclude] = [patterns(match.repositories), patterns(match.exclude)];
  const isFor = ({ name, labels }: NamespaceFacts) =>
    kind === "NamespacedWasmPolicy" ? metadata.namespace === name : selects(match.namespaceSelector, labels);
  return (image, namespace) => isFor(namespace) && among(repositories, image) && !among(exclude, image);
}

/** The policies that an image of a pod in a namespace has to pass: all of them. */
export function matchingPolicies(
  policies: readonly Policy[],
  image: ImageRepository,
  namespace: NamespaceFacts,
): readonly Policy[] {
  return policies.filter(policy => policyMatcher(policy)(image, namespace));
}

function patterns(texts: readonly string[]): readonly RepositoryPattern[] {
  return texts.map(readRepositoryPattern).filter(pattern => pattern !== null);
}

function among(patterns: readonly RepositoryPattern[], { registry, repository }: ImageRepository): boolean {
  return patterns.some(pattern => servesRepository(pattern, registry, repository));
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
