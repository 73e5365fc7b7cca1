import type { Refusal } from "../decision/refusal.ts";
import type { Container, Pod } from "../kube/pod.ts";
import type { ProxyContainer } from "./data-plane.ts";
import { type LockedProxies, locked, refuseAnnotations, refuseImage, refuseSharedUser } from "./detour.ts";

const PREFIX = "consul.hashicorp.com/";
/**
 * Annotations by which a pod's author changes what reaches the proxy, or what the proxy is
 * (control-plane/connect-inject/constants/annotations_and_labels.go).
 */
const ANNOTATIONS: readonly RegExp[] = [
  /^consul\.hashicorp\.com\/transparent-proxy(-exclude-[a-z-]+)?$/,
  /^consul\.hashicorp\.com\/(proxy-config-map|envoy-extra-args|prometheus-scrape-port)$/,
  /^consul\.hashicorp\.com\/(consul-sidecar-user-volume|consul-sidecar-user-volume-mount|connect-inject-mount-volume)$/,
  /^k8s\.v1\.cni\.cncf\.io\/networks$/,
];
const HARMLESS = [`${PREFIX}transparent-proxy=true`];

const INIT = "consul-connect-inject-init";
const EXCLUDED = `${PREFIX}transparent-proxy-exclude-inbound-ports=`;
/** Where iptables' configuration stands: in the init container, or, for CNI, in an annotation (redirect_traffic.go). */
const REDIRECTION = "CONSUL_REDIRECT_TRAFFIC_CONFIG";
const CNI_REDIRECTION = `${PREFIX}redirect-traffic-config`;
/** Ports that Envoy itself listens on: of metrics, of its own health, and, from these on, of the application's probes. */
const ENVOYS_PORTS = [20_200, 21_000];
const PROBE_PORTS = [20_300, 20_400, 20_500];
const PROBES = 100;

/**
 * Refuses what would lead a locked namespace's traffic around the filters: fields of the pod that its author controls. What a
 * ServiceDefaults says is for those who may write it, and beyond this.
 */
export function refuseConsulDetours(
  pod: Pod,
  proxy: ProxyContainer,
  { proxyImages, allowedAnnotations }: LockedProxies,
): Refusal | null {
  const { annotations } = pod.metadata;
  const annotated = refuseAnnotations(pod, ANNOTATIONS, [...HARMLESS, ...allowedAnnotations]);
  if (annotated) return annotated;
  if (annotations?.[`${PREFIX}transparent-proxy-status`] !== "enabled") {
    return locked(
      "Consul's transparent proxy is off: the application can be reached past its proxy (label consul.hashicorp.com/transparent-proxy=true on the namespace)",
    );
  }
  const allowed = allowedAnnotations.flatMap(text =>
    text.startsWith(EXCLUDED) ? text.slice(EXCLUDED.length).split(",") : [],
  );
  return (
    refuseImage(proxy.container, proxyImages) ??
    refuseRedirection(pod, proxy, allowed) ??
    refuseSharedUser(pod, proxy, [INIT])
  );
}

/**
 * Consul leaves alone a pod that says it was injected, and who wrote that may have written the rest, too. So what redirects
 * traffic is read, not believed.
 */
function refuseRedirection(pod: Pod, proxy: ProxyContainer, allowed: readonly string[]): Refusal | null {
  const init = pod.spec.initContainers?.find(({ name }) => name === INIT);
  if (init === undefined) return locked(`there is no container ${INIT}: nothing leads traffic to the proxy`);
  const written = redirectionOf(pod, init);
  if (written === null) return locked(`container ${INIT} does not say what is redirected (${REDIRECTION})`);
  const config = readRedirection(written);
  if (config === null) return locked(`what container ${INIT} redirects can't be read`);
  const ports = (config.ExcludeInboundPorts ?? []).map(String);
  const left = ports.filter(port => !isEnvoys(Number(port)) && !allowed.includes(port));
  if (left.length > 0) return locked(`inbound ports ${left.join(", ")} are not redirected to the proxy`);
  if (Number(config.ProxyUserID) !== proxy.uid)
    return locked(`traffic of user ${config.ProxyUserID} is not redirected`);
  return null;
}

function redirectionOf({ metadata: { annotations } }: Pod, init: Container): string | null {
  return init.env?.find(({ name }) => name === REDIRECTION)?.value ?? annotations?.[CNI_REDIRECTION] ?? null;
}

interface Redirection {
  readonly ProxyUserID?: unknown;
  readonly ExcludeInboundPorts?: readonly unknown[] | null;
}

function readRedirection(text: string): Redirection | null {
  try {
    const config = JSON.parse(text) as Redirection | null;
    const ports = config?.ExcludeInboundPorts ?? [];
    return config !== null && typeof config === "object" && Array.isArray(ports) ? config : null;
  } catch {
    return null;
  }
}

function isEnvoys(port: number): boolean {
  return ENVOYS_PORTS.includes(port) || PROBE_PORTS.some(first => port >= first && port < first + PROBES);
}
