import { isRefusal, type OrRefusal } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import { refuseAuthorsProxy } from "./authors-proxy.ts";
import type { Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { findKumaProxy, meshOf } from "./kuma-container.ts";
import { patchName, slotPatch } from "./kuma-slots.ts";
import { type MeshSlotSettings, podSlots, refuseSlots, refuseTcp, type SlotState } from "./mesh-slots.ts";
import { refuseShadowing } from "./shadowing.ts";

/** What the operator has installed for Kuma. */
export interface KumaSettings extends MeshSlotSettings {
  /** Where Kuma's control plane runs, and the policies that are for all namespaces stand. */
  readonly systemNamespace: string;
  /** The meshes that have slots. */
  readonly meshes: readonly string[];
  /**
   * How the MeshProxyPatch of a slot, or of HTTP_ONLY_SLOT, stands.
   * @throws KubeError Unreachable, where that can't be told
   */
  readonly slotState: (slot: string, mesh: string) => SlotState;
}

const INJECTION = "kuma.io/sidecar-injection";
const ON = ["enabled", "true"];

/**
 * Kuma's and Kong Mesh's Envoy: its listeners come from kuma-cp, so that a filter is attached by a MeshProxyPatch that is
 * there before any pod, and selects Dataplanes by the label of a slot, which they have from their pods.
 */
export function kumaDataPlane(settings: KumaSettings): DataPlane {
  return {
    name: "kuma",
    find: findKumaProxy,
    expected,
    attach: (pod, proxy, wishes, load) => attach(pod, proxy, wishes, load, settings),
  };
}

/**
 * The label by which Kuma is told to inject, the pod's before its namespace's. A pod's counts only where its namespace has
 * one, whatever it says: Kuma is not asked otherwise (cp-webhooks-and-secrets.yaml).
 */
function expected({ metadata }: Pod, { name, labels }: Namespace): string | null {
  const own = metadata.labels?.[INJECTION];
  const whole = labels[INJECTION];
  if (whole === undefined) return null;
  if (own !== undefined) return ON.includes(own) ? `label ${INJECTION}=${own} on the pod` : null;
  return ON.includes(whole) ? `label ${INJECTION}=${whole} on namespace ${name}` : null;
}

function attach(
  pod: Pod,
  proxy: ProxyContainer,
  { tcpAllowed }: ProxyWishes,
  { root, filters, locked }: Load,
  settings: KumaSettings,
): OrRefusal<Attachment> {
  const forbidden = refuseAuthorsProxy(locked, "Kuma") ?? refuseTcp(tcpAllowed, settings, "kuma");
  if (forbidden) return forbidden;
  const mesh = meshOf(pod, proxy, settings.meshes);
  if (isRefusal(mesh)) return mesh;
  const slots = podSlots(filters, tcpAllowed);
  const refused =
    refuseShadowing(proxy.container, root) ??
    refuseSlots(
      slots,
      settings,
      "kuma",
      slot => settings.slotState(slot, mesh),
      slot => `MeshProxyPatch ${patchName(slot, mesh)} in namespace ${settings.systemNamespace}`,
    );
  if (refused) return refused;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: slots.labels,
    annotations: {},
    proxy: { mounts: [] },
    objects: () => slots.needed.map(slot => slotPatch(slot, { namespace: settings.systemNamespace, mesh, root })),
    warnings: [],
  };
}
