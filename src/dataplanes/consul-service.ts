import { isDeepStrictEqual } from "node:util";
import { slotModulePath } from "../envoy/filter-file.ts";
import { members, text, type Watched } from "../kube/watched-kind.ts";
import { allowedCapabilities } from "../wasm/capabilities.ts";
import type { AttachingObject } from "./attaching-object.ts";
import type { AttachedFilter } from "./data-plane.ts";

/** The API of Consul's configuration entries in Kubernetes. */
const SERVICE_DEFAULTS_API = "consul.hashicorp.com/v1alpha1";
export const SERVICE_DEFAULTS_PATH = `/apis/${SERVICE_DEFAULTS_API}/servicedefaults`;

/** The extension that loads Wasm filters. */
const WASM = "builtin/wasm";
/** What is held of extensions of one, as JSON: who may write them in one namespace must not fill the webhook's memory for all. */
const HELD_BYTES = 256 * 1024;
/** No protocol and no mode has a longer name. */
const HELD_TEXT = 64;

/** A ServiceDefaults of the cluster, as far as filters hang on it. */
export interface StoredServiceDefaults extends Watched {
  /** null where it says none, or what Consul knows no such thing of. */
  readonly protocol: string | null;
  readonly mutualTLSMode: string | null;
  /** Those of its `envoyExtensions` that load Wasm; none where they are larger than {@link HELD_BYTES}. */
  readonly extensions: readonly unknown[];
  /** Whether Consul has it, and keeps it: status condition Synced, which may be of an earlier version while no server answers. */
  readonly isSynced: boolean;
}

/** How a service's ServiceDefaults stands to the one that is wanted. */
export type ServiceState = "Attached" | "Missing" | "Differs" | "NotSynced";

/**
 * Whether the filters are attached: the wanted extensions are there in their order, whatever others there are, and nothing of
 * the rest leads past them.
 */
function serviceState(stored: StoredServiceDefaults | undefined, wanted: AttachingObject): ServiceState {
  if (stored === undefined) return "Missing";
  const { protocol, mutualTLSMode, envoyExtensions } = wanted.spec;
  const left = [...(envoyExtensions as readonly unknown[])];
  for (const extension of stored.extensions) {
    if (left.length > 0 && isDeepStrictEqual(extension, left[0])) left.shift();
  }
  if (left.length > 0 || stored.protocol !== protocol || stored.mutualTLSMode !== mutualTLSMode) return "Differs";
  return stored.isSynced ? "Attached" : "NotSynced";
}

/** @param namespace null for the one of that name, wherever it is */
export function stateAmong(
  stored: Iterable<StoredServiceDefaults>,
  wanted: AttachingObject,
  namespace: string | null,
): ServiceState {
  let found: StoredServiceDefaults | undefined;
  for (const one of stored) {
    if (one.name !== wanted.metadata.name || (namespace !== null && one.namespace !== namespace)) continue;
    // Consul refuses the second of a name, so that neither tells what it has.
    if (found !== undefined) return "Differs";
    found = one;
  }
  return serviceState(found, wanted);
}

/** @throws KubeError Malformed */
export function readServiceDefaults(object: unknown): StoredServiceDefaults {
  const content = members(object, "a ServiceDefaults");
  const metadata = members(content.metadata, "a ServiceDefaults' metadata");
  const spec = members(content["spec"] ?? {}, "a ServiceDefaults' spec");
  const status = members(content["status"] ?? {}, "a ServiceDefaults' status");
  return {
    name: text(metadata.name, "a ServiceDefaults' name"),
    namespace: text(metadata.namespace ?? "", "a ServiceDefaults' namespace"),
    resourceVersion: text(metadata["resourceVersion"] ?? "", "a ServiceDefaults' resourceVersion"),
    protocol: held(spec["protocol"]),
    mutualTLSMode: held(spec["mutualTLSMode"]),
    extensions: wasmExtensions(spec["envoyExtensions"]),
    isSynced: (metadata["deletionTimestamp"] ?? null) === null && isSynced(status["conditions"]),
  };
}

function held(value: unknown): string | null {
  return typeof value === "string" && value.length <= HELD_TEXT ? value : null;
}

function wasmExtensions(extensions: unknown): readonly unknown[] {
  if (!Array.isArray(extensions)) return [];
  const found = extensions.filter(extension => extension?.name === WASM);
  return Buffer.byteLength(JSON.stringify(found)) > HELD_BYTES ? [] : found;
}

function isSynced(conditions: unknown): boolean {
  return (
    Array.isArray(conditions) &&
    conditions.some(condition => condition?.type === "Synced" && condition?.status === "True")
  );
}

/**
 * The ServiceDefaults by which the proxies of a service load the filters, in their order. The protocol is part of it, since
 * Consul leaves builtin/wasm out where a service has another one; so is strict TLS, without which plain connections pass
 * every HTTP filter.
 */
export function serviceDefaults(
  service: string,
  namespace: string | undefined,
  filters: readonly AttachedFilter[],
  root: string,
): AttachingObject {
  return {
    apiVersion: SERVICE_DEFAULTS_API,
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
    name: WASM,
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
