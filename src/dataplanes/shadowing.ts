import { type Refusal, refuse } from "../decision/refusal.ts";
import { cleanPath, isWithin } from "../kube/mount.ts";
import type { Container } from "../kube/pod.ts";
import { VOLUME_NAME } from "./data-plane.ts";

/** Refuses a mount in the proxy that would hide what the fetcher wrote. */
export function refuseShadowing({ name, volumeMounts }: Container, root: string): Refusal | null {
  const shadow = volumeMounts?.find(mount => {
    const isOurs = mount.name === VOLUME_NAME && cleanPath(mount.mountPath) === cleanPath(root);
    return isWithin(mount.mountPath, root) && !isOurs;
  });
  if (shadow === undefined) return null;
  return refuse(
    "MountShadowed",
    `container ${name} mounts volume ${shadow.name} at ${shadow.mountPath}, and nothing but wasmount's volume may be mounted at or below ${root}`,
  );
}
