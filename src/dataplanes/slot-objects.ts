import type { Config } from "../config/config.ts";
import { ENVOY_FILTER_API, isSlotFilter, type StoredFilter, slotFilters } from "./istio-slots.ts";
import { isSlotPatch, MESH_PROXY_PATCH_API, slotPatches } from "./kuma-slots.ts";

/** The objects that stand before any pod and attach filters to a mesh's proxies: where they are, and what they have to be. */
export interface SlotObjects {
  /** The plural of their resource, such as "envoyfilters". */
  readonly resource: "envoyfilters" | "meshproxypatches";
  readonly kind: "EnvoyFilter" | "MeshProxyPatch";
  readonly namespace: string;
  /** Of their collection in the API. */
  readonly path: string;
  /** What has to be there, as far as the operator's configuration tells. */
  readonly names: readonly string[];
  /** Whether an object of the cluster is what wasmount installs under its name. */
  readonly isOurs: (stored: StoredFilter) => boolean;
}

/** The EnvoyFilters of Istio's slots; null where there is no Istio. */
export function istioSlotObjects({ istio, volume }: Pick<Config, "istio" | "volume">): SlotObjects | null {
  if (!istio.enabled) return null;
  const { rootNamespace: namespace, slots } = istio;
  return {
    resource: "envoyfilters",
    kind: "EnvoyFilter",
    namespace,
    path: `/apis/${ENVOY_FILTER_API}/namespaces/${namespace}/envoyfilters`,
    names: slotFilters(namespace, slots, volume.mountPath).map(({ metadata }) => metadata.name),
    isOurs: stored => isSlotFilter(stored, namespace, volume.mountPath),
  };
}

/** The MeshProxyPatches of Kuma's slots; null where there is no Kuma. */
export function kumaSlotObjects({
  kuma,
  dataPlanes,
  volume,
}: Pick<Config, "kuma" | "dataPlanes" | "volume">): SlotObjects | null {
  if (!dataPlanes.includes("kuma")) return null;
  const { systemNamespace: namespace, meshes, slots } = kuma;
  return {
    resource: "meshproxypatches",
    kind: "MeshProxyPatch",
    namespace,
    path: `/apis/${MESH_PROXY_PATCH_API}/namespaces/${namespace}/meshproxypatches`,
    names: meshes.flatMap(mesh =>
      slotPatches(namespace, mesh, slots, volume.mountPath).map(({ metadata }) => metadata.name),
    ),
    isOurs: stored => isSlotPatch(stored, { namespace, root: volume.mountPath }),
  };
}
