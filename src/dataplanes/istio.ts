import { type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import {
  type Attachment,
  type DataPlane,
  HTTP_ONLY,
  type Load,
  type ProxyContainer,
  type ProxyWishes,
  slotLabel,
} from "./data-plane.ts";
import { findIstioProxy } from "./istio-container.ts";
import { type LockedProxies, refuseDetours } from "./istio-detour.ts";
import { HTTP_ONLY_SLOT, slotFilter } from "./istio-slots.ts";
import { statisticsAnnotation } from "./istio-statistics.ts";
import { refuseShadowing } from "./shadowing.ts";

/** How a slot's EnvoyFilter stands in the cluster. */
export type SlotState = "Installed" | "Missing" | "Altered";

/** What the operator has installed for Istio. */
export interface IstioSettings extends LockedProxies {
  /** Istio's root namespace, where the EnvoyFilters of slots stand. */
  readonly rootNamespace: string;
  /** How many filters a pod may have in each phase of each direction. */
  readonly slots: number;
  /** Whether namespaces may let pass what is not HTTP. */
  readonly allowTcp: boolean;
  /**
   * How the EnvoyFilter of a slot, or of {@link HTTP_ONLY_SLOT}, stands.
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
  if (tcpAllowed && !settings.allowTcp) {
    return refuse(
      "TcpForbidden",
      "annotation wasmount.dev/tcp=allow: what is not HTTP would pass unfiltered; the operator's setting is istio.allowTcp",
    );
  }
  const slots = filters.map(({ slot }) => slot);
  const httpOnly = !tcpAllowed && slots.some(slot => slot.startsWith("in-"));
  const refused =
    refuseShadowing(proxy.container, root) ??
    (locked ? refuseDetours(pod, proxy, settings) : null) ??
    refuseSlots(slots, httpOnly, settings);
  if (refused) return refused;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: {
      ...Object.fromEntries(slots.map(slot => [slotLabel(slot), "true"])),
      ...(httpOnly ? { [HTTP_ONLY]: "true" } : {}),
    },
    annotations: statisticsAnnotation(pod),
    proxy: { mounts: [] },
    objects: () =>
      [...slots, ...(httpOnly ? [HTTP_ONLY_SLOT] : [])].map(slot => slotFilter(slot, settings.rootNamespace, root)),
    warnings: [],
  };
}

function refuseSlots(slots: readonly string[], httpOnly: boolean, settings: IstioSettings): Refusal | null {
  const beyond = slots.find(slot => Number(slot.slice(-2)) > settings.slots);
  if (beyond !== undefined) {
    const needed = Math.max(...slots.map(slot => Number(slot.slice(-2))));
    return refuse(
      "SlotsExhausted",
      `slot ${beyond} is asked for, and ${settings.slots} are installed for each phase and direction: the operator's setting istio.slots (of the chart) must be ${needed} at least`,
    );
  }
  for (const slot of httpOnly ? [...slots, HTTP_ONLY_SLOT] : slots) {
    const state = settings.slotState(slot);
    if (state === "Installed") continue;
    const found = state === "Missing" ? "is missing" : "is not as wasmount's chart installs it";
    return refuse("SlotNotInstalled", `EnvoyFilter wasmount-${slot} ${found}: the pod would run unfiltered`);
  }
  return null;
}
