import type { Container, OwnerReference } from "../kube/pod.ts";
import type { KubeObject, ObjectMeta } from "./kube-object.ts";

/** A pod as the API server stores it, as far as it is looked at here. */
export interface StoredPod extends KubeObject {
  readonly metadata: ObjectMeta & { readonly ownerReferences?: readonly OwnerReference[] };
  readonly spec: {
    readonly containers: readonly Container[];
    readonly initContainers?: readonly Container[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly initContainerStatuses?: readonly FetcherStatus[];
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

/** What a kubelet says of a container (core/v1 ContainerStatus). */
export interface FetcherStatus {
  readonly name: string;
  readonly state: ContainerState;
  readonly lastState?: ContainerState;
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
}
