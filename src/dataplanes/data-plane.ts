import type { OrRefusal } from "../decision/refusal.ts";
import type { Namespace } from "../kube/namespace.ts";
import type { Pod, VolumeMount } from "../kube/pod.ts";
import type { DataPlaneName, PlanBootstrap, PlanFilter } from "../plan/plan.ts";
import type { AttachingObject } from "./attaching-object.ts";
import type { PlacedContainer } from "./long-running.ts";

/** Whose traffic a filter sees. */
export type Direction = "inbound" | "outbound" | "gateway";

/** How the names of slots begin. */
export const SLOT_DIRECTIONS = { inbound: "in", outbound: "out", gateway: "gw" } as const satisfies Record<
  Direction,
  string
>;

/**
 * One kind of proxy: how to find it in a pod, and what to change so that it loads filter files. An adapter is pure:
 * it reads a pod and describes changes, and patch/ turns them into operations.
 */
export interface DataPlane {
  readonly name: DataPlaneName;
  /** Finds the proxy's container, or says what was looked for. */
  find(pod: Pod, wishes: ProxyWishes): OrRefusal<ProxyContainer>;
  /**
   * By which sign another webhook is known to add this proxy to the pod later, such as "label istio-injection=enabled on
   * namespace shop"; null where there is none.
   */
  expected(pod: Pod, namespace: Namespace): string | null;
  /** Describes how the proxy is made to load the filters. */
  attach(pod: Pod, proxy: ProxyContainer, wishes: ProxyWishes, load: Load): OrRefusal<Attachment>;
}

/** What a proxy is to be given. */
export interface Load {
  /** Absolute path of the shared volume. */
  readonly root: string;
  /** The filters, each with the slot that it fills. */
  readonly filters: readonly AttachedFilter[];
  /** Whether nothing of the pod may lead around the filters. */
  readonly locked: boolean;
}

/** What a data plane may have to say of a filter in an object of its own. */
export type AttachedFilter = Pick<
  PlanFilter,
  "name" | "slot" | "phase" | "config" | "rootId" | "runtimeFailure" | "capabilities"
>;

/** What the pod's author said about the proxy where it can't be told. */
export interface ProxyWishes {
  readonly proxyContainer: string | null;
  readonly proxyConfig: string | null;
  /** The listeners or gateways that are to have the filters, as their platform names them; left out where nothing was said. */
  readonly listeners?: readonly string[];
  /** Whether the namespace's owner wants connections that are not HTTP to pass, unfiltered. */
  readonly tcpAllowed: boolean;
}

export interface ProxyContainer extends PlacedContainer {
  /** The user and group that the fetcher runs as. */
  readonly uid: number;
  readonly gid: number;
  /** The Envoy release "major.minor" that the image's tag names, or null. */
  readonly envoyVersion: string | null;
  /** The directions whose traffic it can give to a filter. */
  readonly directions: readonly Direction[];
}

export interface Attachment {
  /** The bootstrap that the fetcher edits, where the data plane has a static one. */
  readonly bootstrap: PlanBootstrap | null;
  /** Mounts of the pod's own volumes that the fetcher needs, to read the bootstrap. */
  readonly fetcherMounts: readonly VolumeMount[];
  /** Labels that the pod is to have, by which objects of the data plane select it: slotLabel and HTTP_ONLY. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly proxy: ProxyChanges;
  /**
   * The objects of the platform by which its proxies load the filters, complete; none where the pod's own changes do it.
   * Only who wants to see them calls this.
   */
  readonly objects: () => readonly AttachingObject[];
  /** What the pod's author should know: what has to be there before the pod, for one. Without "wasmount:". */
  readonly warnings: readonly string[];
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

const SLOT_PREFIX = "wasmount.dev/slot-";
/** The label of pods that take nothing but HTTP. */
export const HTTP_ONLY = "wasmount.dev/http-only";

/** The label of pods that have a filter file for a slot. */
export function slotLabel(slot: string): string {
  return `${SLOT_PREFIX}${slot}`;
}

/** Whether a label is one by which objects of a data plane select pods: admission alone sets them. */
export function isSelectedBy(label: string): boolean {
  return label.startsWith(SLOT_PREFIX) || label === HTTP_ONLY;
}
