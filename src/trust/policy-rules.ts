import { messageOf } from "../error.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import { REPOSITORY_PATTERN_RULE, readRepositoryPattern } from "../oci/repository-pattern.ts";
import { SIGNATURE_PREDICATE } from "./claim.ts";
import type { LabelRequirement, Policy, PolicyAuthority } from "./policy.ts";
import { readPublicKey } from "./public-key.ts";

/** What a schema can't say of a policy: each problem names the place and what would be right. */
export function policyProblems(policy: Policy): string[] {
  return [
    ...scopeProblems(policy),
    ...patternProblems(policy),
    ...selectorProblems(policy.spec.match.namespaceSelector.matchExpressions ?? []),
    ...authorityProblems(policy.spec.verify.authorities),
    ...sourceProblems(policy),
    ...countProblems(policy),
    ...attestationProblems(policy),
  ];
}

/** A tenant's policy may demand more of its own namespace, and nothing else. */
function scopeProblems({ kind, metadata, spec }: Policy): string[] {
  if (kind === "WasmPolicy") {
    return metadata.namespace === undefined
      ? []
      : ["metadata.namespace: a WasmPolicy is the cluster's; write kind NamespacedWasmPolicy"];
  }
  const { match, verify } = spec;
  const { namespaceSelector: selector } = match;
  const selects = selector.matchLabels !== undefined || selector.matchExpressions !== undefined;
  const refers = verify.authorities.some(({ key, keyless }) => key?.secretRef !== undefined || keyless !== undefined);
  const only = "only a WasmPolicy may have it";
  return [
    ...(metadata.namespace === undefined ? ["metadata needs the key namespace"] : []),
    ...(match.exclude.length > 0 ? [`spec.match.exclude: ${only}`] : []),
    ...(selects ? [`spec.match.namespaceSelector: ${only}; this one is for its own namespace`] : []),
    ...(verify.source === undefined ? [] : [`spec.verify.source: ${only}`]),
    ...(refers ? [`spec.verify.authorities: key.secretRef and keyless read the operator's namespace: ${only}`] : []),
  ];
}

function patternProblems({ spec: { match } }: Policy): string[] {
  return (["repositories", "exclude"] as const).flatMap(key =>
    match[key]
      .filter(pattern => readRepositoryPattern(pattern) === null)
      .map(pattern => `spec.match.${key} has ${JSON.stringify(pattern)}: ${REPOSITORY_PATTERN_RULE}`),
  );
}

function selectorProblems(requirements: readonly LabelRequirement[]): string[] {
  return requirements.flatMap(({ operator, values = [] }, index) => {
    const place = `spec.match.namespaceSelector.matchExpressions.${index}`;
    const takes = operator === "In" || operator === "NotIn";
    if (takes && values.length === 0) return [`${place}: ${operator} needs values`];
    return !takes && values.length > 0 ? [`${place}: ${operator} takes no values`] : [];
  });
}

function authorityProblems(authorities: readonly PolicyAuthority[]): string[] {
  return authorities.flatMap((authority, index) => {
    const place = `spec.verify.authorities.${index} (${authority.name})`;
    const twice = authorities.findIndex(({ name }) => name === authority.name) !== index;
    return [
      ...(twice ? [`${place} has the name of another one`] : []),
      ...kindProblems(authority, place),
      ...identityProblems(authority, place),
    ];
  });
}

function kindProblems({ key, keyless, digests }: PolicyAuthority, place: string): string[] {
  const kinds = [key, keyless, digests].filter(kind => kind !== undefined);
  if (kinds.length !== 1) return [`${place} has ${kinds.length} of key, keyless and digests: write one of them`];
  if (key === undefined) return [];
  if ((key.pem === undefined) === (key.secretRef === undefined)) {
    return [`${place}: key needs one of pem and secretRef`];
  }
  try {
    if (key.pem !== undefined) readPublicKey(key.pem, key.hash ?? null);
    return [];
  } catch (error) {
    return [`${place}: ${messageOf(error)}`];
  }
}

function identityProblems({ identity, remapPrefix }: PolicyAuthority, place: string): string[] {
  if (identity === "RemapPrefix" && remapPrefix === undefined) {
    return [`${place}: identity RemapPrefix needs remapPrefix: {from, to}`];
  }
  if (remapPrefix === undefined) return [];
  if (identity !== "RemapPrefix") return [`${place}: remapPrefix is for identity RemapPrefix, and this is ${identity}`];
  return Object.entries(remapPrefix)
    .filter(([, prefix]) => !isRepositoryPrefix(prefix))
    .map(
      ([key, prefix]) =>
        `${place}: remapPrefix.${key} is ${JSON.stringify(prefix)}: write a registry, or the beginning of a repository's name up to a "/", as references do`,
    );
}

/** Whether names of repositories can begin so: "registry.example/team", or "registry.example" for all of its. */
export function isRepositoryPrefix(prefix: string): boolean {
  const name = `${prefix}/x`;
  try {
    return formatReference(parseReference(name)) === name;
  } catch {
    return false;
  }
}

function sourceProblems({ spec: { verify } }: Policy): string[] {
  const { source } = verify;
  if (source === undefined) return [];
  const pattern = source.repository.includes("*") ? null : readRepositoryPattern(source.repository);
  return pattern === null
    ? [`spec.verify.source.repository is ${JSON.stringify(source.repository)}: write registry/repository`]
    : [];
}

function countProblems({ spec: { verify } }: Policy): string[] {
  const { minimum, authorities } = verify;
  const possible = distinctAuthorities(authorities);
  return minimum > possible
    ? [`spec.verify.minimum is ${minimum}, and there are ${possible} different authorities`]
    : [];
}

/** One key under two names is one authority. */
export function distinctAuthorities(authorities: readonly PolicyAuthority[]): number {
  return new Set(authorities.map(spkiOrName)).size;
}

function spkiOrName({ name, key }: PolicyAuthority): string {
  try {
    return key?.pem === undefined ? name : `spki ${readPublicKey(key.pem).spkiHash}`;
  } catch {
    return name;
  }
}

function attestationProblems({ spec: { verify } }: Policy): string[] {
  return verify.attestations.flatMap(({ predicateType, authorities, minimum }, index) => {
    const place = `spec.verify.attestations.${index}`;
    const named = verify.authorities.filter(({ name }) => authorities.includes(name));
    const unknown = authorities.filter(name => !verify.authorities.some(authority => authority.name === name));
    const frozen = named.filter(({ digests }) => digests !== undefined);
    const possible = distinctAuthorities(named);
    return [
      ...unknown.map(name => `${place} names the authority ${JSON.stringify(name)}, which is not in spec.verify`),
      ...frozen.map(
        ({ name }) => `${place} names the authority ${name}, which states nothing: it is a list of digests`,
      ),
      ...(predicateType === SIGNATURE_PREDICATE
        ? [`${place}: ${predicateType} is a signature, not an attestation`]
        : []),
      ...(minimum > possible ? [`${place}.minimum is ${minimum}, and it names ${possible} different authorities`] : []),
    ];
  });
}
