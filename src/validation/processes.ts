import { FETCHER_NAME, type ProxyContainer } from "../dataplanes/data-plane.ts";
import { type Refusal, refuse } from "../decision/refusal.ts";
import type { Container, Pod } from "../kube/pod.ts";

/**
 * Refuses processes in sight of each other where one could act as the fetcher's user. The mode 0444 of what was verified
 * stops everyone but its owner, and through /proc/<pid>/root an owner reaches the volume as the process <pid> has it
 * mounted: writable in the fetcher.
 *
 * The fetcher runs alone, and every other process comes after it. But it runs again whenever the pod's sandbox is
 * replaced, and a process of its user may trace the proxy and change in memory what was verified on disk. So the rule
 * doesn't lean on the order of containers. Of debugging containers, which join later, a policy asks the same
 * (charts/wasmount/templates/guards/ephemeral-containers.yaml).
 *
 * The proxy has the fetcher's user by design. It has the volume read-only, and what it would do to the filters it could
 * do to itself.
 */
export function refuseSharedProcesses(pod: Pod, proxy: ProxyContainer): Refusal | null {
  if (pod.spec.hostPID === true) {
    return refuse("ProcessesShared", "hostPID is true: the processes of the whole node are in sight of each other");
  }
  if (pod.spec.shareProcessNamespace !== true) return null;
  const others = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].filter(
    container => container !== proxy.container && container.name !== FETCHER_NAME,
  );
  for (const container of others) {
    const why = mayBecome(proxy.uid, container, pod);
    if (why !== null) {
      return refuse("ProcessesShared", `shareProcessNamespace is true, and container ${container.name} ${why}`);
    }
  }
  return null;
}

/**
 * Why a container may have a user's processes, or null where it can't: its user is known and another one, and it has no
 * way to a third. Root becomes anyone (SETUID is among the default capabilities), so do programs with the setuid bit.
 */
function mayBecome(uid: number, { securityContext: own }: Container, { spec }: Pod): string | null {
  const user = own?.runAsUser ?? spec.securityContext?.runAsUser;
  if (user === undefined || user === null) return `may run as user ${uid}, the fetcher's: set runAsUser to another one`;
  if (user === uid) return `runs as user ${uid}, the fetcher's: set runAsUser to another one`;
  if (user === 0) return `runs as root, who can become user ${uid}, the fetcher's: set runAsUser to another one`;
  if (own?.allowPrivilegeEscalation !== false) {
    return `may become root and then user ${uid}, the fetcher's: set allowPrivilegeEscalation to false`;
  }
  return null;
}
