import { isDeepStrictEqual } from "node:util";
import { parse } from "yaml";
import { discoveredFilter } from "../envoy/discovered-filter.ts";
import type { AttachingObject } from "./attaching-object.ts";
import { HTTP_ONLY, slotLabel } from "./data-plane.ts";
import { HTTP_ONLY_SLOT, SLOT_OBJECT_LABEL, type StoredFilter } from "./istio-slots.ts";

/** The API of Kuma's policies. */
export const MESH_PROXY_PATCH_API = "kuma.io/v1alpha1";
/** The label by which a policy belongs to a mesh. */
const MESH_LABEL = "kuma.io/mesh";
/** What Kuma may do with a policy is told by labels too: one with this is only shown. */
const EFFECT_LABEL = "kuma.io/effect";

const ORIGINS = { in: "inbound", out: "outbound" } as const;

/** Directions of Kuma's sidecars, phases and places: all slots that a pod may have. */
export function kumaSlots(slots: number): string[] {
  return Object.keys(ORIGINS).flatMap(direction =>
    ["first", "last"].flatMap(phase =>
      Array.from({ length: slots }, (_, index) => `${direction}-${phase}-${String(index + 1).padStart(2, "0")}`),
    ),
  );
}

/**
 * All MeshProxyPatches of a mesh: one for each slot, and the guard of pods that take nothing but HTTP. They stand in Kuma's
 * system namespace, select Dataplanes by a label that these have from their pods, and never change.
 * @param slots how many filters a pod may have in each phase of each direction, 1 to 99
 */
export function slotPatches(namespace: string, mesh: string, slots: number, root: string): AttachingObject[] {
  return [...kumaSlots(slots), HTTP_ONLY_SLOT].map(slot => slotPatch(slot, { namespace, mesh, root }));
}

/** Where a slot's policy stands, and what it says. */
export interface SlotPlace {
  /** Kuma's system namespace: policies of others select pods of their own namespace only. */
  readonly namespace: string;
  readonly mesh: string;
  /** Absolute path of the volume in the proxy. */
  readonly root: string;
}

/** The MeshProxyPatch of one slot, or of the guard (HTTP_ONLY_SLOT). */
export function slotPatch(slot: string, { namespace, mesh, root }: SlotPlace): AttachingObject {
  return {
    apiVersion: MESH_PROXY_PATCH_API,
    kind: "MeshProxyPatch",
    metadata: {
      name: patchName(slot, mesh),
      namespace,
      // A zone that belongs to a global control plane takes no policy of its own without its origin.
      labels: { [MESH_LABEL]: mesh, "kuma.io/origin": "zone", [SLOT_OBJECT_LABEL]: slot },
    },
    spec: {
      targetRef: {
        kind: "Dataplane",
        labels: { [slot === HTTP_ONLY_SLOT ? HTTP_ONLY : slotLabel(slot)]: "true" },
      },
      default: { appendModifications: slot === HTTP_ONLY_SLOT ? httpOnly() : [slotModification(slot, root)] },
    },
  };
}

/**
 * Kuma applies the policies of one proxy in the order of their names, the last of the alphabet first
 * (pkg/plugins/policies/core/matchers, SortByTargetRef). Of those that insert before the router, a later one stands closer to
 * it: their names count down. Of those that insert at the front, a later one stands before the others: they count up.
 */
export function patchName(slot: string, mesh: string): string {
  const number = slot === HTTP_ONLY_SLOT ? 0 : Number(slot.slice(-2));
  const rank = slot.includes("-last-") ? 100 - number : number;
  return `wasmount-${String(rank).padStart(2, "0")}-${slot}-${mesh}`;
}

/**
 * Whether a MeshProxyPatch of the cluster is what wasmount installs for the slot that its label names. What Kuma itself adds
 * to its labels is none of our business; what is written in YAML is compared by what it says.
 */
export function isSlotPatch(stored: StoredFilter, { namespace, root }: Omit<SlotPlace, "mesh">): boolean {
  const labels = stored.metadata.labels ?? {};
  const mesh = String(labels[MESH_LABEL] ?? "default");
  const wanted = slotPatch(String(labels[SLOT_OBJECT_LABEL]), { namespace, mesh, root });
  return (
    stored.metadata.name === wanted.metadata.name &&
    labels[EFFECT_LABEL] === undefined &&
    isDeepStrictEqual(readValues(stored.spec), readValues(wanted.spec))
  );
}

function slotModification(slot: string, root: string): object {
  const [direction, phase] = slot.split("-") as [keyof typeof ORIGINS, "first" | "last"];
  const origin = ORIGINS[direction];
  return {
    httpFilter:
      phase === "last"
        ? {
            operation: "AddBefore",
            match: { name: "envoy.filters.http.router", origin },
            value: envoyText(discoveredFilter(slot, root)),
          }
        : { operation: "AddFirst", match: { origin }, value: envoyText(discoveredFilter(slot, root)) },
  };
}

/**
 * What is no HTTP for Kuma goes to the application by way of tcp_proxy, past every HTTP filter: a port whose Service says
 * no `appProtocol: http`, and, by listeners of their own, all ports that no Service has. Before tcp_proxy all is denied.
 */
function httpOnly(): object[] {
  const guard = envoyText({
    name: "wasmount.http-only",
    typed_config: {
      "@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC",
      stat_prefix: "wasmount_http_only.",
      rules: {},
    },
  });
  const name = "envoy.filters.network.tcp_proxy";
  const matches = [
    { name, origin: "inbound" },
    ...PASSTHROUGH.map(listenerName => ({ name, origin: "transparent", listenerName })),
  ];
  return matches.map(match => ({ networkFilter: { operation: "AddBefore", match, value: guard } }));
}

/** The listeners of inbound connections to other ports, by both ways in which Kuma names things. */
const PASSTHROUGH = [4, 6].flatMap(version => [
  `inbound:passthrough:ipv${version}`,
  `self_transparentproxy_passthrough_inbound_ipv${version}`,
]);

/** A part of Envoy's configuration as the text that Kuma wants it as: JSON is YAML. */
function envoyText(part: object): string {
  return JSON.stringify(part);
}

/** A policy's spec with the values in it read. */
function readValues(spec: unknown): unknown {
  return JSON.parse(
    JSON.stringify(spec ?? null, (key, value) =>
      key === "value" && typeof value === "string" ? readYaml(value) : value,
    ),
  );
}

function readYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 });
  } catch {
    return text;
  }
}
