import { isRefusal, type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import type { ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { longRunningNamed } from "./long-running.ts";
import { proxyUser } from "./proxy-user.ts";

/** The container of Envoy in every pod that Kuma's injector changes (pkg/plugins/runtime/k8s/util/names.go). */
export const KUMA_SIDECAR = "kuma-sidecar";
/** The annotation by which Kuma's injector says where Envoy's administration interface listens, on loopback. */
export const KUMA_ADMIN_PORT = "kuma.io/envoy-admin-port";
/** Of Kuma's own gateways. */
const KUMA_GATEWAY = "kuma-gateway";
/** Kuma's default user, whose traffic is not redirected. */
const KUMA_ID = 5678;
/** The first release whose policies select Dataplanes by the labels of their pods. */
const OLDEST_MINOR = 10;
/** The oldest Envoy that releases of Kuma 2.N come with (ENVOY_VERSION of mk/dev.mk). */
const ENVOYS: Readonly<Record<number, string>> = { 10: "1.33", 11: "1.34", 12: "1.35", 13: "1.36", 14: "1.38" };

/** Finds Kuma's Envoy. One that no policy could select by the labels of its pod is refused with the reason. */
export function findKumaProxy(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  if (pod.spec.containers.some(({ name }) => name === KUMA_GATEWAY)) {
    return refuse(
      "ProxyUnsupported",
      `container ${KUMA_GATEWAY} is a built-in gateway of Kuma, which policies select by its MeshGateway, and not by labels of its pod`,
    );
  }
  const found = longRunningNamed(pod, KUMA_SIDECAR);
  if (found === null || (proxyContainer !== null && proxyContainer !== KUMA_SIDECAR)) {
    return refuse("ProxyNotFound", `looked for a container named ${KUMA_SIDECAR}, which Kuma adds`);
  }
  const role = otherRole(pod);
  if (role !== null) return refuse("ProxyUnsupported", role);
  const envoyVersion = releaseOf(found.container.image ?? "");
  if (isRefusal(envoyVersion)) return envoyVersion;
  return {
    ...found,
    ...proxyUser(pod, found.container, KUMA_ID),
    envoyVersion,
    directions: ["inbound", "outbound"],
  };
}

const MESH = "KUMA_DATAPLANE_MESH";
const MESH_LABEL = "kuma.io/mesh";

/**
 * The mesh whose policies the proxy gets: its own word, which Kuma wrote from the labels of pod and namespace. Where that is
 * ambiguous, or is of a mesh without slots, the filters would hang on policies that don't select the proxy.
 * @param meshes those that have slots
 */
export function meshOf(pod: Pod, { container }: ProxyContainer, meshes: readonly string[]): OrRefusal<string> {
  const told = (container.env ?? []).filter(({ name }) => name === MESH);
  if (told.length > 1 || told.some(({ value }) => value === undefined)) {
    return refuse(
      "ProxyUnsupported",
      `container ${container.name} does not say once and plainly which mesh it is of (${MESH})`,
    );
  }
  const label = pod.metadata.labels?.[MESH_LABEL] || undefined;
  const own = told[0]?.value || undefined;
  if (label !== undefined && own !== undefined && label !== own) {
    return refuse(
      "ProxyUnsupported",
      `label ${MESH_LABEL}=${label} is of another mesh than the proxy (${MESH}=${own})`,
    );
  }
  const mesh = own ?? label ?? "default";
  if (meshes.includes(mesh)) return mesh;
  return refuse(
    "ProxyUnsupported",
    `mesh ${mesh} has no slots: the operator's setting kuma.meshes (of the chart) has ${meshes.join(", ")}`,
  );
}

/** What a pod's proxy is beside a sidecar (pod_converter.go), with what it lacks then. */
function otherRole({ metadata: { annotations, labels } }: Pod): string | null {
  const gateway = annotations?.["kuma.io/gateway"];
  if (gateway !== undefined && !["disabled", "false", "no"].includes(gateway)) {
    return `annotation kuma.io/gateway=${gateway}: what a delegated gateway receives does not pass Kuma's proxy, so that nothing would be filtered`;
  }
  const zone = labels?.["k8s.kuma.io/zone-proxy-type"];
  if (zone !== undefined) {
    return `label k8s.kuma.io/zone-proxy-type=${zone}: a zone proxy passes on connections of others, encrypted, and sees no HTTP`;
  }
  return null;
}

/** "1.38" of "docker.io/kumahq/kuma-dp:2.14.3"; null where the tag tells no release, or a new one. */
function releaseOf(image: string): OrRefusal<string | null> {
  const release = /(?:^|\/)kuma-dp:v?(\d{1,2})\.(\d{1,3})(?:[.-][A-Za-z0-9.-]*)?(?:@sha256:[0-9a-f]{64})?$/.exec(image);
  if (release === null) return null;
  const [major, minor] = [Number(release[1]), Number(release[2])];
  if (major < 2 || (major === 2 && minor < OLDEST_MINOR)) {
    return refuse(
      "ProxyUnsupported",
      `container ${KUMA_SIDECAR} is of Kuma ${major}.${minor}, whose policies can't select a proxy by labels of its pod: the first that can is 2.${OLDEST_MINOR}`,
    );
  }
  return (major === 2 ? ENVOYS[minor] : undefined) ?? null;
}
