import type { Config } from "../config/config.ts";
import { type DataPlane, FETCHER_NAME, type ProxyContainer, VOLUME_NAME } from "../dataplanes/data-plane.ts";
import type { Reason } from "../decision/reason.ts";
import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import { type Container, controllerOf, type Pod } from "../kube/pod.ts";
import { ImageReferenceError, parseReference, type Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import { podPatch } from "../patch/pod-patch.ts";
import { PlanError } from "../plan/error.ts";
import { PLAN_SCHEMA, type Plan, type PlanFilter } from "../plan/plan.ts";
import { type PlanSigner, signPlan } from "../plan/signature.ts";
import { planToEnvironment, SIGNATURE } from "../plan/transport.ts";
import type { Decision } from "./decision.ts";
import { fetcherContainer, podVolumes } from "./fetcher-container.ts";
import { INJECTED, PLAN, PREFIX, STATUS } from "./key.ts";
import { refuseReserved } from "./reserved.ts";
import { type FilterSettings, readSettings, readSwitch, type Settings } from "./settings.ts";

/** What the operator decided, as far as admission depends on it. */
export interface AdmissionConfig
  extends Pick<Config, "fetcher" | "volume" | "envoy" | "reference" | "registries" | "limits"> {
  /** Signs plans; null leaves them unsigned. */
  readonly signer: PlanSigner | null;
}

/** Turns a tag into the digest of its manifest. I/O lives behind this: the rest of admission is pure. */
export type ResolveTag = (reference: Reference) => Promise<ResolvedTag>;

/**
 * Decides about one pod that is being created. Two pure halves with the resolution of tags between them:
 * `prepare` reads what is wanted, `conclude` makes plan and patch of it.
 */
export async function admit(
  pod: Pod,
  namespace: Namespace,
  dataPlane: DataPlane,
  config: AdmissionConfig,
  resolveTag: ResolveTag,
): Promise<Decision> {
  const prepared = prepare(pod, namespace, dataPlane, config);
  if ("outcome" in prepared) return prepared;
  const digests = await Promise.all(
    prepared.references.map(async ({ reference }) =>
      reference.digest === null ? resolveTag(reference) : { digest: reference.digest },
    ),
  );
  return conclude(pod, namespace, dataPlane, config, prepared, digests);
}

/** A pod that wants filters, and all that can be known before any registry is asked. */
export interface Prepared {
  readonly settings: Settings;
  readonly references: readonly FilterReference[];
  readonly proxy: ProxyContainer;
}

interface FilterReference {
  readonly filter: FilterSettings;
  readonly reference: Reference;
}

export function prepare(
  pod: Pod,
  namespace: Namespace,
  dataPlane: DataPlane,
  config: AdmissionConfig,
): Prepared | Decision {
  const state = readSwitch(pod, namespace);
  if (isRefusal(state)) return denied(state);
  if (state === "opted-out") return skipped("OptedOut");
  if (state === "off") return skipped("NotSwitchedOn");
  const settings = readSettings(pod, namespace, config.limits);
  if (isRefusal(settings)) return denied(settings);
  if (settings.filters.length === 0) return skipped("NoFilters");
  const references: FilterReference[] = [];
  for (const filter of settings.filters) {
    const reference = readReference(filter, config);
    if (isRefusal(reference)) return denied(reference);
    references.push({ filter, reference });
  }
  const elsewhere = settings.filters.find(({ direction }) => !dataPlane.directions.includes(direction));
  if (elsewhere) {
    const { name, direction } = elsewhere;
    const able = `data plane ${dataPlane.name} has ${dataPlane.directions.join(", ")}`;
    return denied(refuse("DirectionUnsupported", `annotation ${PREFIX}direction.${name}=${direction}: ${able}`));
  }
  const proxy = dataPlane.find(pod, settings);
  if (isRefusal(proxy)) return denied(proxy);
  return { settings, references, proxy };
}

export function conclude(
  pod: Pod,
  namespace: Namespace,
  dataPlane: DataPlane,
  config: AdmissionConfig,
  { settings, references, proxy }: Prepared,
  digests: readonly ResolvedTag[],
): Decision {
  const root = config.volume.mountPath;
  const filters = planFilters(references, digests);
  if (isRefusal(filters)) return denied(filters);
  const attachment = dataPlane.attach(pod, proxy, settings, root);
  if (isRefusal(attachment)) return denied(attachment);
  const mounts = [{ name: VOLUME_NAME, mountPath: root, readOnly: true }, ...attachment.proxy.mounts];
  const volumes = podVolumes(config.volume.sizeLimit);
  const reserved = refuseReserved(pod, volumes, { container: proxy.container, mounts });
  if (reserved) return denied(reserved);
  const plan: Plan = {
    schema: PLAN_SCHEMA,
    namespace: namespace.name,
    dataPlane: dataPlane.name,
    envoyVersion: proxy.envoyVersion ?? config.envoy.version,
    root,
    filters,
    bootstrap: attachment.bootstrap,
    limits: {
      moduleBytes: config.limits.moduleBytes,
      manifestBytes: config.limits.manifestBytes,
      deadlineMs: config.limits.fetchSeconds * 1000,
    },
    registries: config.registries,
  };
  const packed = pack(plan);
  if (isRefusal(packed)) return denied(packed);
  const { hash } = packed;
  const signed = { hash, namespace: namespace.name, owner: controllerOf(pod.metadata) };
  const environment = config.signer
    ? [...packed.variables, { name: SIGNATURE, value: signPlan(signed, config.signer) }]
    : packed.variables;
  const patch = podPatch(pod, {
    labels: { [INJECTED]: "true", [PLAN]: hash.slice(0, 12) },
    annotations: { [STATUS]: status(plan, hash) },
    volumes,
    fetcher: fetcherContainer(config.fetcher, proxy, root, environment, attachment.fetcherMounts, earlierFetcher(pod)),
    proxy: { list: proxy.list, index: proxy.index, changes: { ...attachment.proxy, mounts } },
  });
  return {
    outcome: "Injected",
    reason: "Injected",
    detail: `${filters.length} filter${filters.length === 1 ? "" : "s"} for container ${proxy.container.name}: ${filters.map(({ name, digest }) => `${name}@${digest}`).join(", ")}`,
    plan,
    planHash: hash,
    patch,
    warnings: [],
  };
}

function readReference(filter: FilterSettings, config: AdmissionConfig): OrRefusal<Reference> {
  const annotation = `annotation ${PREFIX}module.${filter.name}`;
  try {
    const reference = parseReference(filter.module);
    if (reference.digest === null && config.reference.requireDigest) {
      return refuse("DigestRequired", `${annotation}: ${filter.module} has no @sha256:… part`);
    }
    return reference;
  } catch (error) {
    if (error instanceof ImageReferenceError) return refuse("BadReference", `${annotation}: ${error.message}`);
    throw error;
  }
}

/** What an earlier pass injected, if this is a later one. */
function earlierFetcher(pod: Pod): Container | null {
  return pod.spec.initContainers?.find(({ name }) => name === FETCHER_NAME) ?? null;
}

function planFilters(
  references: readonly FilterReference[],
  digests: readonly ResolvedTag[],
): OrRefusal<readonly PlanFilter[]> {
  const filled = { first: 0, last: 0 };
  const filters: PlanFilter[] = [];
  for (const [index, { filter, reference }] of references.entries()) {
    const resolved = digests[index];
    if (resolved === undefined) throw new Error(`the tag of filter ${filter.name} was not asked for`);
    if ("problem" in resolved) {
      const refusal = refuse("TagUnresolved", `annotation ${PREFIX}module.${filter.name}: ${resolved.problem}`);
      return { ...refusal, cause: resolved.cause };
    }
    filled[filter.phase] += 1;
    filters.push({
      name: filter.name,
      slot: `in-${filter.phase}-${String(filled[filter.phase]).padStart(2, "0")}`,
      phase: filter.phase,
      repository: `${reference.registry}/${reference.repository}`,
      digest: resolved.digest,
      reference: filter.module,
      config: filter.config,
      rootId: filter.rootId,
      runtimeFailure: filter.runtimeFailure,
    });
  }
  return filters;
}

function pack(plan: Plan): OrRefusal<ReturnType<typeof planToEnvironment>> {
  try {
    return planToEnvironment(plan);
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
    filters: plan.filters.map(({ name, slot, repository, digest }) => ({
      name,
      slot,
      module: `${repository}@${digest}`,
    })),
  });
}

function skipped(reason: Reason): Decision {
  return { outcome: "Skipped", reason, detail: "" };
}

function denied({ reason, detail, cause }: Refusal): Decision {
  return { outcome: "Denied", reason, detail, ...(cause !== undefined && { cause }) };
}
