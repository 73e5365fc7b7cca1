import { discoveredFilter } from "../envoy/discovered-filter.ts";
import type { AttachingObject } from "./attaching-object.ts";
import type { AttachedFilter } from "./data-plane.ts";

/** What an EnvoyPatchPolicy is for. */
export type GatewayTarget =
  | { readonly kind: "Gateway"; readonly name: string; readonly namespace: string }
  | { readonly kind: "GatewayClass"; readonly name: string; readonly namespace?: string };

const LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener";
/** Policies are applied in ascending order: this one sees the chain as all others left it. */
const LAST = 2_147_483_647;
/** Every chain of HTTP filters of a listener, of all its filter chains (RFC 9535, of JSON with proto's own names). */
const CHAINS = "$..http_filters";

/**
 * The EnvoyPatchPolicy (gateway.envoyproxy.io/v1alpha1) that puts the filters into the chains of some listeners. It has to be in
 * its Gateway's namespace. `add` at a place of an array inserts before what is there (RFC 6902 section 4.1).
 * @param listeners as Envoy Gateway names them in xDS
 */
export function patchPolicy(
  { kind, name, namespace }: GatewayTarget,
  listeners: readonly string[],
  filters: readonly AttachedFilter[],
  root: string,
): AttachingObject {
  const patches = placed(filters).map(({ slot, phase }) => ({
    op: "add",
    ...(phase === "first"
      ? { jsonPath: CHAINS, path: "/0" }
      : { jsonPath: `${CHAINS}[?(@.name=='envoy.filters.http.router')]` }),
    value: discoveredFilter(slot, root),
  }));
  return {
    apiVersion: "gateway.envoyproxy.io/v1alpha1",
    kind: "EnvoyPatchPolicy",
    metadata: { name: `wasmount-${name}`, ...(namespace === undefined ? {} : { namespace }) },
    spec: {
      targetRef: { group: "gateway.networking.k8s.io", kind, name },
      type: "JSONPatch",
      priority: LAST,
      jsonPatches: listeners.flatMap(listener =>
        patches.map(operation => ({ type: LISTENER, name: listener, operation })),
      ),
    },
  };
}

/** What is put at the chain's head comes before what was put there earlier: last things first. */
function placed(filters: readonly AttachedFilter[]): readonly AttachedFilter[] {
  const first = filters.filter(({ phase }) => phase === "first");
  return [...first.toReversed(), ...filters.filter(({ phase }) => phase === "last")];
}
