import { type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import { slotModulePath } from "../envoy/filter-file.ts";
import { DNS_LABEL } from "../kube/dns-label.ts";
import type { Pod } from "../kube/pod.ts";
import { allowedCapabilities } from "../wasm/capabilities.ts";
import type { AttachingObject } from "./attaching-object.ts";
import { findConsulProxy, SERVICE_ANNOTATIONS, serviceOf } from "./consul-container.ts";
import { refuseConsulDetours } from "./consul-detour.ts";
import type { AttachedFilter, Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import type { LockedProxies } from "./detour.ts";
import { refuseShadowing } from "./shadowing.ts";

const INJECT = "consul.hashicorp.com/connect-inject";
/** What Go takes for true (strconv.ParseBool). */
const TRUE = ["1", "t", "T", "true", "TRUE", "True"];

/**
 * Consul's Envoy: its listeners come from Consul's servers, which add a filter only by an extension of theirs, builtin/wasm.
 * It takes no filter file, but a module's path, and stands in the ServiceDefaults of a service, which serves all its pods.
 */
export function consulDataPlane(settings: LockedProxies): DataPlane {
  return {
    name: "consul",
    find: findConsulProxy,
    // Whether Consul injects pods that say nothing is its own setting: operators name a label (proxy.injectedBy).
    expected: ({ metadata: { annotations } }) =>
      TRUE.includes(annotations?.[INJECT] ?? "") ? `annotation ${INJECT}=${annotations?.[INJECT]} on the pod` : null,
    attach: (pod, proxy, wishes, load) => attach(pod, proxy, wishes, load, settings),
  };
}

function attach(
  pod: Pod,
  proxy: ProxyContainer,
  _wishes: ProxyWishes,
  { root, filters, locked }: Load,
  settings: LockedProxies,
): OrRefusal<Attachment> {
  const service = serviceOf(pod, proxy);
  if (service === null || !DNS_LABEL.test(service)) {
    const found = service === null ? "the pod does not say" : `${JSON.stringify(service)} is no DNS label`;
    return refuse(
      "ProxyUnsupported",
      `filters hang on the ServiceDefaults of the pod's service in Consul, and which that is ${found}: annotate ${SERVICE_ANNOTATIONS} with its name`,
    );
  }
  const refused =
    refuseShadowing(proxy.container, root) ??
    (locked ? refuseConsulDetours(pod, proxy, settings) : null) ??
    filters.reduce<Refusal | null>((first, filter) => first ?? refuseFilter(filter), null);
  if (refused) return refused;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: {},
    annotations: {},
    proxy: { mounts: [] },
    objects: () => [serviceDefaults(service, pod.metadata.namespace, filters, root)],
    warnings: [
      `the filters are attached by ServiceDefaults ${service}, which has to be in the cluster before the pod: without it the pod runs unfiltered (wasmount attach prints it)`,
      ...filters.flatMap(({ name, rootId }) =>
        rootId === null
          ? [
              `filter ${name} gets the empty root id, whatever its image says: annotate wasmount.dev/root-id.${name} if it has one`,
            ]
          : [],
      ),
    ],
  };
}

/** What builtin/wasm can't be told (agent/envoyextensions/builtin/wasm). */
function refuseFilter({ name, phase, runtimeFailure }: AttachedFilter): Refusal | null {
  if (phase !== "last") {
    return refuse(
      "ProxyUnsupported",
      `annotation wasmount.dev/phase.${name}=${phase}: Consul puts filters just before the router, so that "last" (the default) is all there is`,
    );
  }
  if (runtimeFailure !== "closed") {
    return refuse(
      "ProxyUnsupported",
      `annotation wasmount.dev/runtime-failure.${name}=${runtimeFailure}: with Consul, what lets requests pass at a trap also lets a proxy start without the filter: "closed" (the default) is all there is`,
    );
  }
  return null;
}

/**
 * The ServiceDefaults by which the proxies of a service load the filters, in their order. The protocol is part of it, since
 * Consul leaves builtin/wasm out where a service has another one; so is strict TLS, without which plain connections pass
 * every HTTP filter.
 */
function serviceDefaults(
  service: string,
  namespace: string | undefined,
  filters: readonly AttachedFilter[],
  root: string,
): AttachingObject {
  return {
    apiVersion: "consul.hashicorp.com/v1alpha1",
    kind: "ServiceDefaults",
    metadata: { name: service, ...(namespace === undefined ? {} : { namespace }) },
    spec: {
      protocol: "http",
      mutualTLSMode: "strict",
      envoyExtensions: filters.map(filter => extension(filter, root)),
    },
  };
}

function extension({ name, slot, rootId, config, capabilities }: AttachedFilter, root: string): object {
  const allowed = capabilities && allowedCapabilities(capabilities);
  return {
    name: "builtin/wasm",
    // A proxy that can't have the extension gets no listeners, and a trap refuses the request.
    required: true,
    arguments: {
      Protocol: "http",
      ListenerType: "inbound",
      ProxyType: "connect-proxy",
      PluginConfig: {
        Name: name,
        RootID: rootId ?? "",
        // Filters of one module would share a VM, and a trap in one would take the other down.
        VmConfig: { VmID: slot, Runtime: "v8", Code: { Local: { Filename: slotModulePath(root, slot) } } },
        ...(config === null ? {} : { Configuration: config }),
        ...(allowed
          ? {
              CapabilityRestrictionConfiguration: {
                AllowedCapabilities: Object.fromEntries(allowed.map(capability => [capability, {}])),
              },
            }
          : {}),
      },
    },
  };
}
