import { type Refusal, refuse } from "../decision/refusal.ts";
import type { Pod } from "../kube/pod.ts";
import { FETCHER_NAME, type ProxyContainer } from "./data-plane.ts";

/** What an operator says of the proxies of locked namespaces. */
export interface LockedProxies {
  /** What the proxy's image has to begin with; none where nothing was said. */
  readonly proxyImages: readonly string[];
  /** "key=value" of annotations that are the mesh's own, not an author's. */
  readonly allowedAnnotations: readonly string[];
}

/** The first annotation that one of the patterns forbids and that is not allowed as it is. */
export function refuseAnnotations(
  { metadata: { annotations } }: Pod,
  forbidden: readonly RegExp[],
  allowed: readonly string[],
): Refusal | null {
  for (const [key, value] of Object.entries(annotations ?? {})) {
    if (!forbidden.some(pattern => pattern.test(key)) || allowed.includes(`${key}=${value}`)) continue;
    return locked(`annotation ${key} changes which traffic reaches the proxy, or what the proxy is: leave it out`);
  }
  return null;
}

export function refuseImage(
  { name, image = "" }: ProxyContainer["container"],
  images: readonly string[],
): Refusal | null {
  if (images.length === 0 || images.some(start => image.startsWith(start))) return null;
  return locked(`container ${name} runs ${image}, and the operator allows ${images.join(", ")}`);
}

/**
 * What runs as the proxy's user is not redirected to the proxy.
 * @param own the mesh's own containers, which may have that user
 */
export function refuseSharedUser(
  { spec }: Pod,
  { uid, container }: ProxyContainer,
  own: readonly string[],
): Refusal | null {
  const names = [container.name, FETCHER_NAME, ...own];
  const other = [...spec.containers, ...(spec.initContainers ?? [])].find(
    ({ name, securityContext }) =>
      !names.includes(name) && (securityContext?.runAsUser ?? spec.securityContext?.runAsUser) === uid,
  );
  if (other === undefined) return null;
  return locked(`container ${other.name} runs as user ${uid}, the proxy's, whose traffic is not redirected`);
}

export function locked(what: string): Refusal {
  return refuse("Locked", what);
}
