import { isDeepStrictEqual } from "node:util";
import { discoveredFilter } from "../envoy/discovered-filter.ts";
import type { AttachingObject } from "./attaching-object.ts";
import { HTTP_ONLY, slotLabel } from "./data-plane.ts";

/** The API of EnvoyFilters, which every Istio since 1.8 serves. */
export const ENVOY_FILTER_API = "networking.istio.io/v1alpha3";
/** The label of the EnvoyFilters that are wasmount's. */
export const SLOT_OBJECT_LABEL = "wasmount.dev/slot";

const CONTEXTS = { in: "SIDECAR_INBOUND", out: "SIDECAR_OUTBOUND", gw: "GATEWAY" } as const;
/** The slot of the guard, which is no place for a filter. */
export const HTTP_ONLY_SLOT = "http-only";

const MANAGER = "envoy.filters.network.http_connection_manager";

/** An EnvoyFilter (networking.istio.io/v1alpha3), as far as wasmount writes it. */
export interface EnvoyFilter extends AttachingObject {
  readonly apiVersion: typeof ENVOY_FILTER_API;
  readonly kind: "EnvoyFilter";
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
  };
}

/** An object of a cluster that is to be an {@link EnvoyFilter}. */
export interface StoredFilter {
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, unknown>> };
  readonly spec?: unknown;
}

/**
 * All EnvoyFilters of an installation: one for each slot, and the guard of pods that take nothing but HTTP. They stand in
 * Istio's root namespace, select pods by label, and never change: nothing has to be made when a pod is.
 * @param slots how many filters a pod may have in each phase of each direction, 1 to 99
 * @param root absolute path of the volume in the proxy
 */
export function slotFilters(namespace: string, slots: number, root: string): EnvoyFilter[] {
  const names = Object.keys(CONTEXTS).flatMap(direction =>
    ["first", "last"].flatMap(phase =>
      Array.from({ length: slots }, (_, index) => `${direction}-${phase}-${String(index + 1).padStart(2, "0")}`),
    ),
  );
  return [...names, HTTP_ONLY_SLOT].map(slot => slotFilter(slot, namespace, root));
}

/** The EnvoyFilter of one slot, or of the guard ({@link HTTP_ONLY_SLOT}). */
export function slotFilter(slot: string, namespace: string, root: string): EnvoyFilter {
  return {
    apiVersion: ENVOY_FILTER_API,
    kind: "EnvoyFilter",
    metadata: { name: `wasmount-${slot}`, namespace, labels: { [SLOT_OBJECT_LABEL]: slot } },
    spec: slot === HTTP_ONLY_SLOT ? httpOnlySpec() : slotSpec(slot, root),
  };
}

/**
 * Whether an EnvoyFilter of the cluster is what wasmount installs for the slot that its label names. One that was changed
 * counts as little as one that is missing.
 */
export function isSlotFilter(stored: StoredFilter, namespace: string, root: string): boolean {
  const labels = stored.metadata.labels ?? {};
  const wanted = slotFilter(String(labels[SLOT_OBJECT_LABEL]), namespace, root);
  return (
    stored.metadata.name === wanted.metadata.name &&
    isDeepStrictEqual(stored.spec, wanted.spec) &&
    // With it, only the istiod of that revision would read it.
    labels["istio.io/rev"] === undefined
  );
}

/**
 * Istio applies patches in the order of their priority (istio.io/latest/docs/reference/config/networking/envoy-filter).
 * Of those that insert before the router, a later one stands closer to it; of those that insert at the front, a later one
 * stands before the others.
 */
function slotSpec(slot: string, root: string): EnvoyFilter["spec"] {
  const [direction, phase, place] = slot.split("-") as [keyof typeof CONTEXTS, "first" | "last", string];
  const number = Number(place);
  const router = phase === "last" ? { subFilter: { name: "envoy.filters.http.router" } } : {};
  return {
    workloadSelector: { labels: { [slotLabel(slot)]: "true" } },
    priority: phase === "last" ? number : -number,
    configPatches: [
      {
        applyTo: "HTTP_FILTER",
        match: {
          context: CONTEXTS[direction],
          listener: { filterChain: { filter: { name: MANAGER, ...router } } },
        },
        patch: {
          operation: phase === "last" ? "INSERT_BEFORE" : "INSERT_FIRST",
          value: discoveredFilter(slot, root),
        },
      },
    ],
  };
}

/**
 * What Istio does not see as HTTP goes to the application by way of tcp_proxy, past every HTTP filter: `http/1.1` in lower
 * case, an empty line before the request, a port renamed to tcp. Before tcp_proxy all is denied.
 */
function httpOnlySpec(): EnvoyFilter["spec"] {
  return {
    workloadSelector: { labels: { [HTTP_ONLY]: "true" } },
    priority: 0,
    configPatches: [
      {
        applyTo: "NETWORK_FILTER",
        match: {
          context: CONTEXTS.in,
          listener: { filterChain: { filter: { name: "envoy.filters.network.tcp_proxy" } } },
        },
        patch: {
          operation: "INSERT_BEFORE",
          value: {
            name: "wasmount.http-only",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
              stat_prefix: "wasmount_http_only.",
              rules: {},
            },
          },
        },
      },
    ],
  };
}
