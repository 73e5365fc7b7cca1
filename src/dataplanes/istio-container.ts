import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Container, Pod } from "../kube/pod.ts";
import type { Direction, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { longRunningNamed } from "./long-running.ts";
import { proxyUser } from "./proxy-user.ts";

/** The container of every Envoy that Istio brings: sidecars, native sidecars, gateways, waypoints. */
export const ISTIO_PROXY = "istio-proxy";
/** The user and group of Istio's proxy, which redirection leaves alone (tools/istio-iptables, cni/pkg/plugin). */
const ISTIO_ID = 1337;
/** Istio 1.N comes with Envoy 1.(N + 8): 1.24 with 1.32, 1.28 with 1.36. */
const ENVOY_MINORS_AHEAD = 8;

/**
 * Finds Istio's Envoy, and says which traffic it sees. What has the name and is no Envoy, or one that no static object
 * can select, is refused with the reason.
 */
export function findIstioProxy(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const other = otherProxy(pod);
  if (other !== null) return refuse("ProxyUnsupported", other);
  const found = longRunningNamed(pod, ISTIO_PROXY);
  if (found === null || (proxyContainer !== null && proxyContainer !== ISTIO_PROXY)) {
    return refuse("ProxyNotFound", `looked for a container named ${ISTIO_PROXY}, which Istio adds`);
  }
  const directions = directionsOf(found.container);
  if (isRefusal(directions)) return directions;
  return {
    ...found,
    // The proxy's own user is exempt from redirection, on OpenShift too, where it is the namespace's. Root is not, and
    // may not be the fetcher's: then Istio exempts its customary one (cni/pkg/plugin/sidecar_redirect.go).
    ...proxyUser(pod, found.container, ISTIO_ID),
    envoyVersion: releaseOf(found.container.image ?? ""),
    directions,
  };
}

export function hasIstioProxy(pod: Pod): boolean {
  return longRunningNamed(pod, ISTIO_PROXY) !== null;
}

export function istioProxyOf(pod: Pod): Container | null {
  return longRunningNamed(pod, ISTIO_PROXY)?.container ?? null;
}

/** What Istio puts into pods that is no Envoy at all. */
function otherProxy({ spec }: Pod): string | null {
  const all = [...spec.containers, ...(spec.initContainers ?? [])];
  if (all.some(({ name }) => name === "agentgateway")) {
    return "container agentgateway is no Envoy and runs no Wasm filters: use a Gateway of class istio";
  }
  if (all.some(({ name }) => name === "grpc-bootstrap-init")) {
    return "the pod speaks gRPC to the mesh without a proxy (template grpc-simple), so that nothing could run a filter";
  }
  return null;
}

/** Of `proxy sidecar`, `proxy router`, `proxy waypoint`, `proxy ztunnel` (pilot-agent's arguments). */
function directionsOf({ command, args, env }: Container): OrRefusal<readonly Direction[]> {
  if (env?.some(({ name, value }) => name === "DISABLE_ENVOY" && value === "true")) {
    return refuse(
      "ProxyUnsupported",
      `container ${ISTIO_PROXY} runs no Envoy (DISABLE_ENVOY, template grpc-agent), so that nothing could run a filter`,
    );
  }
  // What an author writes for Istio to complete: a gateway's `image: auto`, or a sidecar's resources.
  if ((args ?? []).length === 0 && (command ?? []).length === 0) {
    return refuse("ProxyNotFound", `container ${ISTIO_PROXY} has no args, which Istio adds`);
  }
  const kind = args?.[0] === "proxy" ? args[1] : undefined;
  switch (kind) {
    case "sidecar":
      return ["inbound", "outbound"];
    case "router":
      return ["gateway"];
    case "waypoint":
      return refuse(
        "ProxyUnsupported",
        "a waypoint takes only EnvoyFilters that name it by targetRefs, none that selects pods by label: filter at a gateway or in sidecars",
      );
    case "ztunnel":
      return refuse("ProxyUnsupported", "ztunnel is no Envoy and runs no Wasm filters: filter at a gateway");
    default:
      return refuse(
        "ProxyUnsupported",
        `container ${ISTIO_PROXY} has args ${JSON.stringify(args?.slice(0, 2) ?? [])}: looked for proxy sidecar or proxy router`,
      );
  }
}

/** "1.36" of "docker.io/istio/proxyv2:1.28.3-distroless"; null where the tag tells no release. */
function releaseOf(image: string): string | null {
  const release = /(?:^|\/)proxyv2:v?1\.(\d{1,2})(?:[.-][A-Za-z0-9.-]*)?(?:@sha256:[0-9a-f]{64})?$/.exec(image);
  return release ? `1.${Number(release[1]) + ENVOY_MINORS_AHEAD}` : null;
}
