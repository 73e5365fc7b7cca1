import type { KubeConfig } from "@kubernetes/client-node";
import type { AttachingObject } from "../dataplanes/attaching-object.ts";
import {
  readServiceDefaults,
  SERVICE_DEFAULTS_PATH,
  type ServiceState,
  type StoredServiceDefaults,
  stateAmong,
} from "../dataplanes/consul-service.ts";
import { type Interruption, WATCH_SETTINGS } from "../kube/collection-watch.ts";
import type { WatchedKind } from "../kube/watched-kind.ts";
import { type AttachingWatch, type AttachingWatchSettings, attachingWatch } from "./attaching-watch.ts";

/** How the ServiceDefaults of Consul's services stand in the cluster. */
export interface ServiceDefaultsWatch extends Pick<AttachingWatch<never>, "synced" | "contactSeconds" | "close"> {
  /** @throws KubeError Unreachable, where what is held may be out of date */
  state(wanted: AttachingObject, namespace: string | null): ServiceState;
}

/** One a service. */
export const SERVICE_DEFAULTS_SETTINGS = { ...WATCH_SETTINGS, staleMs: 60_000, items: 20_000 };

/** Holds all ServiceDefaults current, of all namespaces: Consul has one for a name, wherever in Kubernetes it stands. */
export function serviceDefaultsWatch(
  kubeConfig: KubeConfig,
  {
    interrupted,
    settings = SERVICE_DEFAULTS_SETTINGS,
  }: {
    readonly interrupted: (reason: Interruption) => void;
    readonly settings?: AttachingWatchSettings;
  },
): ServiceDefaultsWatch {
  /** By name, and then by namespace. */
  const services = new Map<string, Map<string, StoredServiceDefaults>>();
  const watch = attachingWatch<StoredServiceDefaults>(kubeConfig, {
    plural: "ServiceDefaults",
    path: SERVICE_DEFAULTS_PATH,
    kind,
    changed: (before, after) => note(services, before, after),
    settings,
    interrupted,
  });
  return {
    state(wanted, namespace) {
      const found = watch.isUnknown() ? undefined : services.get(wanted.metadata.name)?.values();
      return stateAmong(found ?? [], wanted, namespace);
    },
    synced: watch.synced,
    contactSeconds: watch.contactSeconds,
    close: watch.close,
  };
}

function note(
  services: Map<string, Map<string, StoredServiceDefaults>>,
  before: StoredServiceDefaults | undefined,
  after: StoredServiceDefaults | undefined,
): void {
  const name = after?.name ?? before?.name ?? "";
  const known = services.get(name) ?? new Map<string, StoredServiceDefaults>();
  if (before) known.delete(before.namespace);
  if (after) known.set(after.namespace, after);
  if (known.size > 0) services.set(name, known);
  else services.delete(name);
}

const kind: WatchedKind<StoredServiceDefaults> = {
  list: "ServiceDefaultsList",
  accept: { list: "application/json", watch: "application/json" },
  read: readServiceDefaults,
};
