import { posix } from "node:path";
import { type OrRefusal, refuse } from "../decision/refusal.ts";
import type { Container, Pod } from "../kube/pod.ts";
import { FETCHER_NAME, type ProxyContainer, type ProxyWishes } from "./data-plane.ts";
import { longRunning, type PlacedContainer } from "./long-running.ts";
import { proxyUser } from "./proxy-user.ts";

/** The user "envoy" of the official image. */
const ENVOY_ID = 101;
const NAMES = ["envoy", "envoy-proxy", "envoy-sidecar"];
/** What follows "envoy-" in the names of official images, in any combination. */
const VARIANTS = ["alpine", "contrib", "debug", "dev", "distroless", "google", "vrp"];
const LOOKED_FOR = `a container named ${NAMES.join(" or ")}, one of an official image (envoy, envoy-distroless, …), or one whose command is envoy`;
const HINT = "annotate wasmount.dev/proxy-container with the container's name";
/** The first release of upstream Envoy with Wasm is 1.16. */
const OLDEST_MINOR = 16;

/**
 * Finds plain Envoy: by the author's word, else by container name, image or command. Native sidecars (init containers
 * that restart always) are searched like containers. Two that may be it are not chosen between: the other one would run
 * unfiltered.
 */
export function findProxy(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const candidates = longRunning(pod).filter(({ container }) => container.name !== FETCHER_NAME);
  const names = candidates.map(({ container }) => container.name).join(", ");
  if (proxyContainer !== null) {
    const named = candidates.find(({ container }) => container.name === proxyContainer);
    if (named) return describe(pod, named);
    return refuse("ProxyNotFound", `wasmount.dev/proxy-container names ${proxyContainer}; the pod has ${names}`);
  }
  const found = candidates.filter(({ container }) => isEnvoy(container));
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

function isEnvoy({ name, image = "", command }: Container): boolean {
  return NAMES.includes(name) || isOfficialImage(image) || posix.basename(command?.[0] ?? "") === "envoy";
}

/** Whether an image has the name of an official one, in whatever registry. */
export function isOfficialImage(image: string): boolean {
  const [first, ...variants] = nameAndTag(image).name.split("-");
  return first === "envoy" && variants.every(variant => VARIANTS.includes(variant));
}

/** "envoy" and "v1.33.2" of "registry.example:5000/envoyproxy/envoy:v1.33.2@sha256:…". */
function nameAndTag(image: string): { name: string; tag: string } {
  const last = image.slice(image.lastIndexOf("/") + 1).split("@", 1)[0] ?? "";
  const colon = last.indexOf(":");
  return colon < 0 ? { name: last, tag: "" } : { name: last.slice(0, colon), tag: last.slice(colon + 1) };
}

function describe(pod: Pod, { list, index, container }: PlacedContainer): OrRefusal<ProxyContainer> {
  const envoyVersion = releaseOf(container.image ?? "");
  if (envoyVersion !== null && Number(envoyVersion.slice(2)) < OLDEST_MINOR) {
    const found = `container ${container.name} runs Envoy ${envoyVersion}`;
    return refuse("ProxyTooOld", `${found}, and the first that runs Wasm filters is 1.${OLDEST_MINOR}`);
  }
  return {
    list,
    index,
    container,
    // The fetcher must not be root, and a proxy whose user is unknown runs as its image's.
    ...proxyUser(pod, container, ENVOY_ID),
    envoyVersion,
    // Nothing in a static bootstrap says whose traffic a listener takes: all listeners get the filters.
    directions: ["inbound"],
  };
}

/** "1.33" of the tag "v1.33.2" or "distroless-v1.33-latest" of an official image; null where it tells no release. */
export function releaseOf(image: string): string | null {
  const { tag } = nameAndTag(image);
  if (!isOfficialImage(image)) return null;
  const release = /^(?:[a-z]+-){0,3}v?1\.(\d{1,3})(?:\.\d{1,3})?(?:-[a-z0-9.-]*)?$/.exec(tag);
  return release ? `1.${release[1]}` : null;
}
