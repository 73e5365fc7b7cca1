import { parseDocument } from "yaml";
import { controllerOf, type OwnerReference } from "../kube/pod.ts";
import { PlanError } from "./error.ts";
import type { Plan } from "./plan.ts";
import { planFromEnvironment, SIGNATURE } from "./transport.ts";

/** The plan of a pod as it is stored, with what its signature was made over. */
export interface PodPlan {
  readonly plan: Plan;
  /** 64 hex digits. */
  readonly hash: string;
  /** "" where the plan is not signed. */
  readonly signature: string;
  readonly namespace: string;
  /** UID of the pod's controlling owner; "" where it has none. */
  readonly owner: string;
}

/** The largest manifest that is read: what an API server stores, with room for managed fields. */
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_ALIASES = 100;

/** As much of a pod as a plan is read from. */
interface StoredPod {
  readonly kind?: unknown;
  readonly metadata?: {
    readonly namespace?: string;
    readonly ownerReferences?: readonly OwnerReference[];
  };
  readonly spec?: {
    readonly initContainers?: readonly {
      readonly name: string;
      readonly env?: readonly { readonly name: string; readonly value?: string }[];
    }[];
  };
}

/**
 * Reads the plan out of a pod's manifest.
 * @param name how messages call the manifest
 * @throws PlanError
 */
export function podPlan(manifest: string, name: string): PodPlan {
  if (manifest.length > MAX_BYTES) throw new PlanError("TooLarge", `${name} is longer than ${MAX_BYTES} characters`);
  const document = parseDocument(manifest, { uniqueKeys: false });
  const problem = document.errors[0];
  if (problem) throw new PlanError("Corrupt", `${name} is neither YAML nor JSON: ${problem.message}`);
  const pod = document.toJS({ maxAliasCount: MAX_ALIASES }) as StoredPod | null;
  if (pod?.kind !== "Pod") throw new PlanError("Missing", `${name} is not the manifest of a Pod`);
  const fetcher = listed(pod.spec?.initContainers).find(container => container?.name === "wasmount-fetch");
  if (!fetcher) throw new PlanError("Missing", `the pod in ${name} has no init container wasmount-fetch`);
  const environment = Object.fromEntries(listed(fetcher.env).map(variable => [variable?.name, variable?.value]));
  return {
    ...planFromEnvironment(environment),
    signature: environment[SIGNATURE] ?? "",
    namespace: pod.metadata?.namespace ?? "default",
    owner: controllerOf(pod.metadata ?? {}),
  };
}

/** Nothing has checked a manifest's types: what is no list has nothing in it. */
function listed<Element>(value: readonly Element[] | undefined): readonly (Element | null)[] {
  return Array.isArray(value) ? value : [];
}
