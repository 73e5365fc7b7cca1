import { type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { longRunning, type PlacedContainer } from "./long-running.ts";
import { proxyUser } from "./proxy-user.ts";

/** The container of Envoy in every pod that Consul's injector changes; `consul-dataplane-<service>` where a pod has several. */
export const CONSUL_DATAPLANE = "consul-dataplane";
/** Consul's user, whose traffic is not redirected (control-plane/connect-inject/webhook/container_init.go). */
const CONSUL_ID = 5995;
const GATEWAY = "consul.hashicorp.com/gateway-kind";

/**
 * Finds Consul's Envoy. A pod with one for each of several services is refused: a filter can be had for one of them only, and
 * the others would pass the same application's traffic.
 */
export function findConsulProxy(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const [found, ...others] = longRunning(pod).filter(isProxy);
  if (found === undefined || (proxyContainer !== null && proxyContainer !== found.container.name)) {
    return refuse("ProxyNotFound", `looked for a container named ${CONSUL_DATAPLANE}, which Consul adds`);
  }
  const gateway = pod.metadata.annotations?.[GATEWAY];
  if (gateway !== undefined) {
    return refuse(
      "ProxyUnsupported",
      `annotation ${GATEWAY}=${gateway}: Consul's extension builtin/wasm is for sidecars (connect-proxy) alone`,
    );
  }
  if (others.length > 0) {
    const names = [found, ...others].map(({ container }) => container.name).join(", ");
    return refuse(
      "ProxyUnsupported",
      `the pod has one proxy for each of several services (${names}), and filters can be had for one: make it a pod for each, or one service with several ports`,
    );
  }
  return {
    ...found,
    ...proxyUser(pod, found.container, CONSUL_ID),
    // Tags of consul-dataplane tell nothing of the Envoy in it.
    envoyVersion: null,
    directions: ["inbound"],
  };
}

function isProxy({ container: { name } }: PlacedContainer): boolean {
  return name === CONSUL_DATAPLANE || name.startsWith(`${CONSUL_DATAPLANE}-`);
}

const SERVICE = "consul.hashicorp.com/connect-service";
const KUBERNETES_SERVICE = "consul.hashicorp.com/kubernetes-service";
export const SERVICE_ANNOTATIONS = `${SERVICE} or ${KUBERNETES_SERVICE}`;

/**
 * The service that Consul registers the pod as: what its author says, else the name of the Kubernetes Service that selects it,
 * which only Kubernetes knows (endpoints_controller.go, serviceName). Where Consul has ACLs, a proxy may be no other service
 * than the pod's service account. null where the pod does not tell.
 */
export function serviceOf({ metadata: { annotations }, spec }: Pod, { container }: ProxyContainer): string | null {
  if (container.args?.some(argument => argument.startsWith("-login-auth-method=")))
    return spec.serviceAccountName ?? null;
  const told = annotations?.[SERVICE]?.trim() || annotations?.[KUBERNETES_SERVICE]?.trim();
  return told || null;
}

/** The namespace in Consul, where it has any (Enterprise): then services of several namespaces may have one name. */
export function consulNamespaceOf({ container }: ProxyContainer): string | null {
  const flag = "-service-namespace=";
  return container.args?.find(argument => argument.startsWith(flag))?.slice(flag.length) ?? null;
}
