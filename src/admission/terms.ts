import type { Config } from "../config/config.ts";
import { isRefusal, type OrRefusal } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Plan } from "../plan/plan.ts";
import { fetcherResources } from "./fetcher-resources.ts";
import { registryTerms } from "./registry-terms.ts";
import type { Settings } from "./settings.ts";

/** The parts of a plan that say under which conditions the filters are fetched, whichever they are. */
export type Terms = Pick<Plan, "root" | "limits" | "registries" | "network" | "fetcher"> & {
  /** Where the proxy's image does not tell. */
  readonly envoyVersion: string;
};

/** The terms as this replica's configuration has them, within the namespace's LimitRanges. */
export function termsOf(
  config: Pick<Config, "fetcher" | "volume" | "envoy" | "registries" | "network" | "limits">,
  settings: Settings,
  namespace: Namespace,
): OrRefusal<Terms> {
  const resources = fetcherResources(config.fetcher, settings.resources, namespace.limits ?? []);
  if (isRefusal(resources)) return resources;
  const { image, imagePullPolicy, imagePullSecrets } = config.fetcher;
  const { moduleBytes, manifestBytes, fetchSeconds } = config.limits;
  return {
    root: config.volume.mountPath,
    envoyVersion: config.envoy.version,
    limits: { moduleBytes, manifestBytes, deadlineMs: fetchSeconds * 1000 },
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
