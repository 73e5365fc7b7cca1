import { type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { slotFilter } from "./istio-slots.ts";
import { statisticsAnnotation } from "./istio-statistics.ts";
import { longRunningNamed } from "./long-running.ts";
import { podSlots } from "./mesh-slots.ts";
import { proxyUser } from "./proxy-user.ts";
import { refuseShadowing } from "./shadowing.ts";
import { refuseUnseen } from "./unseen-object.ts";

/** The gateway's container in Higress's chart (helm/core/templates/_pod.tpl). */
export const HIGRESS_GATEWAY = "higress-gateway";
/** The user and group of the gateway, unless a node can't give it low ports otherwise: then it is root. */
const HIGRESS_ID = 1337;
/** With which Envoy each Higress comes (.gitmodules of its releases). */
const ENVOYS: Readonly<Record<string, string>> = { "2.0": "1.27", "2.1": "1.27", "2.2": "1.36" };

/**
 * Higress's gateway. Its control plane is an istiod that reads EnvoyFilters: the same as Istio's gateways have, in the
 * gateway's own namespace, which is the root namespace of its mesh.
 */
export const higressDataPlane: DataPlane = {
  name: "higress",
  find,
  // Its chart writes whole pods.
  expected: () => null,
  attach,
};

function find(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const found = longRunningNamed(pod, HIGRESS_GATEWAY);
  if (found === null || (proxyContainer ?? HIGRESS_GATEWAY) !== HIGRESS_GATEWAY) {
    return refuse("ProxyNotFound", `looked for a container named ${HIGRESS_GATEWAY}, which Higress's chart has`);
  }
  const { container } = found;
  const [kind, role] = container.args ?? [];
  if (kind !== "proxy" || role !== "router") {
    const written = JSON.stringify((container.args ?? []).slice(0, 2));
    return refuse("ProxyUnsupported", `container ${HIGRESS_GATEWAY} has args ${written}: looked for proxy router`);
  }
  return {
    ...found,
    ...proxyUser(pod, container, HIGRESS_ID),
    envoyVersion: releaseOf(container.image ?? ""),
    directions: ["gateway"],
  };
}

function attach(
  pod: Pod,
  proxy: ProxyContainer,
  _wishes: ProxyWishes,
  { root, filters, locked }: Load,
): OrRefusal<Attachment> {
  const refused = refuseShadowing(proxy.container, root) ?? refuseUnseen(locked, "EnvoyFilters");
  if (refused) return refused;
  // A gateway has no inbound slots, and needs no guard of them.
  const { slots, labels } = podSlots(filters, false);
  const { namespace = "higress-system" } = pod.metadata;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels,
    annotations: statisticsAnnotation(pod),
    proxy: { mounts: [] },
    objects: () => slots.map(slot => slotFilter(slot, namespace, root)),
    warnings: [
      `requests pass unfiltered where EnvoyFilters ${slots.map(slot => `wasmount-${slot}`).join(", ")} are not there yet (wasmount attach prints them)`,
    ],
  };
}

/** "1.36" of "registry.example/higress/gateway:2.2.1"; null where the tag tells no release that is known. */
function releaseOf(image: string): string | null {
  const release = /(?:^|\/)gateway:v?(\d{1,2}\.\d{1,2})\.\d{1,3}(?:[-.][A-Za-z0-9.-]*)?(?:@sha256:[0-9a-f]{64})?$/.exec(
    image,
  );
  return ENVOYS[release?.[1] ?? ""] ?? null;
}
