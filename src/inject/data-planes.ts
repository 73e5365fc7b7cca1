import type { Config } from "../config/config.ts";
import { NAMED_DATA_PLANES } from "../config/named-data-plane.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { dataPlanesOf } from "../dataplanes/data-planes.ts";
import type { DataPlaneName } from "../plan/plan.ts";

/**
 * The data planes to look for proxies of. Nobody is asked what is installed in a cluster: the operator's configuration says
 * so much, and whoever names one knows.
 * @param only null for all that the configuration has
 */
export function offlineDataPlanes(config: Config, only: DataPlaneName | null): readonly DataPlane[] {
  const istio = config.istio.enabled || only === "istio";
  return dataPlanesOf({
    istio: istio ? { ...config.istio, slotState: () => "Installed" } : null,
    kuma: { ...config.kuma, slotState: () => "Installed" },
    consul: { ...config.consul, serviceState: () => "Attached" },
    named: NAMED_DATA_PLANES.filter(name => name === only || config.dataPlanes.includes(name)),
  }).filter(({ name }) => only === null || name === only);
}
