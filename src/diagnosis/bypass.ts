import {
  type BypassMark,
  bypassedEntries,
  bypassRegistration,
  markOf,
  restoreBinding,
  restoreRegistration,
  softenBinding,
} from "./bypass-mark.ts";
import type { Answer, ClusterView } from "./cluster-view.ts";
import { DiagnosisError } from "./error.ts";
import {
  bindingPath,
  type Guard,
  type GuardBinding,
  type GuardPolicy,
  guards,
  isInForce,
  policyPath,
  UNFILTERED_PODS,
} from "./guards.ts";
import { MUTATING, VALIDATING } from "./installation.ts";
import type { KubeObject } from "./kube-object.ts";
import { rightOf } from "./right.ts";
import type { WebhookConfiguration } from "./webhook-configuration.ts";

/** An object that a bypass changes: in force, bypassed in part or whole, or not there. */
export interface BypassedObject {
  /** "MutatingWebhookConfiguration/wasmount". */
  readonly object: string;
  readonly state: "InForce" | "Partly" | "Bypassed" | "Absent";
  /** null where the object is in force, or was changed by other means. */
  readonly mark: BypassMark | null;
}

/** What is bypassed, and what holds all the same. */
export interface BypassState {
  /** Whether the API server leaves the webhook out, for any of its entries. */
  readonly webhook: boolean;
  /** Whether both sides of the webhook are registered at all. */
  readonly registered: boolean;
  /** Whether pods may be created without filters that they ask for. */
  readonly unfiltered: boolean;
  readonly objects: readonly BypassedObject[];
  /** The guards that are in force. */
  readonly guards: readonly Guard[];
}

export interface BypassOptions {
  readonly reason: string;
  /** Lets pods in without filters that they ask for. */
  readonly unfiltered: boolean;
  readonly dryRun: boolean;
}

/** A change of one object. */
interface Step<Value extends KubeObject> {
  readonly object: string;
  readonly path: string;
  readonly change: (found: Value) => Value;
}

const MUTATING_NAME = "MutatingWebhookConfiguration/wasmount";
const VALIDATING_NAME = "ValidatingWebhookConfiguration/wasmount";
const BINDING_NAME = `ValidatingAdmissionPolicyBinding/${UNFILTERED_PODS}`;
const BINDING = bindingPath(UNFILTERED_PODS);
/** Somebody else writes the same object now and then, such as a new certificate authority. */
const TRIES = 6;

/** @throws DiagnosisError */
export async function bypassState(cluster: ClusterView): Promise<BypassState> {
  const [mutating, validating, binding] = await Promise.all([
    cluster.get<WebhookConfiguration>(MUTATING),
    cluster.get<WebhookConfiguration>(VALIDATING),
    cluster.get<GuardBinding>(BINDING),
  ]);
  const objects = [
    registrationState(MUTATING_NAME, mutating),
    registrationState(VALIDATING_NAME, validating),
    bindingState(binding),
  ];
  const inForce = await guardsInForce(cluster);
  const [forMutating, forValidating] = objects;
  const sides = [forMutating?.state, forValidating?.state];
  const asked = sides.every(state => state === "InForce");
  return {
    webhook: sides.some(state => state === "Partly" || state === "Bypassed"),
    registered: !sides.includes("Absent"),
    unfiltered: !asked && !inForce.some(({ name }) => name === UNFILTERED_PODS),
    objects,
    guards: inForce,
  };
}

/** The guards that are there and do what they are there for. @throws DiagnosisError */
export async function guardsInForce(cluster: ClusterView): Promise<readonly Guard[]> {
  const found = await Promise.all(
    guards.map(async guard => {
      const policy = await cluster.get<GuardPolicy>(policyPath(guard.name));
      const binding = await cluster.get<GuardBinding>(bindingPath(guard.name));
      return isInForce(guard, policy, binding) ? [guard] : [];
    }),
  );
  return found.flat();
}

/**
 * Has API servers leave the webhook out. Running it again completes what was begun. The mutating side comes first and the
 * guard last: what is done in part refuses pods, and lets none through.
 * @returns the objects that were changed
 * @throws DiagnosisError Refused where that would let pods in without filters, and nobody said that it may
 */
export async function bypassOn(cluster: ClusterView, options: BypassOptions): Promise<readonly string[]> {
  const guarded = (await guardsInForce(cluster)).some(({ name }) => name === UNFILTERED_PODS);
  if (!guarded && !options.unfiltered) {
    throw new DiagnosisError(
      "Refused",
      `policy ${UNFILTERED_PODS} is not in force, so that pods would start without filters that they ask for: say --unfiltered if they may`,
    );
  }
  const mark: BypassMark = { since: seconds(cluster.now()), by: await whoAmI(cluster), reason: options.reason };
  const bypass = (found: WebhookConfiguration) => bypassRegistration(found, mark);
  return inTurn(cluster, options.dryRun, [
    { object: MUTATING_NAME, path: MUTATING, change: bypass },
    { object: VALIDATING_NAME, path: VALIDATING, change: bypass },
    ...(options.unfiltered
      ? [{ object: BINDING_NAME, path: BINDING, change: (found: GuardBinding) => softenBinding(found, mark) }]
      : []),
  ]);
}

/** Takes a bypass back, the other way around. @returns the objects that were changed @throws DiagnosisError */
export async function bypassOff(cluster: ClusterView, dryRun: boolean): Promise<readonly string[]> {
  return inTurn(cluster, dryRun, [
    { object: BINDING_NAME, path: BINDING, change: restoreBinding },
    { object: VALIDATING_NAME, path: VALIDATING, change: restoreRegistration },
    { object: MUTATING_NAME, path: MUTATING, change: restoreRegistration },
  ]);
}

type AnyStep = Step<WebhookConfiguration> | Step<GuardBinding>;

async function inTurn(cluster: ClusterView, dryRun: boolean, steps: readonly AnyStep[]): Promise<readonly string[]> {
  const changed: string[] = [];
  for (const step of steps) {
    try {
      if (await changeObject(cluster, dryRun, step as Step<KubeObject>)) changed.push(step.object);
    } catch (error) {
      if (!(error instanceof DiagnosisError) || changed.length === 0) throw error;
      const done = dryRun ? "" : ` (changed so far: ${changed.join(", ")}; run it again to go on)`;
      throw new DiagnosisError(error.code, `${error.message}${done}`, { cause: error });
    }
  }
  return changed;
}

async function changeObject(cluster: ClusterView, dryRun: boolean, step: Step<KubeObject>): Promise<boolean> {
  for (let tries = 1; ; tries += 1) {
    const found = await cluster.get<KubeObject>(step.path);
    const wanted = found && step.change(found);
    if (JSON.stringify(wanted) === JSON.stringify(found)) return false;
    // The version that was read stands in the object: the API server refuses it where another was written since.
    const query = `?fieldManager=wasmount-bypass${dryRun ? "&dryRun=All" : ""}`;
    const answer = await cluster.send("PUT", step.path + query, wanted);
    if (answer.status === 200) return true;
    if (answer.status !== 409 || tries === TRIES) throw unchanged(step, answer);
  }
}

function unchanged({ object, path }: Step<KubeObject>, { status, message }: Answer): DiagnosisError {
  if (status === 403) {
    return new DiagnosisError("RightMissing", `the right to ${rightOf("PUT", path)} is missing: ${message}`);
  }
  const code = status === 409 ? "Conflict" : "Refused";
  return new DiagnosisError(code, `${object} can't be changed: HTTP ${status}: ${message}`);
}

/** SelfSubjectReview (authentication.k8s.io/v1). A name is for the record alone: without one the bypass goes on. */
async function whoAmI(cluster: ClusterView): Promise<string> {
  const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const { status, body } = await cluster.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review);
  const answer = body as { readonly status?: { readonly userInfo?: { readonly username?: string } } };
  return (status === 201 && answer.status?.userInfo?.username) || "unknown";
}

function registrationState(object: string, found: WebhookConfiguration | null): BypassedObject {
  if (found === null) return { object, state: "Absent", mark: null };
  const { off, all } = bypassedEntries(found);
  return { object, state: off === 0 ? "InForce" : off < all ? "Partly" : "Bypassed", mark: markOf(found) };
}

function bindingState(found: GuardBinding | null): BypassedObject {
  if (found === null) return { object: BINDING_NAME, state: "Absent", mark: null };
  const denies = (found.spec.validationActions ?? []).includes("Deny");
  return { object: BINDING_NAME, state: denies ? "InForce" : "Bypassed", mark: markOf(found) };
}

/** Kubernetes writes times without fractions. */
function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, "Z");
}
