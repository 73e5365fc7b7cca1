import type { OrRefusal } from "../decision/refusal.ts";
import type { Container, ContainerList, Pod, VolumeMount } from "../kube/pod.ts";
import type { DataPlaneName, PlanBootstrap } from "../plan/plan.ts";

/**
 * One kind of proxy: how to find it in a pod, and what to change so that it loads filter files. An adapter is pure:
 * it reads a pod and describes changes, and patch/ turns them into operations.
 */
export interface DataPlane {
  readonly name: DataPlaneName;
  /** The directions whose traffic it can give to a filter. */
  readonly directions: readonly ("inbound" | "outbound" | "gateway")[];
  /** Finds the proxy's container, or says what was looked for. */
  find(pod: Pod, wishes: ProxyWishes): OrRefusal<ProxyContainer>;
  /** Describes how the proxy is made to load the filters below `root`. */
  attach(pod: Pod, proxy: ProxyContainer, wishes: ProxyWishes, root: string): OrRefusal<Attachment>;
}

/** What the pod's author said about the proxy where it can't be told. */
export interface ProxyWishes {
  readonly proxyContainer: string | null;
  readonly proxyConfig: string | null;
}

export interface ProxyContainer {
  readonly list: ContainerList;
  readonly index: number;
  readonly container: Container;
  /** The user and group that the fetcher runs as. */
  readonly uid: number;
  readonly gid: number;
  /** The Envoy release "major.minor" that the image's tag names, or null. */
  readonly envoyVersion: string | null;
}

export interface Attachment {
  /** The bootstrap that the fetcher edits, where the data plane has a static one. */
  readonly bootstrap: PlanBootstrap | null;
  /** Mounts of the pod's own volumes that the fetcher needs, to read the bootstrap. */
  readonly fetcherMounts: readonly VolumeMount[];
  readonly proxy: ProxyChanges;
}

/** What changes in the proxy's container. An absent member leaves it as it is. */
export interface ProxyChanges {
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  /** Mounts to have, each taking the place of one with the same mountPath. */
  readonly mounts: readonly VolumeMount[];
}

/** The names of what admission adds to a pod. */
export const FETCHER_NAME = "wasmount-fetch";
export const VOLUME_NAME = "wasmount";
/** Keeps API tokens out of the fetcher. */
export const TOKEN_VOLUME_NAME = "wasmount-no-token";
export const PULL_SECRETS_VOLUME_NAME = "wasmount-pull-secrets";

export function isOurVolume(name: string): boolean {
  return name === VOLUME_NAME || name === TOKEN_VOLUME_NAME || name === PULL_SECRETS_VOLUME_NAME;
}
