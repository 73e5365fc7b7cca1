import { type OrRefusal, type Refusal, refuse } from "../decision/refusal.ts";
import { DNS_LABEL } from "../kube/dns-label.ts";
import type { Pod } from "../kube/pod.ts";
import type { AttachingObject } from "./attaching-object.ts";
import { refuseAuthorsProxy } from "./authors-proxy.ts";
import { consulNamespaceOf, findConsulProxy, SERVICE_ANNOTATIONS, serviceOf } from "./consul-container.ts";
import { type ServiceState, serviceDefaults } from "./consul-service.ts";
import type { AttachedFilter, Attachment, DataPlane, Load, ProxyContainer, ProxyWishes } from "./data-plane.ts";
import { refuseShadowing } from "./shadowing.ts";

/** What there is of Consul. */
export interface ConsulSettings {
  /**
   * How the ServiceDefaults of a service stands to the one that is wanted; null where nobody looks.
   * @param namespace of Kubernetes, where services of several namespaces may have one name; else null
   * @throws KubeError Unreachable, where that can't be told
   */
  readonly serviceState: ((wanted: AttachingObject, namespace: string | null) => ServiceState) | null;
}

const INJECT = "consul.hashicorp.com/connect-inject";
/** What Go takes for true (strconv.ParseBool). */
const TRUE = ["1", "t", "T", "true", "TRUE", "True"];

/**
 * Consul's Envoy: its listeners come from Consul's servers, which add a filter only by an extension of theirs, builtin/wasm.
 * It takes no filter file, but a module's path, and stands in the ServiceDefaults of a service, which serves all its pods.
 */
export function consulDataPlane(settings: ConsulSettings): DataPlane {
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
  settings: ConsulSettings,
): OrRefusal<Attachment> {
  const unlockable = refuseAuthorsProxy(locked, "Consul");
  if (unlockable) return unlockable;
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
    filters.reduce<Refusal | null>((first, filter) => first ?? refuseFilter(filter), null);
  if (refused) return refused;
  const wanted = serviceDefaults(service, pod.metadata.namespace, filters, root);
  const unattached = refuseUnattached(wanted, pod, proxy, settings);
  if (unattached) return unattached;
  return {
    bootstrap: null,
    fetcherMounts: [],
    labels: {},
    annotations: {},
    proxy: { mounts: [] },
    objects: () => [wanted],
    warnings: [
      ...(settings.serviceState === null
        ? [
            `the filters are attached by ServiceDefaults ${service}, which has to be in the cluster before the pod: without it the pod runs unfiltered (wasmount attach prints it)`,
          ]
        : []),
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

function refuseUnattached(
  wanted: AttachingObject,
  pod: Pod,
  proxy: ProxyContainer,
  { serviceState }: ConsulSettings,
): Refusal | null {
  if (serviceState === null) return null;
  const state = serviceState(wanted, consulNamespaceOf(proxy) === null ? null : (pod.metadata.namespace ?? null));
  if (state === "Attached") return null;
  return refuse(
    "SlotNotInstalled",
    `ServiceDefaults ${wanted.metadata.name} ${STATES[state]}: wasmount attach prints it`,
  );
}

const STATES = {
  Missing: "is missing, and the pod would run unfiltered",
  Differs: "does not attach the pod's filters as they are",
  NotSynced: "is being deleted, or has not reached Consul yet (status condition Synced)",
} as const satisfies Record<Exclude<ServiceState, "Attached">, string>;

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
