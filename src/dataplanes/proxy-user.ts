import type { Container, Pod } from "../kube/pod.ts";
import type { ProxyContainer } from "./data-plane.ts";

/**
 * Whom the fetcher runs as: the proxy's user and group. Where they are root, which the fetcher must not be, or nobody says,
 * the data plane's own stands in for each.
 */
export function proxyUser(
  { spec }: Pod,
  { securityContext: own }: Container,
  id: number,
): Pick<ProxyContainer, "uid" | "gid"> {
  const whole = spec.securityContext;
  return {
    uid: (own?.runAsUser ?? whole?.runAsUser) || id,
    gid: (own?.runAsGroup ?? whole?.runAsGroup) || id,
  };
}
