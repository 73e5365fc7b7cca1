import type { Container, Pod } from "../kube/pod.ts";
import type { DataPlaneName } from "../plan/plan.ts";
import { HIGRESS_GATEWAY } from "./higress.ts";
import { istioProxyOf } from "./istio-container.ts";
import { KUMA_ADMIN_PORT } from "./kuma-container.ts";
import { longRunningNamed } from "./long-running.ts";

/** Istio's default (mesh.v1alpha1.ProxyConfig, proxyAdminPort). */
const ISTIO_DEFAULT = 15_000;
/** Envoy Gateway's own, which nothing sets (internal/xds/bootstrap/bootstrap.go, EnvoyAdminPort). */
const ENVOY_GATEWAY = 19_000;

/**
 * The port of loopback on which Envoy's administration interface listens, as a pod's proxy is set up; null where that tells
 * nothing of it, or where Envoy has no version of the filters to tell. A plain Envoy's is read from its bootstrap by the fetcher.
 */
export function adminPortOf(dataPlane: DataPlaneName, pod: Pod): number | null {
  return PORTS[dataPlane](pod);
}

/** Data planes whose Envoys load modules by path: no version comes with those. */
export const VERSIONLESS: ReadonlySet<DataPlaneName> = new Set(["consul", "gloo"]);

const PORTS: Readonly<Record<DataPlaneName, (pod: Pod) => number | null>> = {
  envoy: () => null,
  istio: pod => agentsPort(istioProxyOf(pod)),
  higress: pod => agentsPort(longRunningNamed(pod, HIGRESS_GATEWAY)?.container),
  kuma: ({ metadata: { annotations } }) => portOf(annotations?.[KUMA_ADMIN_PORT]),
  "envoy-gateway": () => ENVOY_GATEWAY,
  consul: () => null,
  gloo: () => null,
};

/** What differs from the defaults of Istio's agent stands in PROXY_CONFIG (mesh.v1alpha1.ProxyConfig). */
function agentsPort(proxy: Container | null | undefined): number | null {
  const written = proxy?.env?.find(({ name }) => name === "PROXY_CONFIG")?.value;
  if (!written) return ISTIO_DEFAULT;
  try {
    const { proxyAdminPort = ISTIO_DEFAULT } = (JSON.parse(written) ?? {}) as { readonly proxyAdminPort?: unknown };
    return portOf(proxyAdminPort);
  } catch {
    return null;
  }
}

function portOf(value: unknown): number | null {
  const port = Number(value);
  return Number.isInteger(port) && port > 0 && port < 65_536 ? port : null;
}
