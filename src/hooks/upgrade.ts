import { parseDocument } from "yaml";
import { PREFIX } from "../admission/key.ts";
import { isSelectedBy } from "../dataplanes/data-plane.ts";
import type { Ask } from "./calls.ts";
import { refused } from "./error.ts";
import { injectedPods, NamedPods } from "./injected-pods.ts";
import { isAnnotated } from "./namespace-annotation.ts";

/** The annotation of wasmount's namespace that has an upgrade go on while pods carry slots that it changes. */
export const FORCE_UPGRADE = `${PREFIX}force-upgrade`;

/** Where slots stand, how many there are, and where they look for filter files. */
export interface InstalledSlots {
  /** Of each phase of each direction; 0 for none. */
  readonly slots: number;
  /** Istio's root namespace. */
  readonly rootNamespace: string;
  /** Where the shared volume is mounted in proxies. */
  readonly mountPath: string;
}

export interface UpgradeDependencies {
  readonly ask: Ask;
  /** wasmount's own. */
  readonly namespace: string;
  readonly say: (line: string) => void;
}

/**
 * What comes before an upgrade: refuses one that takes slots from pods that run, or has them look for filter files where
 * those pods have none. What is installed is read from the configuration of the release that still is.
 * @returns whether the upgrade may go on
 * @throws HookError
 */
export async function mayUpgrade(
  wanted: InstalledSlots,
  { ask, namespace, say }: UpgradeDependencies,
): Promise<boolean> {
  const installed = await installedSlots(ask, namespace);
  if (installed === null || installed.slots === 0) {
    say("No slots of Istio are installed: there are none to lose.");
    return true;
  }
  const moved = movement(installed, wanted);
  const lost = (label: string) => moved !== null || numberOf(label) > wanted.slots;
  const pods = new NamedPods();
  for await (const pod of injectedPods(ask)) {
    const labels = Object.keys(pod.metadata.labels ?? {}).filter(label => isSelectedBy(label) && lost(label));
    if (labels.length > 0) pods.add(pod, ` (${labels.map(label => label.slice(PREFIX.length)).join(", ")})`);
  }
  if (pods.count === 0) {
    say("No running pod carries a slot that this upgrade changes.");
    return true;
  }
  const what = moved ?? `istio.slots goes from ${installed.slots} to ${wanted.slots}`;
  say(
    `${what}, and ${pods.count} running ${pods.count === 1 ? "pod carries" : "pods carry"} slots that this changes: ${pods}.`,
  );
  if (await isAnnotated(ask, namespace, FORCE_UPGRADE)) return true;
  say(
    `Nothing was changed. Leave the setting as it is, remove or restart these pods without these filters first, or go on all the same: kubectl annotate namespace ${namespace} ${FORCE_UPGRADE}=true`,
  );
  return false;
}

/** What changes for every slot; null where that is nothing. */
function movement(from: InstalledSlots, to: InstalledSlots): string | null {
  if (to.slots === 0) return "istio.enabled becomes false";
  if (to.rootNamespace !== from.rootNamespace) {
    return `istio.rootNamespace goes from ${from.rootNamespace} to ${to.rootNamespace}`;
  }
  if (to.mountPath !== from.mountPath) return `volume.mountPath goes from ${from.mountPath} to ${to.mountPath}`;
  return null;
}

/** Of "wasmount.dev/slot-in-last-03"; 0 of a label that is no slot's. */
function numberOf(label: string): number {
  return Number(/-(\d{2})$/.exec(label)?.[1] ?? 0);
}

/**
 * As the configuration of the release says that is installed, with the defaults that it may leave out; null where there is
 * none. It may be another release's: nothing but these members is looked at.
 */
async function installedSlots(ask: Ask, namespace: string): Promise<InstalledSlots | null> {
  const path = `/api/v1/namespaces/${namespace}/configmaps/wasmount-config`;
  const answer = await ask("GET", path);
  if (answer.status === 404) return null;
  if (answer.status !== 200) throw refused("GET", path, answer);
  const { data } = answer.body as { readonly data?: Readonly<Record<string, string>> };
  const { istio, volume } = (parseDocument(data?.["wasmount.yaml"] ?? "").toJS() ?? {}) as {
    readonly istio?: { readonly enabled?: unknown; readonly slots?: unknown; readonly rootNamespace?: unknown };
    readonly volume?: { readonly mountPath?: unknown };
  };
  return {
    slots: istio?.enabled === true ? Number(istio.slots ?? 4) : 0,
    rootNamespace: String(istio?.rootNamespace ?? "istio-system"),
    mountPath: String(volume?.mountPath ?? "/wasmount"),
  };
}
