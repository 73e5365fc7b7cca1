import type { Refusal } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { ProxyContainer } from "./data-plane.ts";
import { type LockedProxies, locked, refuseAnnotations, refuseImage, refuseSharedUser } from "./detour.ts";
import { KUMA_INIT, refuseRedirection } from "./kuma-redirection.ts";

/**
 * Annotations by which a pod's author changes what reaches the proxy, or what the proxy is
 * (pkg/plugins/runtime/k8s/metadata/annotations.go).
 */
const ANNOTATIONS: readonly RegExp[] = [
  /^traffic\.kuma\.io\/exclude-/,
  /^traffic\.kuma\.io\/transparent-proxy-configmap-name$/,
  /^kuma\.io\/transparent-proxying/,
  /^kuma\.io\/(sidecar-uid|sidecar-env-vars|container-patches|application-probe-proxy-port)$/,
  /^kuma\.io\/(direct-access-services|reachable-backends|gateway)$/,
  /^k8s\.v1\.cni\.cncf\.io\/networks$/,
];

/** What Kuma's own injection writes of these where neither the author nor the operator said anything. */
const INJECTED = [
  "kuma.io/transparent-proxying=enabled",
  "kuma.io/transparent-proxying-inbound-port=15006",
  "kuma.io/transparent-proxying-outbound-port=15001",
  "kuma.io/transparent-proxying-ip-family-mode=dualstack",
  "kuma.io/transparent-proxying-ebpf=disabled",
  "kuma.io/application-probe-proxy-port=9001",
  "k8s.v1.cni.cncf.io/networks=kuma-cni",
];

const INJECTION = "kuma.io/sidecar-injection";

/**
 * Refuses what would lead a locked namespace's traffic around the filters: fields of the pod that its author controls.
 * Policies of Kuma, Services and Meshes are for those who may write them, and beyond this.
 */
export function refuseKumaDetours(
  pod: Pod,
  proxy: ProxyContainer,
  { proxyImages, allowedAnnotations }: LockedProxies,
): Refusal | null {
  const own = `kuma.io/sidecar-uid=${proxy.uid}`;
  const annotated = refuseAnnotations(pod, ANNOTATIONS, [...INJECTED, own, ...allowedAnnotations]);
  if (annotated) return annotated;
  const injection = pod.metadata.labels?.[INJECTION];
  if (injection !== undefined && injection !== "enabled" && injection !== "true") {
    return locked(`label ${INJECTION}=${injection}: the proxy is not the one that Kuma injects`);
  }
  const init = pod.spec.initContainers?.find(({ name }) => KUMA_INIT.includes(name));
  // kumahq/kuma-init comes with kumahq/kuma-dp.
  const images = [...proxyImages, ...proxyImages.map(image => image.replace(/kuma-dp(?=[:@]|$)/, "kuma-init"))];
  return (
    refuseImage(proxy.container, proxyImages) ??
    refuseRedirection(pod, proxy, allowedAnnotations) ??
    (init === undefined ? null : refuseImage(init, images)) ??
    refuseSharedUser(pod, proxy, KUMA_INIT)
  );
}
