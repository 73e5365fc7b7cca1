import { parse } from "yaml";
import type { Refusal } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { ProxyContainer } from "./data-plane.ts";
import { type LockedProxies, locked, refuseAnnotations, refuseImage, refuseSharedUser } from "./detour.ts";

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
const CONFIG = "traffic.kuma.io/transparent-proxy-config";
/** Of connections that need not reach Envoy: kuma-dp's own, which asks the application's probes. */
const PROBE_PORT = "9001";
const EXCLUDED = "traffic.kuma.io/exclude-inbound-ports=";

/** What makes redirection, or checks what the node's CNI made. */
const KUMA_INIT = ["kuma-init", "kuma-validation"];
const COMMAND = /^\/usr\/bin\/kumactl install transparent-proxy(-validator)?$/;
/** Its arguments that leave nothing out. */
const ARGUMENTS: readonly RegExp[] = [
  /^--(verbose|redirect-all-dns-traffic)(=true)?$/,
  /^--(config-file|config|transparent-proxy-config)=\/tmp\/(\.kumactl|transparent-proxy\/base\/config\.yaml)$/,
  /^--redirect-(dns|inbound|outbound)-port=\d{1,5}$/,
  /^--ip-family-mode=dualstack$/,
];

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
  const excluded = allowedAnnotations.flatMap(text =>
    text.startsWith(EXCLUDED) ? text.slice(EXCLUDED.length).split(",") : [],
  );
  const ports = [PROBE_PORT, ...excluded];
  return (
    refuseImage(proxy.container, proxyImages) ??
    refuseInit(pod, proxy, ports, proxyImages) ??
    refuseConfig(pod.metadata.annotations?.[CONFIG], ports) ??
    refuseSharedUser(pod, proxy, KUMA_INIT)
  );
}

/** Kuma leaves alone a pod that has a container kuma-sidecar already, and who wrote that may have left out the rest. */
function refuseInit(
  { spec }: Pod,
  { uid }: ProxyContainer,
  ports: readonly string[],
  proxyImages: readonly string[],
): Refusal | null {
  const init = spec.initContainers?.find(({ name }) => KUMA_INIT.includes(name));
  if (init === undefined)
    return locked(`there is no container ${KUMA_INIT.join(" or ")}: nothing leads traffic to the proxy`);
  if (!COMMAND.test((init.command ?? []).join(" ")))
    return locked(`container ${init.name} has a command that is not Kuma's`);
  const unknown = (init.args ?? []).find(
    argument =>
      !ARGUMENTS.some(pattern => pattern.test(argument)) &&
      argument !== `--kuma-dp-user=${uid}` &&
      !excludesNothingElse(argument, ports),
  );
  if (unknown !== undefined)
    return locked(`container ${init.name} has argument ${unknown}, which may lead around the proxy`);
  // Both come from one registry: kumahq/kuma-dp beside kumahq/kuma-init.
  const beside = proxyImages.map(image => image.replace(/kuma-dp(?=[:@]|$)/, "kuma-init"));
  return refuseImage(init, [...proxyImages, ...beside]);
}

function excludesNothingElse(argument: string, ports: readonly string[]): boolean {
  const [flag, value = ""] = argument.split("=", 2);
  return flag === "--exclude-inbound-ports" && value.split(",").every(port => ports.includes(port));
}

/** What kuma-init reads of redirection, which Kuma's injection wrote (pkg/transparentproxy/config). */
function refuseConfig(text: string | undefined, ports: readonly string[]): Refusal | null {
  if (text === undefined) return null;
  const inbound = inboundOf(text);
  if (inbound === null) return locked(`annotation ${CONFIG} can't be read`);
  const { enabled = true, excludePorts = "", excludePortsForIPs = [] } = inbound;
  const left = (Array.isArray(excludePorts) ? excludePorts : String(excludePorts).split(","))
    .map(port => String(port).trim())
    .filter(port => port !== "" && !ports.includes(port));
  if (enabled === false) return locked(`annotation ${CONFIG}: inbound connections are not redirected`);
  if (left.length > 0 || (Array.isArray(excludePortsForIPs) && excludePortsForIPs.length > 0)) {
    return locked(
      `annotation ${CONFIG} leaves inbound connections out: ports ${left.join(", ") || "of some addresses"}`,
    );
  }
  return null;
}

interface Inbound {
  readonly enabled?: unknown;
  readonly excludePorts?: unknown;
  readonly excludePortsForIPs?: unknown;
}

function inboundOf(text: string): Inbound | null {
  try {
    const document = parse(text, { maxAliasCount: 0 });
    return document?.redirect?.inbound ?? {};
  } catch {
    return null;
  }
}
