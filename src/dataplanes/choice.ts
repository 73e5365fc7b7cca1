import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { DataPlaneName } from "../plan/plan.ts";
import type { DataPlane, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { namedDataPlanes } from "./data-planes.ts";
import { hasIstioProxy, ISTIO_PROXY } from "./istio-container.ts";

/** A pod's proxy, and the adapter that knows it. */
export interface FoundProxy {
  readonly dataPlane: DataPlane;
  readonly proxy: ProxyContainer;
}

/**
 * Asks every data plane for its proxy in a pod. Two that find different ones are not chosen between: the other proxy
 * would run unfiltered; nor is a proxy that can't be filtered passed over for another. The author's word decides (`wasmount.dev/proxy-container`); where one container could be of several data
 * planes, the first one in the list takes it.
 * @param dataPlanes those with a fixed name for their container before those that take any
 */
export function chooseProxy(pod: Pod, wishes: ProxyWishes, dataPlanes: readonly DataPlane[]): OrRefusal<FoundProxy> {
  const answers = dataPlanes.map(dataPlane => ({ dataPlane, proxy: dataPlane.find(pod, wishes) }));
  const found = answers.flatMap(({ dataPlane, proxy }) => (isRefusal(proxy) ? [] : [{ dataPlane, proxy }]));
  const [first, ...others] = found;
  const unnamed = namedDataPlanes
    .filter(({ name }) => !dataPlanes.some(present => present.name === name))
    .flatMap(({ name, find }) => {
      const proxy = find(pod, wishes);
      return isRefusal(proxy) ? [] : [{ container: proxy.container, hint: unnamedHint(proxy.container.name, name) }];
    });
  const taken = unnamed.find(({ container }) => container === first?.proxy.container);
  // What its platform configures is no plain Envoy.
  if (taken !== undefined) return refuse("ProxyUnsupported", taken.hint);
  const refusals = answers.flatMap(({ proxy }) => (isRefusal(proxy) ? [proxy] : []));
  // One that recognised something knows better than those that found nothing, and what it may not filter runs beside the rest.
  const telling = refusals.find(({ reason }) => reason !== "ProxyNotFound");
  if (telling !== undefined && (first === undefined || wishes.proxyContainer === null)) return telling;
  const isOne = others.every(({ proxy }) => proxy.container === first?.proxy.container);
  if (first !== undefined && (isOne || wishes.proxyContainer !== null)) return first;
  if (first !== undefined) {
    const which = found.map(({ dataPlane, proxy }) => `${proxy.container.name} (${dataPlane.name})`).join(", ");
    return refuse(
      "ProxyAmbiguous",
      `${which} may be it; annotate wasmount.dev/proxy-container with the container's name`,
    );
  }
  const unknown = hasIstioProxy(pod) && !dataPlanes.some(({ name }) => name === "istio");
  const istio = unknown
    ? [`container ${ISTIO_PROXY} is Istio's, whose proxies get filters by the operator's setting istio.enabled`]
    : [];
  const hints = [...istio, ...unnamed.map(({ hint }) => hint)];
  return refuse("ProxyNotFound", [...refusals.map(({ detail }) => detail), ...hints].join("; "));
}

function unnamedHint(container: string, dataPlane: DataPlaneName): string {
  return `container ${container} is of data plane ${dataPlane}, whose proxies get filters where the operator's setting dataPlanes names it`;
}
