import type { Decision } from "../admission/decision.ts";
import { type Refusal, refuse } from "../decision/refusal.ts";
import type { Container, Pod } from "../kube/pod.ts";
import type { Operation } from "../patch/operation.ts";
import type { CarriedPlan } from "./carried-plan.ts";
import { difference } from "./difference.ts";

export type Injected = Extract<Decision, { outcome: "Injected" }>;

/**
 * Refuses a pod in which another admission pass would change anything: whatever it would change is not as wasmount made
 * it. The environment is left out, since the plan in it was read, and its signature is not made anew.
 *
 * The proxy is looked at before the plan: one that was changed asks for another plan, too.
 */
export function refuseDifferences(pod: Pod, wanted: Injected, carried: CarriedPlan): Refusal | null {
  const refusals = wanted.patch.map(operation => refusalOf(pod, operation));
  return (
    refusals.find(refusal => refusal?.reason === "ProxyAltered") ??
    refuseOtherPlan(wanted, carried) ??
    refusals.find(refusal => refusal !== null) ??
    null
  );
}

/** A plan may be ours and of the same owner, and still not the one that this pod's settings ask for. */
function refuseOtherPlan({ plan, planHash }: Injected, carried: CarriedPlan): Refusal | null {
  if (carried.hash === planHash) return null;
  const place = difference(carried.plan, plan);
  const found = place === null ? "is not in canonical form" : `says otherwise about ${place || "everything"}`;
  return refuse("PlanForged", `the plan of this pod is ${planHash.slice(0, 12)}, the fetcher's ${found}`);
}

/** What an operation that is left tells about the pod. One that is not known tells enough. */
function refusalOf(pod: Pod, operation: Operation): Refusal | null {
  const [area, list, place, member] = operation.path.split("/").slice(1).map(unescaped);
  const value = operation.op === "remove" ? undefined : operation.value;
  if (area === "metadata") {
    const key = place ?? "wasmount.dev/…";
    return refuse("FetcherAltered", `${list === "labels" ? "label" : "annotation"} ${key} is not as it was set`);
  }
  if (list === "volumes") {
    const [volume] = [value].flat() as readonly { readonly name?: string }[];
    return refuse("VolumeExposed", `volume ${volume?.name} is missing, or is not the one that wasmount added`);
  }
  if (list === "imagePullSecrets") {
    const [secret] = [value].flat() as readonly { readonly name?: string }[];
    return refuse("FetcherAltered", `spec.imagePullSecrets lacks ${secret?.name}, for the fetcher's image`);
  }
  if (member !== undefined) return refuse("ProxyAltered", `spec.${list}[${place}].${member}`);
  return place === "0" ? refuseFetcher(pod.spec.initContainers?.[0], value as Container) : anything(operation);
}

function refuseFetcher(found: Container | undefined, wanted: Container): Refusal | null {
  const place = difference({ ...found, env: null }, { ...wanted, env: null });
  return place === null ? null : refuse("FetcherAltered", `its ${place} is not as it was set`);
}

function anything({ op, path }: Operation): Refusal {
  return refuse("FetcherAltered", `wasmount would ${op} ${path}`);
}

function unescaped(token: string): string {
  return token.replaceAll("~1", "/").replaceAll("~0", "~");
}
