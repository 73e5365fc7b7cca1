import { createHash } from "node:crypto";
import { type CacheBounds, remembering } from "../plan/bounded-cache.ts";
import { PlanError } from "../plan/error.ts";
import { type PlanKeys, verifyPlan } from "../plan/signature.ts";
import { planFromEnvironment, SIGNATURE } from "../plan/transport.ts";

/** As much of a plan as is held of each pod; the pods of one owner share it. */
export interface FleetPlan {
  readonly filters: readonly PlannedFilter[];
}

export interface PlannedFilter {
  readonly name: string;
  readonly digest: string;
}

/** A fetcher's environment, and whose it is. Whoever may create pods may have written it. */
export interface CarriedEnvironment {
  readonly variables: Readonly<Record<string, string>>;
  readonly namespace: string;
  /** UID of the pod's controlling owner; "" for a pod without one. */
  readonly owner: string;
}

/** @returns null where nobody vouches for the plan */
export type Vouch = (carried: CarriedEnvironment) => FleetPlan | null;

const BOUNDS: CacheBounds = { entries: 5_000, bytes: 8 * 1024 * 1024 };

/**
 * Reads plans of which it can be told that wasmount made them: signed by a key that counts, for this namespace and owner;
 * where plans are not signed at all, whole. What was read once, or refused, is remembered by the hash of all that it
 * depends on: the status of a pod changes some ten times, its plan never.
 * @param current whose signatures count now; empty where plans are not signed, null where that is not known yet
 */
export function planVouching(current: () => PlanKeys | null): Vouch {
  interface Asked extends CarriedEnvironment {
    readonly keys: PlanKeys;
  }
  const vouched = remembering<{ readonly plan: FleetPlan | null }, Asked>(
    BOUNDS,
    ({ variables, namespace, owner, keys }) =>
      createHash("sha256")
        .update(JSON.stringify([[...keys.keys()], namespace, owner, Object.entries(variables)]))
        .digest("base64"),
    ({ plan }) => (plan?.filters ?? []).flatMap(({ name, digest }) => [name, digest]),
    asked => ({ plan: readVouched(asked, asked.keys) }),
  );
  return carried => {
    const keys = current();
    return keys === null ? null : vouched({ ...carried, keys }).plan;
  };
}

function readVouched({ variables, namespace, owner }: CarriedEnvironment, keys: PlanKeys): FleetPlan | null {
  try {
    const { plan, hash } = planFromEnvironment(variables);
    if (plan.namespace !== namespace) return null;
    if (keys.size > 0) verifyPlan({ hash, namespace, owner }, variables[SIGNATURE] ?? "", keys);
    return { filters: plan.filters.map(({ name, digest }) => ({ name, digest })) };
  } catch (error) {
    if (error instanceof PlanError) return null;
    throw error;
  }
}
