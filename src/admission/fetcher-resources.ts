import { isRefusal, type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import type { ContainerLimit } from "../kube/limit-range.ts";
import type { ResourceRequirements } from "../kube/pod.ts";
import { fromMilliUnits, milliUnits } from "../kube/quantity.ts";
import { PREFIX } from "./key.ts";

/** The operator's part: what a fetcher has, and what pods may ask for at most. */
export interface ResourceBounds {
  readonly resources: ResourceRequirements;
  readonly maxResources: Readonly<Record<string, string>>;
}

/** Below this the fetcher, a Node.js process, is killed before it has read its plan (measured: 61 MB idle). */
const LEAST_MEMORY = "64Mi";

/**
 * The fetcher's resources: the author's wishes over the operator's, inside the operator's bounds, and moved into what
 * the namespace's LimitRanges allow, since the API server refuses pods outside of them.
 * @param wishes quantities in canonical form
 */
export function fetcherResources(
  { resources, maxResources }: ResourceBounds,
  wishes: ResourceRequirements | null,
  limits: readonly ContainerLimit[],
): OrRefusal<ResourceRequirements> {
  const excess = wishes && excessiveWish(wishes, maxResources);
  if (excess) return excess;
  const requests = { ...resources.requests, ...wishes?.requests };
  const most = { ...resources.limits, ...wishes?.limits };
  for (const name of Object.keys({ ...requests, ...most })) {
    const range = rangeOf(name, requests[name], most[name], wishes);
    const fitted = isRefusal(range) ? range : clamp(name, range, limits);
    if (isRefusal(fitted)) return fitted;
    put(requests, name, fitted.request);
    put(most, name, fitted.limit);
  }
  return {
    ...(Object.keys(requests).length > 0 && { requests }),
    ...(Object.keys(most).length > 0 && { limits: most }),
  };
}

/** Sets an amount, and keeps the spelling of one that is the same. */
function put(amounts: Record<string, string>, name: string, amount: bigint | null): void {
  const present = amounts[name];
  if (amount === null || (present !== undefined && amountOf(present) === amount)) return;
  amounts[name] = fromMilliUnits(amount);
}

function excessiveWish(wishes: ResourceRequirements, maximum: Readonly<Record<string, string>>): Refusal | null {
  for (const list of ["requests", "limits"] as const) {
    for (const [name, amount] of Object.entries(wishes[list] ?? {})) {
      const most = maximum[name];
      if (most !== undefined && amountOf(amount) <= amountOf(most)) continue;
      const allowed = most === undefined ? "the operator allows none" : `the operator allows at most ${most}`;
      return refuse("ResourcesExceeded", `annotation ${PREFIX}resources: ${list} ${amount} of ${name}, ${allowed}`);
    }
  }
  return null;
}

/** In thousandths. */
interface Range {
  readonly request: bigint | null;
  readonly limit: bigint | null;
}

/** A wish for one of the two moves the other one, if that is only the operator's. */
function rangeOf(
  name: string,
  request: string | undefined,
  limit: string | undefined,
  wishes: ResourceRequirements | null,
): OrRefusal<Range> {
  const range = {
    request: request === undefined ? null : amountOf(request),
    limit: limit === undefined ? null : amountOf(limit),
  };
  if (range.request === null || range.limit === null || range.request <= range.limit) return range;
  const wished = { request: wishes?.requests?.[name], limit: wishes?.limits?.[name] };
  if (wished.request === undefined) return { ...range, request: range.limit };
  if (wished.limit === undefined) return { ...range, limit: range.request };
  return refuse(
    "BadValue",
    `annotation ${PREFIX}resources: requests ${wished.request} of ${name}, which is more than its limit ${wished.limit}`,
  );
}

/** Maxima first, then minima: where both can't be had, the second one shows it. */
function clamp(name: string, wanted: Range, limits: readonly ContainerLimit[]): OrRefusal<Range> {
  const bounds = (which: "max" | "min" | "maxLimitRequestRatio", held = limits) =>
    held.flatMap(limit => {
      const quantity = limit[which][name];
      return quantity === undefined ? [] : [amountOf(quantity)];
    });
  // The minimum for a whole pod is met by its other containers, or the API server says so.
  const containers = limits.filter(({ type }) => type === "Container");
  const capped = bounds("max").reduce(capAt, wanted);
  const raised = bounds("min", containers).reduce(raiseTo, capped);
  const range = bounds("maxLimitRequestRatio").reduce(narrowTo, raised);
  return refuseConflict(name, range, limits) ?? range;
}

function capAt({ request, limit }: Range, most: bigint): Range {
  return { request: request && smaller(request, most), limit: limit === null ? most : smaller(limit, most) };
}

function raiseTo({ request, limit }: Range, least: bigint): Range {
  return { request: request === null ? least : larger(request, least), limit: limit && larger(limit, least) };
}

/** @param ratio how many times its request the limit may be, in thousandths */
function narrowTo({ request, limit }: Range, ratio: bigint): Range {
  if (limit === null || ratio === 0n) return { request, limit };
  // Rounded up: a request that is too small by a thousandth is refused.
  const least = (limit * 1000n + ratio - 1n) / ratio;
  return { request: request === null ? limit : smaller(larger(request, least), limit), limit };
}

function refuseConflict(name: string, { request, limit }: Range, limits: readonly ContainerLimit[]): Refusal | null {
  for (const { name: range, max } of limits) {
    const most = max[name];
    const used = larger(request ?? 0n, limit ?? 0n);
    if (most === undefined || used <= amountOf(most)) continue;
    return conflict(`LimitRange ${range} allows at most ${most} of ${name}, others at least ${fromMilliUnits(used)}`);
  }
  if (name !== "memory" || limit === null || limit >= amountOf(LEAST_MEMORY)) return null;
  return conflict(`a LimitRange allows at most ${fromMilliUnits(limit)} of memory, the fetcher needs ${LEAST_MEMORY}`);
}

function conflict(detail: string): Refusal {
  return refuse("LimitRangeConflict", detail);
}

function amountOf(quantity: string): bigint {
  return milliUnits(quantity) ?? 0n;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
