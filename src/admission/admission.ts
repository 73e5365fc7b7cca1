import type { Config } from "../config/config.ts";
import { chooseProxy, type FoundProxy } from "../dataplanes/choice.ts";
import { type DataPlane, FETCHER_NAME, isSelectedBy, VOLUME_NAME } from "../dataplanes/data-plane.ts";
import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { ContainerLimit } from "../kube/limit-range.ts";
import type { Namespace } from "../kube/namespace.ts";
import { type Container, controllerOf, type Pod } from "../kube/pod.ts";
import type { Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import { podPatch } from "../patch/pod-patch.ts";
import { PlanError } from "../plan/error.ts";
import type { PackPlan } from "../plan/packing.ts";
import { PLAN_SCHEMA, type Plan, type PlanFilter } from "../plan/plan.ts";
import type { PlanKeys, SignedPlan } from "../plan/signature.ts";
import { type PackedPlan, SIGNATURE } from "../plan/transport.ts";
import { type ImageJudgement, UNJUDGED } from "../policies/image-judgement.ts";
import type { Decision } from "./decision.ts";
import { readEligibility } from "./eligibility.ts";
import { fetcherContainer, podVolumes } from "./fetcher-container.ts";
import { type FilterReference, planFilters, readReferences, type SettledImage } from "./filter-references.ts";
import type { FilterSettings } from "./filter-settings.ts";
import { INJECTED, PLAN, PREFIX, STATUS } from "./key.ts";
import { pullSecrets } from "./pull-secrets.ts";
import { refuseForeign, refuseMounts } from "./reserved.ts";
import { readSettings, type Settings } from "./settings.ts";
import { isLocked } from "./switch.ts";
import { type Terms, termsOf } from "./terms.ts";

/** What the operator decided, as far as admission depends on it. */
export interface AdmissionConfig
  extends Pick<
    Config,
    "fetcher" | "volume" | "envoy" | "reference" | "registries" | "network" | "failure" | "proxy" | "limits"
  > {
  readonly pack: PackPlan;
  /** Signs plans; null leaves them unsigned. */
  readonly sign: ((plan: SignedPlan) => string) | null;
  /** Whose signatures count. */
  readonly keys: PlanKeys;
}

/** Turns a tag into the digest of its manifest. I/O lives behind this: the rest of admission is pure. */
export type ResolveTag = (reference: Reference) => Promise<ResolvedTag>;

/** Tells what policies say of the image that a reference was settled to. */
export type JudgeImage = (reference: Reference, digest: string) => Promise<ImageJudgement>;

/** Tells what LimitRanges ask of containers in the pod's namespace. */
export type ReadLimits = () => Promise<readonly ContainerLimit[]>;

/**
 * Decides about one pod that is being created. Two pure halves with the resolution of tags between them:
 * `prepare` reads what is wanted, `conclude` makes plan and patch of it.
 * @param readLimits asked for pods that get a plan alone; without it, what the namespace says counts
 * @param judge asked about exactly the digests that the plan pins; without it, no policy is for any image
 */
export async function admit(
  pod: Pod,
  namespace: Namespace,
  dataPlanes: readonly DataPlane[],
  config: AdmissionConfig,
  resolveTag: ResolveTag,
  readLimits: ReadLimits = async () => namespace.limits ?? [],
  judge: JudgeImage = async () => UNJUDGED,
): Promise<Decision> {
  const prepared = prepare(pod, namespace, dataPlanes, config);
  if ("outcome" in prepared) return prepared;
  const settling = Promise.all(
    prepared.references.map(async ({ reference }): Promise<SettledImage> => {
      const resolved = reference.digest === null ? await resolveTag(reference) : { digest: reference.digest };
      if ("problem" in resolved) return resolved;
      const { digest } = resolved;
      return { digest, judgement: await judge(reference, digest) };
    }),
  );
  const [images, limits] = await Promise.all([settling, readLimits()]);
  const terms = termsOf(config, prepared.settings, { ...namespace, limits });
  if (isRefusal(terms)) return denied(terms);
  return conclude(pod, namespace, config, prepared, images, terms);
}

/** What the operator decided, as far as it matters before any registry is asked. */
export type PreparationConfig = Pick<Config, "limits" | "reference" | "proxy" | "failure">;

/** A pod that wants filters, and all that can be known before any registry is asked. */
export interface Prepared extends FoundProxy {
  readonly settings: Settings;
  readonly references: readonly FilterReference[];
}

export function prepare(
  pod: Pod,
  namespace: Namespace,
  dataPlanes: readonly DataPlane[],
  config: PreparationConfig,
): Prepared | Decision {
  const eligibility = readEligibility(pod, namespace);
  if (isRefusal(eligibility)) return denied(eligibility);
  if (eligibility.kind === "skipped") return { ...eligibility, outcome: "Skipped" };
  const settings = readSettings(pod, namespace, config.limits);
  if (isRefusal(settings)) return denied(settings);
  if (settings.filters.length === 0) {
    return { outcome: "Skipped", reason: "NoFilters", detail: settings.removedInVain.map(inVain).join("; ") };
  }
  const references = readReferences(settings.filters, config.reference);
  if (isRefusal(references)) return denied(references);
  const found = chooseProxy(pod, settings, dataPlanes);
  if (isRefusal(found)) {
    const expected = found.reason === "ProxyNotFound" ? expectedBy(pod, namespace, dataPlanes, config.proxy) : null;
    if (expected === null) return denied(found);
    return { outcome: "Deferred", reason: "ProxyExpected", detail: `${expected} says so; for now: ${found.detail}` };
  }
  const forbidden = refuseFilters(settings.filters, found, config);
  if (forbidden) return denied(forbidden);
  return { settings, references, ...found };
}

export function conclude(
  pod: Pod,
  namespace: Namespace,
  config: AdmissionConfig,
  { settings, references, dataPlane, proxy }: Prepared,
  images: readonly SettledImage[],
  terms: Terms,
): Decision {
  const { root } = terms;
  const filters = planFilters(references, images);
  if (isRefusal(filters)) return denied(filters);
  const attachment = dataPlane.attach(pod, proxy, settings, { root, filters, locked: isLocked(namespace) });
  if (isRefusal(attachment)) return denied(attachment);
  const mounts = [{ name: VOLUME_NAME, mountPath: root, readOnly: true }, ...attachment.proxy.mounts];
  const forImage = terms.fetcher.imagePullSecrets ?? [];
  const secrets = pullSecrets(pod, { chosen: settings.pullSecret, forImage, root });
  const volumes = [...podVolumes(terms.fetcher.volumeSize), ...(secrets ? [secrets.volume] : [])];
  const reserved =
    refuseMounts(pod, { container: proxy.container, mounts }) ??
    (isLocked(namespace) ? refuseForeign(pod, namespace, config.keys) : null);
  if (reserved) return denied(reserved);
  const plan: Plan = {
    schema: PLAN_SCHEMA,
    namespace: namespace.name,
    dataPlane: dataPlane.name,
    envoyVersion: proxy.envoyVersion ?? terms.envoyVersion,
    root,
    filters,
    bootstrap: attachment.bootstrap,
    limits: terms.limits,
    registries: terms.registries,
    ...(terms.network ? { network: terms.network } : {}),
    ...rulesOf(images),
    pullSecrets: secrets?.plan ?? null,
    fetcher: terms.fetcher,
  };
  const packed = pack(plan, config.pack);
  if (isRefusal(packed)) return denied(packed);
  const { hash } = packed;
  const signed = { hash, namespace: namespace.name, owner: controllerOf(pod.metadata) };
  const environment = config.sign
    ? [...packed.variables, { name: SIGNATURE, value: config.sign(signed) }]
    : packed.variables;
  const fetcher = fetcherContainer(
    terms.fetcher,
    proxy,
    root,
    environment,
    [...attachment.fetcherMounts, ...(secrets ? [secrets.mount] : [])],
    { fetcher: earlierFetcher(pod), allowedEnvironment: config.fetcher.allowedEnvironment },
  );
  const patch = podPatch(pod, {
    labels: { ...attachment.labels, [INJECTED]: "true", [PLAN]: hash.slice(0, 12) },
    unwantedLabels: Object.keys(pod.metadata.labels ?? {}).filter(
      label => isSelectedBy(label) && !(label in attachment.labels),
    ),
    annotations: { ...attachment.annotations, [STATUS]: status(plan, hash) },
    volumes,
    imagePullSecrets: forImage,
    fetcher,
    proxy: { list: proxy.list, index: proxy.index, changes: { ...attachment.proxy, mounts } },
  });
  return {
    outcome: "Injected",
    reason: "Injected",
    detail: `${filters.length} filter${filters.length === 1 ? "" : "s"} for container ${proxy.container.name}: ${filters.map(({ name, digest }) => `${name}@${digest}`).join(", ")}`,
    plan,
    planHash: hash,
    patch,
    warnings: [
      ...settings.removedInVain.map(name => `wasmount: ${inVain(name)}`),
      ...warningsOf(filters),
      ...attachment.warnings.map(text => `wasmount: ${text}`),
      ...references.flatMap(({ filter: { name } }, index) => policyWarnings(name, images[index])),
    ],
    policies: references.flatMap(({ filter: { name } }, index) =>
      judgementOf(images[index]).policies.map(text => `${name}:${text}`),
    ),
    audit: images.flatMap(image => judgementOf(image).audit),
  };
}

/** What the proxy can't do, and what an operator doesn't want. */
function refuseFilters(
  filters: readonly FilterSettings[],
  { dataPlane, proxy }: FoundProxy,
  config: PreparationConfig,
): Refusal | null {
  for (const { name, direction, onFailure } of filters) {
    if (!proxy.directions.includes(direction)) {
      const able = `container ${proxy.container.name} (data plane ${dataPlane.name}) has ${proxy.directions.join(", ")}`;
      return refuse("DirectionUnsupported", `annotation ${PREFIX}direction.${name}=${direction}: ${able}`);
    }
    if (onFailure === "open" && !config.failure.allowOpen) {
      return refuse(
        "OpenFailureForbidden",
        `annotation ${PREFIX}on-failure.${name}=open: "block" (the default) is allowed; the operator's setting is failure.allowOpen`,
      );
    }
  }
  return null;
}

/** By which sign another webhook is told to add the proxy, if there is one. */
function expectedBy(
  pod: Pod,
  namespace: Namespace,
  dataPlanes: readonly DataPlane[],
  { injectedBy }: Config["proxy"],
): string | null {
  for (const dataPlane of dataPlanes) {
    const sign = dataPlane.expected(pod, namespace);
    if (sign !== null) return sign;
  }
  for (const { label, value } of injectedBy) {
    if (pod.metadata.labels?.[label] === value) return `label ${label}=${value} on the pod`;
    if (namespace.labels[label] === value) return `label ${label}=${value} on namespace ${namespace.name}`;
  }
  return null;
}

function inVain(name: string): string {
  return `${PREFIX}module.${name}=none removes nothing: the namespace has no filter ${name}`;
}

/** `kubectl` shows them; the API server cuts what is longer than 256 characters. */
function warningsOf(filters: readonly PlanFilter[]): string[] {
  return filters.flatMap(({ name, onFailure, runtimeFailure }) => {
    const filter = `wasmount: filter ${name}`;
    return [
      ...(onFailure === "open" ? [`${filter} is left out where its module can't be had (on-failure: open)`] : []),
      ...(runtimeFailure === "open" ? [`${filter} is passed by where it fails (runtime-failure: open)`] : []),
    ];
  });
}

/** What policies say of an image that may be loaded all the same. */
function policyWarnings(filter: string, image: SettledImage | undefined): readonly string[] {
  const { warnings, deferred } = judgementOf(image);
  return [
    ...warnings.map(text => `wasmount: filter ${filter}: ${text}`),
    ...deferred.map(text => `wasmount: filter ${filter} is left to the fetcher to verify: ${text}`),
  ];
}

function judgementOf(image: SettledImage | undefined): ImageJudgement {
  return image === undefined || "problem" in image ? UNJUDGED : image.judgement;
}

/** Each rule once, however many filters it is for: trusted roots are long. */
function rulesOf(images: readonly SettledImage[]): Pick<Plan, "rules"> {
  const rules = new Map(images.flatMap(image => judgementOf(image).rules.map(rule => [rule.policy, rule])));
  if (rules.size === 0) return {};
  return { rules: [...rules.values()].sort((a, b) => (a.policy < b.policy ? -1 : 1)) };
}

/** What an earlier pass injected, if this is a later one. */
function earlierFetcher(pod: Pod): Container | null {
  return pod.spec.initContainers?.find(({ name }) => name === FETCHER_NAME) ?? null;
}

function pack(plan: Plan, packPlan: PackPlan): OrRefusal<PackedPlan> {
  try {
    return packPlan(plan);
  } catch (error) {
    if (error instanceof PlanError) return refuse("PlanTooLarge", error.message);
    throw error;
  }
}

/** What was done, for people and for `kubectl get -o yaml`. Nothing reads it back. */
function status(plan: Plan, hash: string): string {
  return JSON.stringify({
    version: 1,
    plan: hash,
    dataPlane: plan.dataPlane,
    filters: plan.filters.map(({ name, slot, repository, digest, trust }) => ({
      name,
      slot,
      module: `${repository}@${digest}`,
      ...(trust === undefined ? {} : { policies: trust.rules, verifiedBy: trust.deferred ? "fetcher" : "both" }),
    })),
  });
}

function denied({ reason, detail, cause }: Refusal): Decision {
  return { outcome: "Denied", reason, detail, ...(cause !== undefined && { cause }) };
}
