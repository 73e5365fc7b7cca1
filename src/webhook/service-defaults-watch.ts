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
import { ObjectGroups } from "../kube/object-groups.ts";
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
  const services = new ObjectGroups<StoredServiceDefaults>(({ name }) => name);
  const watch = attachingWatch<StoredServiceDefaults>(kubeConfig, {
    plural: "ServiceDefaults",
    path: SERVICE_DEFAULTS_PATH,
    kind,
    changed: (before, after) => services.change(before, after),
    settings,
    interrupted,
  });
  return {
    state(wanted, namespace) {
      return stateAmong(watch.isUnknown() ? [] : services.of(wanted.metadata.name), wanted, namespace);
    },
    synced: watch.synced,
    contactSeconds: watch.contactSeconds,
    close: watch.close,
  };
}

const kind: WatchedKind<StoredServiceDefaults> = {
  list: "ServiceDefaultsList",
  accept: { list: "application/json", watch: "application/json" },
  read: readServiceDefaults,
};
