import { type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import { slotModulePath } from "../envoy/filter-file.ts";
import type { Pod } from "../kube/pod.ts";
import type { AttachingObject } from "./attaching-object.ts";
import type { AttachedFilter, Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { longRunningNamed } from "./long-running.ts";
import { proxyUser } from "./proxy-user.ts";
import { refuseShadowing } from "./shadowing.ts";
import { refuseUnseen } from "./unseen-object.ts";

/** Labels of a proxy's pods in Gloo's chart (install/helm/gloo/templates/7-gateway-proxy-deployment.yaml). */
const KIND = "gloo";
const ID = "gateway-proxy-id";
/** The user that the chart gives its proxies. */
const GLOO_ID = 10_101;
/** The image of Gloo Edge Enterprise's proxy, in whatever registry. */
const ENTERPRISE = "gloo-ee-envoy-wrapper";

const STRING_VALUE = "type.googleapis.com/google.protobuf.StringValue";
/** Ahead of all of Gloo's own filters, and just before the router (wasm.options.gloo.solo.io, FilterStage). */
const STAGES = { first: "FaultStage", last: "RouteStage" } as const;

/**
 * The proxies of Gloo Edge Enterprise, which load modules by `options.wasm` of their Gateways (gateway.solo.io/v1): there is no
 * place for Envoy's own configuration, so that they read modules and no filter files. The open edition has no Wasm.
 */
export const glooDataPlane: DataPlane = {
  name: "gloo",
  find,
  // Its chart writes whole pods.
  expected: () => null,
  attach,
};

function find(pod: Pod, { proxyContainer }: ProxyWishes): OrRefusal<ProxyContainer> {
  const id = pod.metadata.labels?.[KIND] === "gateway-proxy" ? pod.metadata.labels[ID] : undefined;
  const found = id === undefined ? null : longRunningNamed(pod, id);
  if (found === null || (proxyContainer ?? id) !== id) {
    return refuse(
      "ProxyNotFound",
      `looked for a container with the name in label ${ID} of a pod with label ${KIND}=gateway-proxy, which Gloo's chart writes`,
    );
  }
  const { container } = found;
  const image = container.image ?? "";
  if (!new RegExp(`(?:^|/)${ENTERPRISE}(?:[:@]|$)`).test(image)) {
    return refuse(
      "ProxyUnsupported",
      `container ${container.name} runs ${image}: only Gloo Edge Enterprise (${ENTERPRISE}) loads Wasm filters, and the open edition ignores what says so, so that requests would pass unfiltered`,
    );
  }
  return {
    ...found,
    ...proxyUser(pod, container, GLOO_ID),
    envoyVersion: null,
    directions: ["gateway"],
  };
}

function attach(
  pod: Pod,
  proxy: ProxyContainer,
  { listeners = [] }: ProxyWishes,
  { root, filters, locked }: Load,
): OrRefusal<Attachment> {
  const refused =
    refuseShadowing(proxy.container, root) ?? refuseUnseen(locked, "options of a Gateway") ?? refuseFilters(filters);
  if (refused) return refused;
  const id = proxy.container.name;
  const gateways = listeners.length === 0 ? [id, `${id}-ssl`] : listeners;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: {},
    annotations: {},
    proxy: { mounts: [] },
    objects: () => gateways.map(name => gateway(name, pod.metadata.namespace, filters, root)),
    warnings: [
      `requests pass unfiltered until Gateways ${gateways.join(", ")} name the filters (kubectl apply --server-side --field-manager=wasmount of what wasmount attach prints), and in other Gateways`,
    ],
  };
}

/** What Gloo's options can't say, or say in no order. */
function refuseFilters(filters: readonly AttachedFilter[]): Refusal | null {
  for (const { name, phase, rootId, runtimeFailure, capabilities } of filters) {
    const others = filters.filter(other => other.phase === phase && other.name !== name);
    if (others[0] !== undefined) {
      return unsupported(
        `filters ${name} and ${others[0].name} are both of phase ${phase}, inside of which Gloo keeps no order of Wasm filters: one filter a phase`,
      );
    }
    if (rootId === null) {
      return unsupported(
        `annotate wasmount.dev/root-id.${name}: Gloo's options have to name it, and what the image says of it is read too late`,
      );
    }
    if (runtimeFailure === "reload") {
      return unsupported(`annotation wasmount.dev/runtime-failure.${name}=reload: Gloo knows closed and open`);
    }
    if (capabilities !== null) {
      return unsupported(`annotation wasmount.dev/capabilities.${name}: Gloo's options have no such restriction`);
    }
  }
  return null;
}

function unsupported(detail: string): Refusal {
  return refuse("ProxyUnsupported", detail);
}

/** The members of a Gateway that are ours: applied to one that stands, they are merged into it. */
function gateway(
  name: string,
  namespace: string | undefined,
  filters: readonly AttachedFilter[],
  root: string,
): AttachingObject {
  return {
    apiVersion: "gateway.solo.io/v1",
    kind: "Gateway",
    metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
    spec: { httpGateway: { options: { wasm: { filters: filters.map(filter => wasmFilter(filter, root)) } } } },
  };
}

/** wasm.options.gloo.solo.io.WasmFilter. */
function wasmFilter({ name, slot, phase, config, rootId, runtimeFailure }: AttachedFilter, root: string) {
  return {
    name,
    filePath: slotModulePath(root, slot),
    rootId,
    ...(config === null ? {} : { config: { "@type": STRING_VALUE, value: config } }),
    filterStage: { stage: STAGES[phase], predicate: "Before" },
    failOpen: runtimeFailure === "open",
  };
}
