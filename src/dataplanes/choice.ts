import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { DataPlaneName } from "../plan/plan.ts";
import { CONSUL_DATAPLANE, hasConsulProxy } from "./consul-container.ts";
import type { DataPlane, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { hasIstioProxy, ISTIO_PROXY } from "./istio-container.ts";
import { hasKumaProxy, KUMA_SIDECAR } from "./kuma-container.ts";

/** A pod's proxy, and the adapter that knows it. */
export interface FoundProxy {
  readonly dataPlane: DataPlane;
  readonly proxy: ProxyContainer;
}

/**
 * Asks every data plane for its proxy in a pod. Two that find one are not chosen between: the other proxy would run
 * unfiltered. The author's word decides (`wasmount.dev/proxy-container`); where a name could be of several data planes, the
 * first one in the list takes it.
 * @param dataPlanes those with a fixed name for their container before those that take any
 */
export function chooseProxy(pod: Pod, wishes: ProxyWishes, dataPlanes: readonly DataPlane[]): OrRefusal<FoundProxy> {
  const answers = dataPlanes.map(dataPlane => ({ dataPlane, proxy: dataPlane.find(pod, wishes) }));
  const found = answers.flatMap(({ dataPlane, proxy }) => (isRefusal(proxy) ? [] : [{ dataPlane, proxy }]));
  const [first, ...others] = found;
  if (first !== undefined && (others.length === 0 || wishes.proxyContainer !== null)) return first;
  if (first !== undefined) {
    const which = found.map(({ dataPlane, proxy }) => `${proxy.container.name} (${dataPlane.name})`).join(", ");
    return refuse(
      "ProxyAmbiguous",
      `${which} may be it; annotate wasmount.dev/proxy-container with the container's name`,
    );
  }
  const refusals = answers.flatMap(({ proxy }) => (isRefusal(proxy) ? [proxy] : []));
  // One that recognised something knows better than those that found nothing.
  const telling = refusals.find(({ reason }) => reason !== "ProxyNotFound");
  if (telling !== undefined) return telling;
  const unknown = MESHES.filter(({ name, has }) => has(pod) && !dataPlanes.some(dataPlane => dataPlane.name === name));
  return refuse(
    "ProxyNotFound",
    [
      ...refusals.map(({ detail }) => detail),
      ...unknown.map(
        ({ container, owner, setting }) =>
          `container ${container} is ${owner}'s, whose proxies get filters by the operator's setting ${setting}`,
      ),
    ].join("; "),
  );
}

/** Proxies that are told by their container, also where the operator has not named their data plane. */
const MESHES: readonly {
  readonly name: DataPlaneName;
  readonly has: (pod: Pod) => boolean;
  readonly container: string;
  readonly owner: string;
  readonly setting: string;
}[] = [
  { name: "istio", has: hasIstioProxy, container: ISTIO_PROXY, owner: "Istio", setting: "istio.enabled" },
  { name: "kuma", has: hasKumaProxy, container: KUMA_SIDECAR, owner: "Kuma", setting: "dataPlanes (kuma)" },
  { name: "consul", has: hasConsulProxy, container: CONSUL_DATAPLANE, owner: "Consul", setting: "dataPlanes (consul)" },
];
