import type { OrRefusal } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import type { Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { findIstioProxy } from "./istio-container.ts";
import { type LockedProxies, refuseDetours } from "./istio-detour.ts";
import { slotFilter } from "./istio-slots.ts";
import { statisticsAnnotation } from "./istio-statistics.ts";
import { type MeshSlotSettings, podSlots, refuseSlots, refuseTcp, type SlotState } from "./mesh-slots.ts";
import { refuseShadowing } from "./shadowing.ts";

/** What the operator has installed for Istio. */
export interface IstioSettings extends LockedProxies, MeshSlotSettings {
  /** Istio's root namespace, where the EnvoyFilters of slots stand. */
  readonly rootNamespace: string;
  /**
   * How the EnvoyFilter of a slot, or of `HTTP_ONLY_SLOT`, stands.
   * @throws KubeError Unreachable, where that can't be told
   */
  readonly slotState: (slot: string) => SlotState;
}

const INJECT = "sidecar.istio.io/inject";
const REVISION = "istio.io/rev";

/**
 * Istio's Envoy: its listeners come from istiod, so that a filter is attached by an EnvoyFilter that is there before any
 * pod, and selects pods by the label of a slot. A label without its EnvoyFilter would run unfiltered: it is refused.
 */
export function istioDataPlane(settings: IstioSettings): DataPlane {
  return {
    name: "istio",
    find: findIstioProxy,
    expected,
    attach: (pod, proxy, wishes, load) => attach(pod, proxy, wishes, load, settings),
  };
}

/** The labels by which Istio is told to inject, the pod's before its namespace's (pkg/kube/inject, injectRequired). */
function expected({ metadata }: Pod, { name, labels }: Namespace): string | null {
  const own = metadata.labels?.[INJECT] ?? metadata.annotations?.[INJECT];
  if (own === "true") return `${INJECT}=true on the pod`;
  if (own !== undefined) return null;
  if (metadata.labels?.[REVISION] !== undefined) return `label ${REVISION} on the pod`;
  if (labels["istio-injection"] === "enabled") return `label istio-injection=enabled on namespace ${name}`;
  if (labels["istio-injection"] === undefined && labels[REVISION] !== undefined) {
    return `label ${REVISION} on namespace ${name}`;
  }
  return null;
}

function attach(
  pod: Pod,
  proxy: ProxyContainer,
  { tcpAllowed }: ProxyWishes,
  { root, filters, locked }: Load,
  settings: IstioSettings,
): OrRefusal<Attachment> {
  const slots = podSlots(filters, tcpAllowed);
  const refused =
    refuseTcp(tcpAllowed, settings, "istio") ??
    refuseShadowing(proxy.container, root) ??
    (locked ? refuseDetours(pod, proxy, settings) : null) ??
    refuseSlots(slots, settings, "istio", settings.slotState, slot => `EnvoyFilter wasmount-${slot}`);
  if (refused) return refused;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: slots.labels,
    annotations: statisticsAnnotation(pod),
    proxy: { mounts: [] },
    objects: () => slots.needed.map(slot => slotFilter(slot, settings.rootNamespace, root)),
    warnings: [],
  };
}
