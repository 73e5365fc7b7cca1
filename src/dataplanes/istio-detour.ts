import { type Refusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import { FETCHER_NAME, type ProxyContainer } from "./data-plane.ts";
import { ISTIO_PROXY } from "./istio-container.ts";

/** What an operator says of the proxies of locked namespaces. */
export interface LockedProxies {
  /** What the proxy's image has to begin with; none where nothing was said. */
  readonly proxyImages: readonly string[];
  /** "key=value" of annotations that are the mesh's own, not an author's. */
  readonly allowedAnnotations: readonly string[];
}

/** Annotations by which a pod's author changes what reaches the proxy, or what the proxy is (istio.io/latest/docs/reference/config/annotations). */
const ANNOTATIONS: readonly RegExp[] = [
  /^traffic\.sidecar\.istio\.io\//,
  /^istio\.io\/reroute-virtual-interfaces$/,
  /^sidecar\.istio\.io\/(interceptionMode|bootstrapOverride|proxyImage|userVolume|userVolumeMount)$/,
  /^inject\.istio\.io\/templates$/,
  /^proxy\.istio\.io\/config$/,
  /^ambient\.istio\.io\//,
];

/** What Istio's own injection writes of these under CNI, where neither the author nor the mesh said anything. */
const INJECTED = [
  "sidecar.istio.io/interceptionMode=REDIRECT",
  "traffic.sidecar.istio.io/includeInboundPorts=*",
  "traffic.sidecar.istio.io/excludeInboundPorts=15020",
  "traffic.sidecar.istio.io/includeOutboundIPRanges=*",
];

const INJECT = "sidecar.istio.io/inject";

/**
 * Refuses what would lead a locked namespace's traffic around the filters: fields of the pod that its author controls.
 * Objects of Istio (EnvoyFilter, Sidecar, PeerAuthentication) are for those who may write them, and beyond this.
 */
export function refuseDetours(
  pod: Pod,
  proxy: ProxyContainer,
  { proxyImages, allowedAnnotations }: LockedProxies,
): Refusal | null {
  const { annotations, labels } = pod.metadata;
  const annotated = refuseAnnotations(annotations, allowedAnnotations);
  if (annotated) return annotated;
  const isSidecar = proxy.directions.includes("inbound");
  const switches: readonly (readonly [string, string | undefined])[] = [
    ["label", labels?.[INJECT]],
    ["annotation", annotations?.[INJECT]],
  ];
  const off = switches.find(([, value]) => value !== undefined && value !== "true");
  if (isSidecar && off) return locked(`${off[0]} ${INJECT}=${off[1]}: the proxy is not the one that Istio injects`);
  return (
    refuseOverrides(annotations?.["proxy.istio.io/overrides"]) ??
    refuseImage(proxy.container, proxyImages) ??
    (isSidecar ? refuseSharedUser(pod, proxy) : null)
  );
}

/** The first annotation that leads elsewhere and that neither Istio nor the operator says. */
function refuseAnnotations(annotations: Pod["metadata"]["annotations"], allowed: readonly string[]): Refusal | null {
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!ANNOTATIONS.some(pattern => pattern.test(key))) continue;
    if (INJECTED.includes(`${key}=${value}`) || allowed.includes(`${key}=${value}`)) continue;
    return locked(`annotation ${key} changes which traffic reaches the proxy, or what the proxy is: leave it out`);
  }
  return null;
}

/** What the author's own container istio-proxy laid over the injected one, as Istio keeps it. */
function refuseOverrides(overrides: string | undefined): Refusal | null {
  if (overrides === undefined) return null;
  const own = overriddenMembers(overrides).filter(member => member !== "name" && member !== "resources");
  if (own.length === 0) return null;
  return locked(`the pod declares a container ${ISTIO_PROXY} with ${own.join(", ")}: only resources are allowed`);
}

function overriddenMembers(text: string): string[] {
  try {
    const { containers = [], initContainers = [] } = JSON.parse(text) as Readonly<Record<string, readonly object[]>>;
    return [...containers, ...initContainers].flatMap(container =>
      Object.entries(container).flatMap(([member, value]) => (isEmpty(value) ? [] : [member])),
    );
  } catch {
    return ["what can't be read"];
  }
}

/** Istio marshals a container whole: members that Go does not leave out when empty. */
function isEmpty(value: unknown): boolean {
  return value === null || value === "" || (typeof value === "object" && Object.keys(value).length === 0);
}

function refuseImage({ name, image = "" }: ProxyContainer["container"], images: readonly string[]): Refusal | null {
  if (images.length === 0 || images.some(start => image.startsWith(start))) return null;
  return locked(`container ${name} runs ${image}, and the operator allows ${images.join(", ")}`);
}

/** Istio's own init containers, which may have the proxy's user. */
const ISTIO_INIT = ["istio-init", "istio-validation", "enable-core-dump"];

/** What runs as the proxy's user is not redirected to the proxy. */
function refuseSharedUser({ spec }: Pod, { uid, container }: ProxyContainer): Refusal | null {
  // Istio's own end before the application begins: what runs beside it by such a name is not Istio's.
  const lasting = [...spec.containers, ...(spec.initContainers ?? []).filter(one => one.restartPolicy === "Always")];
  const ending = (spec.initContainers ?? []).filter(({ name }) => name !== FETCHER_NAME && !ISTIO_INIT.includes(name));
  const other = [...lasting, ...ending].find(
    ({ name, securityContext }) =>
      name !== container.name && (securityContext?.runAsUser ?? spec.securityContext?.runAsUser) === uid,
  );
  if (other === undefined) return null;
  return locked(`container ${other.name} runs as user ${uid}, the proxy's, whose traffic is not redirected`);
}

function locked(what: string): Refusal {
  return refuse("Locked", what);
}
