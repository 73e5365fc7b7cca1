import type { Config } from "../config/config.ts";
import type { ConsulSettings } from "../dataplanes/consul.ts";
import {
  readServiceDefaults,
  SERVICE_DEFAULTS_PATH,
  type StoredServiceDefaults,
  stateAmong,
} from "../dataplanes/consul-service.ts";
import type { DataPlane } from "../dataplanes/data-plane.ts";
import { dataPlanesOf } from "../dataplanes/data-planes.ts";
import { SLOT_OBJECT_LABEL } from "../dataplanes/istio-slots.ts";
import { patchName } from "../dataplanes/kuma-slots.ts";
import type { SlotState } from "../dataplanes/mesh-slots.ts";
import { istioSlotObjects, kumaSlotObjects, type SlotObjects } from "../dataplanes/slot-objects.ts";
import type { ClusterView, ListQuery } from "./cluster-view.ts";
import { DiagnosisError } from "./error.ts";
import type { KubeObject } from "./kube-object.ts";

/** The objects of slots as they stand in the cluster, by name. */
export type SlotStates = ReadonlyMap<string, SlotState>;

/** Objects of a mesh; none where the cluster does not know their kind, since the mesh is not there. */
async function* objectsThere<Item>(cluster: ClusterView, path: string, query: ListQuery = {}): AsyncGenerator<Item> {
  try {
    yield* cluster.list<Item>(path, query);
  } catch (error) {
    if (!(error instanceof DiagnosisError) || error.code !== "NotFound") throw error;
  }
}

/** Reads all that the configuration asks for. @throws DiagnosisError RightMissing, Unreachable */
export async function readSlots(cluster: ClusterView, { path, names, isOurs }: SlotObjects): Promise<SlotStates> {
  const found = new Map<string, SlotState>(names.map(name => [name, "Missing"]));
  const query = { labelSelector: SLOT_OBJECT_LABEL };
  for await (const object of objectsThere<KubeObject & { readonly spec?: unknown }>(cluster, path, query)) {
    const { name } = object.metadata;
    if (found.has(name)) found.set(name, isOurs(object) ? "Installed" : "Altered");
  }
  return found;
}

/**
 * The data planes that admission would choose between. Where slots may not be read they count as installed: pods are reported
 * on by whoever may read no more than them.
 * @throws DiagnosisError
 */
export async function dataPlanesIn(cluster: ClusterView, config: Config): Promise<readonly DataPlane[]> {
  const stateIn = async (objects: SlotObjects | null) => {
    if (objects === null) return (): SlotState => "Missing";
    const states = await readSlots(cluster, objects).catch(error => {
      if (error instanceof DiagnosisError && error.code === "RightMissing") return null;
      throw error;
    });
    return (name: string): SlotState => (states === null ? "Installed" : (states.get(name) ?? "Missing"));
  };
  const istio = await stateIn(istioSlotObjects(config));
  const kuma = await stateIn(kumaSlotObjects(config));
  return dataPlanesOf({
    istio: config.istio.enabled ? { ...config.istio, slotState: slot => istio(`wasmount-${slot}`) } : null,
    kuma: { ...config.kuma, slotState: (slot, mesh) => kuma(patchName(slot, mesh)) },
    consul: { ...config.consul, serviceState: await serviceStateIn(cluster, config) },
    named: config.dataPlanes,
  });
}

async function serviceStateIn(
  cluster: ClusterView,
  { dataPlanes, consul }: Config,
): Promise<ConsulSettings["serviceState"]> {
  if (!dataPlanes.includes("consul") || !consul.watchServiceDefaults) return null;
  const stored: StoredServiceDefaults[] = [];
  try {
    for await (const object of objectsThere<KubeObject>(cluster, SERVICE_DEFAULTS_PATH)) {
      stored.push(readServiceDefaults(object));
    }
  } catch (error) {
    if (error instanceof DiagnosisError && error.code === "RightMissing") return () => "Attached";
    throw error;
  }
  return (wanted, namespace) => stateAmong(stored, wanted, namespace);
}
