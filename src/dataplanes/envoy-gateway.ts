import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { releaseOf } from "./envoy-container.ts";
import { type GatewayTarget, patchPolicy } from "./envoy-gateway-policy.ts";
import { longRunningNamed } from "./long-running.ts";
import { proxyUser } from "./proxy-user.ts";
import { refuseShadowing } from "./shadowing.ts";
import { refuseUnseen } from "./unseen-object.ts";

/** The container of the proxies that Envoy Gateway manages (internal/infrastructure/kubernetes/proxy). */
const CONTAINER = "envoy";
const MANAGED_BY = "app.kubernetes.io/managed-by";
const OWNER = "gateway.envoyproxy.io/owning-gateway";
/** "nonroot" of distroless images, which Envoy Gateway names in every pod. */
const NONROOT = 65_532;
const HINT =
  "annotate wasmount.dev/proxy-listeners with the names of the listeners, separated by commas, such as http,https";

/**
 * The proxies that Envoy Gateway manages: their listeners come from it by xDS, and an EnvoyPatchPolicy adds the filters
 * to them. It names each listener, which nothing in the pod tells: the author does.
 */
export const envoyGatewayDataPlane: DataPlane = {
  name: "envoy-gateway",
  find,
  // Its controller writes whole pods.
  expected: () => null,
  attach,
};

function find(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const found = longRunningNamed(pod, CONTAINER);
  const isManaged = pod.metadata.labels?.[MANAGED_BY] === "envoy-gateway" && targetOf(pod) !== null;
  // A bootstrap in a file is the pod author's own.
  const isInline = found?.container.args?.some(arg => arg.startsWith("--config-yaml")) ?? false;
  if (found === null || !isManaged || !isInline || (proxyContainer ?? CONTAINER) !== CONTAINER) {
    return refuse("ProxyNotFound", `looked for a container named ${CONTAINER} in a pod that Envoy Gateway manages`);
  }
  return {
    ...found,
    ...proxyUser(pod, found.container, NONROOT),
    envoyVersion: releaseOf(found.container.image ?? ""),
    directions: ["gateway"],
  };
}

/** Whose listeners the proxy serves: a Gateway's, or with mergeGateways those of all Gateways of a class. */
function targetOf({ metadata: { labels, namespace } }: Pod): GatewayTarget | null {
  const gateway = labels?.[`${OWNER}-name`];
  const gatewayNamespace = labels?.[`${OWNER}-namespace`];
  if (gateway && gatewayNamespace) return { kind: "Gateway", name: gateway, namespace: gatewayNamespace };
  const gatewayClass = labels?.[`${OWNER}class`];
  return gatewayClass ? { kind: "GatewayClass", name: gatewayClass, ...(namespace ? { namespace } : {}) } : null;
}

function attach(
  pod: Pod,
  proxy: ProxyContainer,
  { listeners = [] }: ProxyWishes,
  { root, filters, locked }: Load,
): OrRefusal<Attachment> {
  const refused = refuseShadowing(proxy.container, root) ?? refuseUnseen(locked, "an EnvoyPatchPolicy");
  if (refused) return refused;
  const target = targetOf(pod);
  if (target === null) throw new Error("a pod without an owner was found to be Envoy Gateway's");
  const names = listenerNames(listeners, target);
  if (isRefusal(names)) return names;
  const policy = patchPolicy(target, names, filters, root);
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: {},
    annotations: {},
    proxy: { mounts: [] },
    objects: () => [policy],
    warnings: [
      `requests pass unfiltered until EnvoyPatchPolicy ${policy.metadata.name} is Programmed (wasmount attach prints it), and in other listeners than ${names.join(", ")}`,
    ],
  };
}

/** What Envoy calls the listeners (internal/xds/translator/listener.go): by the Gateway's name, or by port. */
function listenerNames(written: readonly string[], target: GatewayTarget): OrRefusal<readonly string[]> {
  if (written.length === 0) {
    return refuse("ProxyUnsupported", `nothing in the pod names the listeners that are to have the filters: ${HINT}`);
  }
  const isWhole = (name: string) => name.includes("/") || /^(tcp|udp)-\d{1,5}$/.test(name);
  if (target.kind === "Gateway") {
    return written.map(name => (isWhole(name) ? name : `${target.namespace}/${target.name}/${name}`));
  }
  const partial = written.find(name => !isWhole(name));
  if (partial === undefined) return written;
  return refuse(
    "BadValue",
    `annotation wasmount.dev/proxy-listeners names ${partial}, and the proxy serves the Gateways of class ${target.name}: write namespace/gateway/${partial}`,
  );
}
