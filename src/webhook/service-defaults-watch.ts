import { setTimeout as sleep } from "node:timers/promises";
import type { KubeConfig } from "@kubernetes/client-node";
import type { AttachingObject } from "../dataplanes/attaching-object.ts";
import {
  readServiceDefaults,
  SERVICE_DEFAULTS_PATH,
  type ServiceState,
  type StoredServiceDefaults,
  stateAmong,
} from "../dataplanes/consul-service.ts";
import { apiServer } from "../kube/api-server.ts";
import {
  CollectionWatch,
  doubtAbout,
  type Interruption,
  WATCH_SETTINGS,
  type WatchSettings,
} from "../kube/collection-watch.ts";
import { KubeError } from "../kube/error.ts";
import type { WatchedKind } from "../kube/watched-kind.ts";

/** How the ServiceDefaults of Consul's services stand in the cluster. */
export interface ServiceDefaultsWatch {
  /** @throws KubeError Unreachable, where what is held may be out of date */
  state(wanted: AttachingObject, namespace: string | null): ServiceState;
  readonly synced: () => boolean;
  /** Seconds since the API server last confirmed what is held; null where it never did. */
  readonly contactSeconds: () => number | null;
  close(): Promise<void>;
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
    readonly settings?: WatchSettings & { readonly staleMs: number };
  },
): ServiceDefaultsWatch {
  const watch = new CollectionWatch<StoredServiceDefaults>({
    server: apiServer(kubeConfig),
    path: SERVICE_DEFAULTS_PATH,
    kind,
    settings,
    interrupted,
    now: () => performance.now(),
    random: Math.random,
    sleep: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
  });
  return {
    state(wanted, namespace) {
      const reason = doubtAbout("ServiceDefaults", watch, settings.staleMs);
      if (reason !== null) throw new KubeError("Unreachable", `can't tell which services have filters: ${reason}`);
      return stateAmong(watch.all(), wanted, namespace);
    },
    synced: () => watch.synced,
    contactSeconds: () => (watch.contactAge === null ? null : watch.contactAge / 1000),
    close: () => watch.close(),
  };
}

const kind: WatchedKind<StoredServiceDefaults> = {
  list: "ServiceDefaultsList",
  accept: { list: "application/json", watch: "application/json" },
  read: readServiceDefaults,
};
