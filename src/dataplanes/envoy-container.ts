import { posix } from "node:path";
import { type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Container, ContainerList, Pod } from "../kube/pod.ts";
import { FETCHER_NAME, type ProxyContainer, type ProxyWishes } from "./data-plane.ts";

/** The user "envoy" of the official image. */
const ENVOY_ID = 101;
const NAMES = ["envoy", "envoy-proxy", "envoy-sidecar"];
const LOOKED_FOR = `a container named ${NAMES.join(" or ")}, one whose image is called envoy…, or one whose command is envoy`;
const HINT = "annotate wasmount.dev/proxy-container with the container's name";

interface Candidate {
  readonly list: ContainerList;
  readonly index: number;
  readonly container: Container;
}

/**
 * Finds plain Envoy: by the author's word, else by the container's name, else by its image or command. Native sidecars
 * (init containers that restart always) are searched like containers.
 */
export function findProxy(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const candidates = longRunning(pod);
  const names = candidates.map(({ container }) => container.name).join(", ");
  if (proxyContainer !== null) {
    const named = candidates.find(({ container }) => container.name === proxyContainer);
    if (named) return describe(pod, named);
    return refuse("ProxyNotFound", `wasmount.dev/proxy-container names ${proxyContainer}; the pod has ${names}`);
  }
  const byName = candidates.filter(({ container }) => NAMES.includes(container.name));
  const found = byName.length > 0 ? byName : candidates.filter(({ container }) => isEnvoy(container));
  const [first, ...others] = found;
  if (first === undefined) {
    return refuse("ProxyNotFound", `looked for ${LOOKED_FOR}; the pod has ${names}; ${HINT}`);
  }
  if (others.length > 0) {
    const which = found.map(({ container }) => container.name).join(", ");
    return refuse("ProxyAmbiguous", `${which} may be it; ${HINT}`);
  }
  return describe(pod, first);
}

function longRunning(pod: Pod): Candidate[] {
  const containers = pod.spec.containers.map((container, index) => ({ list: "containers", index, container }) as const);
  const sidecars = (pod.spec.initContainers ?? [])
    .map((container, index) => ({ list: "initContainers", index, container }) as const)
    .filter(({ container }) => container.restartPolicy === "Always" && container.name !== FETCHER_NAME);
  return [...containers, ...sidecars];
}

function isEnvoy({ image = "", command }: Container): boolean {
  return imageName(image).startsWith("envoy") || posix.basename(command?.[0] ?? "") === "envoy";
}

function imageName(image: string): string {
  const repository = image.split("@")[0] ?? "";
  return posix.basename(repository).split(":")[0] ?? "";
}

function describe(pod: Pod, { list, index, container }: Candidate): ProxyContainer {
  const own = container.securityContext;
  const whole = pod.spec.securityContext;
  return {
    list,
    index,
    container,
    // The fetcher must not be root, and a proxy whose user is unknown runs as its image's.
    uid: (own?.runAsUser ?? whole?.runAsUser) || ENVOY_ID,
    gid: (own?.runAsGroup ?? whole?.runAsGroup) || ENVOY_ID,
    envoyVersion: releaseOf(container.image ?? ""),
  };
}

/** "1.33" of "registry.example/envoyproxy/envoy:distroless-v1.33.2", where the image is called envoy. */
function releaseOf(image: string): string | null {
  if (!imageName(image).startsWith("envoy")) return null;
  const release = /:[^/@]*?v?(\d{1,3})\.(\d{1,3})(\.\d{1,3})?(-[^/@]*)?(@|$)/.exec(image);
  return release ? `${release[1]}.${release[2]}` : null;
}
