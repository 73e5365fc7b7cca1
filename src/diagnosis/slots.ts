import type { Config } from "../config/config.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { dataPlanesOf } from "../dataplanes/data-planes.ts";
import type { SlotState } from "../dataplanes/istio.ts";
import { ENVOY_FILTER_API, isSlotFilter, SLOT_OBJECT_LABEL, slotFilters } from "../dataplanes/istio-slots.ts";
import type { ClusterView } from "./cluster-view.ts";
import { DiagnosisError } from "./error.ts";
import type { KubeObject } from "./kube-object.ts";

/** The EnvoyFilters of slots as they stand in the cluster, by slot. */
export type SlotStates = ReadonlyMap<string, SlotState>;

/** Reads all that the configuration asks for. @throws DiagnosisError RightMissing, Unreachable */
export async function readSlots(cluster: ClusterView, { istio, volume }: Config): Promise<SlotStates> {
  const { rootNamespace, slots } = istio;
  const path = `/apis/${ENVOY_FILTER_API}/namespaces/${rootNamespace}/envoyfilters`;
  const found = new Map<string, SlotState>();
  for (const { metadata } of slotFilters(rootNamespace, slots, volume.mountPath)) {
    found.set(String(metadata.labels[SLOT_OBJECT_LABEL]), "Missing");
  }
  for await (const object of cluster.list<KubeObject & { readonly spec?: unknown }>(path, {
    labelSelector: SLOT_OBJECT_LABEL,
  })) {
    const slot = object.metadata.labels?.[SLOT_OBJECT_LABEL] ?? "";
    if (!found.has(slot) || object.metadata.name !== `wasmount-${slot}`) continue;
    found.set(slot, isSlotFilter(object, rootNamespace, volume.mountPath) ? "Installed" : "Altered");
  }
  return found;
}

/**
 * The data planes that admission would choose between. Where slots may not be read they count as installed: pods are reported
 * on by whoever may read no more than them.
 * @throws DiagnosisError
 */
export async function dataPlanesIn(cluster: ClusterView, config: Config): Promise<readonly DataPlane[]> {
  if (!config.istio.enabled) return dataPlanesOf({ istio: null, named: config.dataPlanes });
  const states = await readSlots(cluster, config).catch(error => {
    if (error instanceof DiagnosisError && error.code === "RightMissing") return null;
    throw error;
  });
  const slotState = (slot: string) => (states === null ? "Installed" : (states.get(slot) ?? "Missing"));
  return dataPlanesOf({ istio: { ...config.istio, slotState }, named: config.dataPlanes });
}
