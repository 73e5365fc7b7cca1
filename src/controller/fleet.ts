import type { InjectedPod } from "./injected-pod.ts";

/** The filters of all pods that run or are to run, by what became of them. */
export interface FleetFilters {
  /** By their plans. The sum of the others. */
  readonly wanted: number;
  readonly mounted: number;
  readonly failed: number;
  readonly pending: number;
}

export interface FleetPods {
  /** Whose plan somebody vouches for. */
  readonly injected: number;
  /** Of these, whose fetcher ended well without all that the plan names. */
  readonly differing: number;
  /** Labelled as injected, with a plan that nobody vouches for. They count nowhere else. */
  readonly unverified: number;
}

export interface FleetCounts {
  readonly filters: FleetFilters;
  readonly pods: FleetPods;
}

/** Sums over pods, kept current pod by pod. */
export class Fleet {
  readonly #filters = { wanted: 0, mounted: 0, failed: 0, pending: 0 };
  readonly #pods = { injected: 0, differing: 0, unverified: 0 };

  get counts(): FleetCounts {
    return { filters: { ...this.#filters }, pods: { ...this.#pods } };
  }

  /** @param before,after undefined for a pod that isn't there */
  changed(before: InjectedPod | undefined, after: InjectedPod | undefined): void {
    if (before !== undefined) this.#add(before, -1);
    if (after !== undefined) this.#add(after, 1);
  }

  #add({ plan, done, state, last }: InjectedPod, change: 1 | -1): void {
    if (done) return;
    if (plan === null) {
      this.#pods.unverified += change;
      return;
    }
    const wanted = plan.filters.length;
    const inPlace = state === "mounted" ? (last?.inPlace ?? 0) : 0;
    this.#pods.injected += change;
    if (state === "mounted" && inPlace < wanted) this.#pods.differing += change;
    this.#filters.wanted += change * wanted;
    this.#filters.mounted += change * inPlace;
    // What did not get into its place although the fetcher ended won't get there any more.
    this.#filters[state === "pending" ? "pending" : "failed"] += change * (wanted - inPlace);
  }
}
