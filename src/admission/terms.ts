import type { Config } from "../config/config.ts";
import { isRefusal, type OrRefusal } from "../decision/refusal.ts";
import type { ContainerLimit } from "../kube/limit-range.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { ResourceRequirements } from "../kube/pod.ts";
import { FETCH_LIMIT_NAMES, FETCH_LIMITS } from "../oci/limits.ts";
import type { Plan, PlanLimits } from "../plan/plan.ts";
import { fetcherResources } from "./fetcher-resources.ts";
import { registryTerms } from "./registry-terms.ts";
import type { Settings } from "./settings.ts";

/** The parts of a plan that say under which conditions the filters are fetched, whichever they are. */
export type Terms = Pick<Plan, "root" | "limits" | "registries" | "network" | "fetcher"> & {
  /** Where the proxy's image does not tell. */
  readonly envoyVersion: string;
};

type TermsConfig = Pick<Config, "fetcher" | "volume" | "envoy" | "registries" | "network" | "limits">;

/** By configuration and by LimitRanges as they are held, neither of which ever changes: for pods without wishes. */
const ordinary = new WeakMap<TermsConfig, WeakMap<readonly ContainerLimit[], OrRefusal<Terms>>>();
/** Without LimitRanges. */
const NONE: readonly ContainerLimit[] = [];

/** The terms as this replica's configuration has them, within the namespace's LimitRanges. */
export function termsOf(
  config: TermsConfig,
  { resources: wishes }: Pick<Settings, "resources">,
  { limits = [] }: Pick<Namespace, "limits">,
): OrRefusal<Terms> {
  if (wishes !== null) return newTerms(config, wishes, limits);
  const among = ordinary.get(config) ?? new WeakMap<readonly ContainerLimit[], OrRefusal<Terms>>();
  ordinary.set(config, among);
  const held = limits.length === 0 ? NONE : limits;
  const known = among.get(held) ?? newTerms(config, null, held);
  among.set(held, known);
  return known;
}

function newTerms(
  config: TermsConfig,
  wishes: ResourceRequirements | null,
  limits: readonly ContainerLimit[],
): OrRefusal<Terms> {
  const resources = fetcherResources(config.fetcher, wishes, limits);
  if (isRefusal(resources)) return resources;
  const { image, imagePullPolicy, imagePullSecrets } = config.fetcher;
  return {
    root: config.volume.mountPath,
    envoyVersion: config.envoy.version,
    limits: planLimits(config.limits),
    ...registryTerms(config),
    fetcher: {
      image,
      imagePullPolicy,
      ...(imagePullSecrets.length > 0 && { imagePullSecrets }),
      resources,
      volumeSize: config.volume.sizeLimit,
    },
  };
}

/** A plan has little room: what the operator left at its default is left out. */
function planLimits(limits: TermsConfig["limits"]): PlanLimits {
  const { moduleBytes, manifestBytes, fetchSeconds } = limits;
  const changed = FETCH_LIMIT_NAMES.filter(name => limits[name] !== FETCH_LIMITS[name]);
  return {
    ...Object.fromEntries(changed.map(name => [name, limits[name]])),
    moduleBytes,
    manifestBytes,
    deadlineMs: fetchSeconds * 1000,
  };
}
