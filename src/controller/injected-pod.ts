import { FETCHER_NAME } from "../dataplanes/data-plane.ts";
import { controllerOf, type OwnerReference } from "../kube/pod.ts";
import { members, text, type Watched, type WatchedKind } from "../kube/watched-kind.ts";
import { type Outcome, readTermination, type Termination } from "./termination.ts";
import type { FleetPlan, Vouch } from "./vouched-plan.ts";

/** What is held of a pod that is labelled as injected. */
export interface InjectedPod extends Watched {
  readonly uid: string;
  /** What it is to run; null where nobody vouches for it. */
  readonly plan: FleetPlan | null;
  /** Whether all its containers have ended for good: such a pod filters nothing any more. */
  readonly done: boolean;
  readonly state: FetcherState;
  /** The last end of its fetcher; null where it had none. */
  readonly last: LastRun | null;
}

/**
 * `mounted` ended well, `failed` did not the last time that it ended, and is not at its end again, `pending` had no end
 * yet: it waits for its node, its image or its registries.
 */
export type FetcherState = "mounted" | "failed" | "pending";

/** How a fetcher's run ended, in terms of the plan. */
export interface LastRun {
  /** How many runs there were before it. */
  readonly run: number;
  /** Milliseconds since 1970, by the node's clock; null where that can't be read. */
  readonly finishedAt: number | null;
  readonly outcome: Outcome;
  /** One line for people; "" of what went well. */
  readonly problem: string;
  /** How many of the plan's filters have their module in place. */
  readonly inPlace: number;
  /** Of all modules, and of the run; null where the fetcher does not say. */
  readonly bytes: number | null;
  readonly seconds: number | null;
}

/**
 * Pods as they are watched: read whole, and reduced at once. A pod's author and whoever may write its status choose what
 * stands in it: what is not as a kubelet writes it counts as absent, and never ends the watch.
 */
export function injectedPodKind(vouch: Vouch): WatchedKind<InjectedPod> {
  return {
    list: "PodList",
    accept: { list: "application/json", watch: "application/json" },
    read: object => readPod(object, vouch),
  };
}

/** @throws KubeError Malformed where it is no object with metadata */
function readPod(value: unknown, vouch: Vouch): InjectedPod {
  const { metadata, spec, status } = members(value, "a pod") as Readonly<Record<string, unknown>>;
  const { name, namespace, uid, ownerReferences } = members(metadata, "a pod's metadata");
  const place = text(namespace ?? "", "a pod's namespace");
  const owner = controllerOf({ ownerReferences: (ownerReferences ?? []) as readonly OwnerReference[] });
  const variables = environmentOf(spec);
  const plan = variables && vouch({ variables, namespace: place, owner });
  const { phase, initContainerStatuses } = recordOf(status);
  return {
    name: text(name, "a pod's name"),
    namespace: place,
    resourceVersion: "",
    uid: text(uid ?? "", "a pod's UID"),
    plan,
    done: phase === "Succeeded" || phase === "Failed",
    ...readFetcher(named(initContainerStatuses), plan),
  };
}

/** Whether a run is another one than that which is known already. */
export function isSameRun(one: LastRun | null, other: LastRun | null): boolean {
  return one !== null && other !== null && one.run === other.run && one.finishedAt === other.finishedAt;
}

function readFetcher(status: Fields, plan: FleetPlan | null): Pick<InjectedPod, "state" | "last"> {
  const { state, lastState, restartCount } = status;
  const restarts = typeof restartCount === "number" && restartCount > 0 ? restartCount : 0;
  const ended = readTermination(recordOf(state)["terminated"], restarts);
  const before = readTermination(recordOf(lastState)["terminated"], restarts - 1);
  const last = lastRun(ended ?? before, plan);
  if (last === null) return { state: "pending", last };
  const good = last.outcome === "Mounted" || last.outcome === "Open";
  if (!good) return { state: "failed", last };
  // After a node's restart it runs again, and finds what it needs.
  return { state: ended === null ? "pending" : "mounted", last };
}

function lastRun(termination: Termination | null, plan: FleetPlan | null): LastRun | null {
  if (termination === null) return null;
  const { run, finishedAt, outcome, problem, mounted } = termination;
  return {
    run,
    finishedAt,
    outcome,
    problem,
    inPlace: inPlace(termination, plan),
    bytes: mounted?.bytes ?? null,
    seconds: mounted?.seconds ?? null,
  };
}

/** A fetcher that ended well and says no more did all; one that says that filters do nothing must say which are in place. */
function inPlace({ outcome, mounted }: Termination, plan: FleetPlan | null): number {
  const filters = plan?.filters ?? [];
  if (outcome !== "Mounted" && outcome !== "Open") return 0;
  const digests = mounted?.digests ?? null;
  if (digests === null) return outcome === "Mounted" ? filters.length : 0;
  const there = new Set(digests);
  return filters.filter(({ digest }) => there.has(digest)).length;
}

type Fields = Readonly<Record<string, unknown>>;

function environmentOf(spec: unknown): Record<string, string> | null {
  const { env } = named(recordOf(spec)["initContainers"]);
  if (!Array.isArray(env)) return null;
  const variables = env.map(variable => recordOf(variable));
  return Object.fromEntries(
    variables.flatMap(({ name, value }) =>
      typeof name === "string" && name.startsWith("WASMOUNT_PLAN_") && typeof value === "string" ? [[name, value]] : [],
    ),
  );
}

/** The fetcher's among containers, or what there is to know of them. */
function named(containers: unknown): Fields {
  if (!Array.isArray(containers)) return {};
  return containers.map(recordOf).find(({ name }) => name === FETCHER_NAME) ?? {};
}

function recordOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}
