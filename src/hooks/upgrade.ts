import { parseDocument } from "yaml";
import { PREFIX } from "../admission/key.ts";
import { isSelectedBy } from "../dataplanes/data-plane.ts";
import { type Ask, refused } from "./calls.ts";
import { injectedPods, type Listed, NamedPods } from "./injected-pods.ts";
import { isAnnotated } from "./namespace-annotation.ts";

/** The annotation of wasmount's namespace that has an upgrade go on while pods carry slots that it changes. */
export const FORCE_UPGRADE = `${PREFIX}force-upgrade`;

/** The slots of a mesh, as a release installs them. */
export interface MeshSlots {
  /** Of each phase of each direction; 0 for none. */
  readonly slots: number;
  /** Where their objects stand. */
  readonly namespace: string;
  /** Kuma's, each of which has its own. */
  readonly meshes: readonly string[];
}

/** All slots of a release, and where they look for filter files. */
export interface InstalledSlots {
  readonly istio: MeshSlots;
  readonly kuma: MeshSlots;
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
  if (installed === null || MESHES.every(mesh => installed[mesh].slots === 0)) {
    say("No slots of a mesh are installed: there are none to lose.");
    return true;
  }
  const changes = new Map(MESHES.map(mesh => [mesh, changeOf(mesh, installed, wanted)]));
  const pods = new NamedPods();
  for await (const pod of injectedPods(ask)) {
    const { labels = {} } = pod.metadata;
    const change = changes.get(meshOf(pod, installed));
    const lost = Object.keys(labels).filter(label => isSelectedBy(label) && change?.takes(label, labels[KUMA_MESH]));
    if (lost.length > 0) pods.add(pod, ` (${lost.map(label => label.slice(PREFIX.length)).join(", ")})`);
  }
  if (pods.count === 0) {
    say("No running pod carries a slot that this upgrade changes.");
    return true;
  }
  const what = [...changes.values()].flatMap(change => (change === null ? [] : [change.what])).join(", ");
  say(
    `${what}, and ${pods.count} running ${pods.count === 1 ? "pod carries" : "pods carry"} slots that this changes: ${pods}.`,
  );
  if (await isAnnotated(ask, namespace, FORCE_UPGRADE)) return true;
  say(
    `Nothing was changed. Leave the setting as it is, remove or restart these pods without these filters first, or go on all the same: kubectl annotate namespace ${namespace} ${FORCE_UPGRADE}=true`,
  );
  return false;
}

const MESHES = ["istio", "kuma"] as const;
type MeshName = (typeof MESHES)[number];

/** What Kuma writes on the pods that it injects: a label, and an annotation. */
const KUMA_MESH = "kuma.io/mesh";
const KUMA_SIGN = "kuma.io/sidecar-injected";

/** Whose slots a pod carries. The labels are the same, but few clusters have two meshes. */
function meshOf({ metadata: { annotations, labels } }: Listed, installed: InstalledSlots): MeshName {
  if (installed.kuma.slots === 0) return "istio";
  if (installed.istio.slots === 0) return "kuma";
  return annotations?.[KUMA_SIGN] === "true" || labels?.[KUMA_MESH] !== undefined ? "kuma" : "istio";
}

const SETTINGS = {
  istio: { switch: "istio.enabled becomes false", slots: "istio.slots", namespace: "istio.rootNamespace" },
  kuma: { switch: "dataPlanes has kuma no more", slots: "kuma.slots", namespace: "kuma.systemNamespace" },
} as const;

interface Change {
  readonly what: string;
  /**
   * Whether it takes the slot of a label from a pod, or changes it.
   * @param mesh of Kuma that the pod says it is in
   */
  readonly takes: (label: string, mesh: string | undefined) => boolean;
}

/** null where a mesh loses nothing. */
function changeOf(mesh: MeshName, before: InstalledSlots, after: InstalledSlots): Change | null {
  const [from, to, setting] = [before[mesh], after[mesh], SETTINGS[mesh]];
  if (from.slots === 0) return null;
  const moved = movement(from, to, setting) ?? moveOf("volume.mountPath", before.mountPath, after.mountPath);
  if (moved !== null) return { what: moved, takes: () => true };
  const gone = from.meshes.filter(one => !to.meshes.includes(one));
  const fewer = to.slots < from.slots ? moveOf(setting.slots, from.slots, to.slots) : null;
  const what = [fewer, gone.length > 0 ? `kuma.meshes has ${gone.join(", ")} no more` : null].filter(
    one => one !== null,
  );
  if (what.length === 0) return null;
  const takes: Change["takes"] = (label, pods) => numberOf(label) > to.slots || gone.includes(pods ?? "default");
  return { what: what.join(", "), takes };
}

/** What changes for every slot; null where that is nothing. */
function movement(from: MeshSlots, to: MeshSlots, setting: (typeof SETTINGS)[MeshName]): string | null {
  if (to.slots === 0) return setting.switch;
  return moveOf(setting.namespace, from.namespace, to.namespace);
}

function moveOf(setting: string, from: string | number, to: string | number): string | null {
  return from === to ? null : `${setting} goes from ${from} to ${to}`;
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
  const { istio, kuma, dataPlanes, volume } = (parseDocument(data?.["wasmount.yaml"] ?? "").toJS() ??
    {}) as LooseConfig;
  return {
    istio: {
      slots: istio?.enabled === true ? Number(istio.slots ?? 4) : 0,
      namespace: String(istio?.rootNamespace ?? "istio-system"),
      meshes: [],
    },
    kuma: {
      slots: [dataPlanes].flat().includes("kuma") ? Number(kuma?.slots ?? 4) : 0,
      namespace: String(kuma?.systemNamespace ?? "kuma-system"),
      meshes: [kuma?.meshes ?? "default"].flat().map(String),
    },
    mountPath: String(volume?.mountPath ?? "/wasmount"),
  };
}

interface LooseConfig {
  readonly istio?: { readonly enabled?: unknown; readonly slots?: unknown; readonly rootNamespace?: unknown };
  readonly kuma?: { readonly slots?: unknown; readonly systemNamespace?: unknown; readonly meshes?: unknown };
  readonly dataPlanes?: unknown;
  readonly volume?: { readonly mountPath?: unknown };
}
