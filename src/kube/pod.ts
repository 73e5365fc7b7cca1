/**
 * The parts of a Pod (core/v1) that admission reads or writes. Everything else of a pod passes through as it came:
 * patches name only what changes. Arrays may be absent or null, as API servers and clients send both.
 */
export interface Pod {
  readonly metadata: PodMetadata;
  readonly spec: PodSpec;
}

export interface PodMetadata {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>> | null;
  readonly annotations?: Readonly<Record<string, string>> | null;
  readonly ownerReferences?: readonly OwnerReference[] | null;
}

export interface OwnerReference {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly uid: string;
  readonly controller?: boolean;
}

/** Whether a pod in this phase has run for the last time (core/v1 PodPhase). */
export function isOver(phase: unknown): boolean {
  return phase === "Succeeded" || phase === "Failed";
}

/** The UID of a pod's controlling owner, such as its ReplicaSet; "" for a pod without one. */
export function controllerOf({ ownerReferences }: Pick<PodMetadata, "ownerReferences">): string {
  return ownerReferences?.find(({ controller }) => controller === true)?.uid ?? "";
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[] | null;
  readonly volumes?: readonly Volume[] | null;
  readonly securityContext?: SecurityContext | null;
  readonly imagePullSecrets?: readonly { readonly name?: string }[] | null;
  readonly serviceAccountName?: string;
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly shareProcessNamespace?: boolean;
  readonly os?: { readonly name?: string } | null;
  readonly nodeSelector?: Readonly<Record<string, string>> | null;
}

export interface Container {
  readonly name: string;
  readonly image?: string;
  readonly imagePullPolicy?: string;
  readonly command?: readonly string[] | null;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: unknown }[] | null;
  readonly resources?: ResourceRequirements;
  readonly restartPolicy?: string;
  readonly securityContext?: SecurityContext | null;
  readonly terminationMessagePath?: string;
  readonly terminationMessagePolicy?: string;
  readonly volumeMounts?: readonly VolumeMount[] | null;
}

export interface SecurityContext {
  readonly runAsUser?: number;
  readonly runAsGroup?: number;
  readonly runAsNonRoot?: boolean;
  readonly privileged?: boolean;
  readonly allowPrivilegeEscalation?: boolean;
  readonly readOnlyRootFilesystem?: boolean;
  readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] };
  readonly seccompProfile?: { readonly type: string };
}

export interface ResourceRequirements {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly readOnly?: boolean;
  readonly subPath?: string;
  readonly subPathExpr?: string;
}

/** A volume: its name and one member that is its source, which only the API server understands whole. */
export interface Volume {
  readonly name: string;
  readonly [source: string]: unknown;
}

/** The lists of a pod in which a container can stand. */
export type ContainerList = "containers" | "initContainers";
