import type { KubeObject } from "./kube-object.ts";

/** What a guard does where it applies: refuse, or warn alone. */
export type GuardAction = "Deny" | "Warn";

/** A ValidatingAdmissionPolicy of wasmount's with its binding of the same name. */
export interface Guard {
  readonly name: string;
  /** What its binding has to do. */
  readonly action: GuardAction;
  /** What it refuses or warns of, for people. */
  readonly refuses: string;
}

/** The guard that keeps pods from running without filters that they ask for. */
export const UNFILTERED_PODS = "wasmount-unfiltered-pods";

/** All guards, as manifests/guards ships them, which a test holds to this. */
export const guards: readonly Guard[] = [
  { name: UNFILTERED_PODS, action: "Deny", refuses: "new pods that ask for filters and have no fetcher" },
  {
    name: "wasmount-injected-pods",
    action: "Deny",
    refuses: "changes of an injected pod's marks, and of the images of its fetcher and proxy",
  },
  { name: "wasmount-pod-bindings", action: "Deny", refuses: "Bindings that bring labels or annotations of wasmount's" },
  {
    name: "wasmount-ephemeral-containers",
    action: "Deny",
    refuses: "debugging containers that reach the fetcher or its volume",
  },
  { name: "wasmount-exec", action: "Deny", refuses: "commands in the fetcher" },
  {
    name: "wasmount-namespaces",
    action: "Deny",
    refuses: "a namespace's switch that is neither true nor false",
  },
  { name: "wasmount-unswitched-pods", action: "Warn", refuses: "annotations without a switch, which do nothing" },
];

const API = "/apis/admissionregistration.k8s.io/v1";

export function policyPath(name: string): string {
  return `${API}/validatingadmissionpolicies/${name}`;
}

export function bindingPath(name: string): string {
  return `${API}/validatingadmissionpolicybindings/${name}`;
}

/** A ValidatingAdmissionPolicy (admissionregistration.k8s.io/v1). */
export interface GuardPolicy extends KubeObject {
  readonly spec: {
    readonly failurePolicy?: "Fail" | "Ignore";
    readonly variables?: readonly { readonly name: string; readonly expression: string }[];
  };
  readonly status?: {
    readonly typeChecking?: { readonly expressionWarnings?: readonly { readonly warning: string }[] };
  };
}

/** A ValidatingAdmissionPolicyBinding. */
export interface GuardBinding extends KubeObject {
  readonly spec: {
    readonly policyName?: string;
    readonly validationActions?: readonly string[];
    readonly matchResources?: object;
  };
}

/** Whether a guard does what it is there for. */
export function isInForce({ name, action }: Guard, policy: GuardPolicy | null, binding: GuardBinding | null): boolean {
  return (
    policy !== null &&
    (policy.spec.failurePolicy ?? "Fail") === "Fail" &&
    binding?.spec.policyName === name &&
    (binding.spec.validationActions ?? []).includes(action)
  );
}
