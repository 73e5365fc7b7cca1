import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod } from "../kube/pod.ts";
import { refuseAuthorsProxy } from "./authors-proxy.ts";
import {
  type Attachment,
  type DataPlane,
  HTTP_ONLY,
  type Load,
  type ProxyContainer,
  type ProxyWishes,
  slotLabel,
} from "./data-plane.ts";
import type { SlotState } from "./istio.ts";
import { HTTP_ONLY_SLOT } from "./istio-slots.ts";
import { findKumaProxy, meshOf } from "./kuma-container.ts";
import { patchName, slotPatch } from "./kuma-slots.ts";
import { refuseShadowing } from "./shadowing.ts";

/** What the operator has installed for Kuma. */
export interface KumaSettings {
  /** Where Kuma's control plane runs, and the policies that are for all namespaces stand. */
  readonly systemNamespace: string;
  /** The meshes that have slots. */
  readonly meshes: readonly string[];
  /** How many filters a pod may have in each phase of each direction. */
  readonly slots: number;
  /** Whether namespaces may let pass what is not HTTP. */
  readonly allowTcp: boolean;
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
  const unlockable = refuseAuthorsProxy(locked, "Kuma");
  if (unlockable) return unlockable;
  if (tcpAllowed && !settings.allowTcp) {
    return refuse(
      "TcpForbidden",
      "annotation wasmount.dev/tcp=allow: what is not HTTP would pass unfiltered; the operator's setting is kuma.allowTcp",
    );
  }
  const mesh = meshOf(pod, proxy, settings.meshes);
  if (isRefusal(mesh)) return mesh;
  const slots = filters.map(({ slot }) => slot);
  const httpOnly = !tcpAllowed && slots.some(slot => slot.startsWith("in-"));
  const needed = httpOnly ? [...slots, HTTP_ONLY_SLOT] : slots;
  const refused =
    refuseShadowing(proxy.container, root) ?? refuseBeyond(slots, settings) ?? refuseMissing(needed, mesh, settings);
  if (refused) return refused;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: {
      ...Object.fromEntries(slots.map(slot => [slotLabel(slot), "true"])),
      ...(httpOnly ? { [HTTP_ONLY]: "true" } : {}),
    },
    annotations: {},
    proxy: { mounts: [] },
    objects: () => needed.map(slot => slotPatch(slot, { namespace: settings.systemNamespace, mesh, root })),
    warnings: [],
  };
}

function refuseBeyond(slots: readonly string[], settings: KumaSettings): Refusal | null {
  const beyond = slots.find(slot => Number(slot.slice(-2)) > settings.slots);
  if (beyond === undefined) return null;
  const needed = Math.max(...slots.map(slot => Number(slot.slice(-2))));
  return refuse(
    "SlotsExhausted",
    `slot ${beyond} is asked for, and ${settings.slots} are installed for each phase and direction: the operator's setting kuma.slots (of the chart) must be ${needed} at least`,
  );
}

function refuseMissing(slots: readonly string[], mesh: string, settings: KumaSettings): Refusal | null {
  for (const slot of slots) {
    const state = settings.slotState(slot, mesh);
    if (state === "Installed") continue;
    const found = state === "Missing" ? "is missing" : "is not as wasmount's chart installs it";
    return refuse(
      "SlotNotInstalled",
      `MeshProxyPatch ${patchName(slot, mesh)} in namespace ${settings.systemNamespace} ${found}: the pod would run unfiltered`,
    );
  }
  return null;
}
