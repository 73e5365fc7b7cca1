import { INJECTED, PREFIX } from "../admission/key.ts";
import { METADATA, METADATA_LIST } from "../kube/object-metadata.ts";
import { PIN_LABELS } from "../pins/record.ts";
import type { Answer, Ask } from "./calls.ts";
import { HookError } from "./error.ts";

/** The annotation of wasmount's namespace that has an uninstallation go on while injected pods run. */
export const FORCE = `${PREFIX}force-uninstall`;

const PAGE = 500;
/** Pods that a refusal names; of others it tells the number. */
const NAMED = 50;
/** The hook's Job has four minutes. */
const GONE_MS = 150_000;
/** What replicas that are ending get, however long their terminationGracePeriodSeconds: no API server calls them any more. */
const GRACE_SECONDS = 10;
const LOOK_MS = 1_000;

const ADMISSION = "/apis/admissionregistration.k8s.io/v1";
const GUARDS = [
  "wasmount-ephemeral-containers",
  "wasmount-exec",
  "wasmount-injected-pods",
  "wasmount-namespaces",
  "wasmount-pod-bindings",
  "wasmount-unfiltered-pods",
  "wasmount-unswitched-pods",
] as const;

export interface UninstallDependencies {
  readonly ask: Ask;
  /** wasmount's own. */
  readonly namespace: string;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  readonly sleep: (milliseconds: number) => Promise<void>;
  readonly say: (line: string) => void;
}

/** Injected pods that have not ended. */
export interface InjectedPods {
  readonly count: number;
  /** The first of them, as namespace/name. */
  readonly named: readonly string[];
}

/**
 * What comes before an uninstallation: refuses it while there are injected pods; then takes away what would stop pods once
 * no replica answers, ends the replicas, and removes what they made. What a release installed is left to whoever removes it.
 * Repeating it is safe.
 * @returns whether the uninstallation may go on
 * @throws HookError
 */
export async function uninstall({ ask, namespace, clock, sleep, say }: UninstallDependencies): Promise<boolean> {
  const pods = await injectedPods(ask);
  const forced = await isForced(ask, namespace);
  if (pods.count > 0) say(podsText(pods));
  if (pods.count > 0 && !forced) {
    say(
      `Nothing was removed. Their proxies keep their filters only as long as they run, and what guards them goes with wasmount: remove or restart these pods without filters first, or go on all the same: kubectl annotate namespace ${namespace} ${FORCE}=true`,
    );
    return false;
  }
  const own = `/api/v1/namespaces/${namespace}`;
  for (const guard of GUARDS) await remove(ask, `${ADMISSION}/validatingadmissionpolicybindings/${guard}`);
  for (const side of ["mutating", "validating"]) {
    await remove(ask, `${ADMISSION}/${side}webhookconfigurations/wasmount`);
  }
  say("API servers ask wasmount about no pod any more, and guard none.");
  await remove(ask, `/apis/apps/v1/namespaces/${namespace}/deployments/wasmount-webhook`);
  // A replica that still runs would make its Secrets anew.
  await replicasEnded(ask, own, clock, sleep);
  for (const secret of ["wasmount-webhook-ca", "wasmount-plan-keys"]) await remove(ask, `${own}/secrets/${secret}`);
  await remove(ask, `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/wasmount-controller`);
  await remove(ask, `${own}/configmaps?labelSelector=${encodeURIComponent(`${PIN_LABELS.record}=true`)}`);
  say("What the webhook had made is removed. The definitions of policies stay, with every policy.");
  return true;
}

/** Waits for the replicas of a Deployment that is gone. @throws HookError StillRunning */
async function replicasEnded(
  ask: Ask,
  own: string,
  clock: UninstallDependencies["clock"],
  sleep: UninstallDependencies["sleep"],
): Promise<void> {
  const replicas = `${own}/pods?labelSelector=${encodeURIComponent("app.kubernetes.io/name=wasmount,app.kubernetes.io/component=webhook")}`;
  const started = clock();
  for (;;) {
    const { items } = await page(ask, replicas);
    if (items.length === 0) return;
    if (clock() - started > GONE_MS) {
      throw new HookError("StillRunning", `replicas of the webhook did not end within ${GONE_MS / 1000} s: try again`);
    }
    // One that is not ending yet would be replaced.
    const patient = items.filter(({ metadata }) => (metadata.deletionGracePeriodSeconds ?? 0) > GRACE_SECONDS);
    for (const { metadata } of patient) {
      await remove(ask, `${own}/pods/${metadata.name}`, GRACE_SECONDS);
    }
    await sleep(LOOK_MS);
  }
}

/** Pods that have ended, as those of Jobs, have no filters to lose. @throws HookError */
async function injectedPods(ask: Ask): Promise<InjectedPods> {
  const named: string[] = [];
  let count = 0;
  let token = "";
  do {
    const query = new URLSearchParams({
      labelSelector: `${INJECTED}=true`,
      fieldSelector: "status.phase!=Succeeded,status.phase!=Failed",
      limit: String(PAGE),
      ...(token !== "" && { continue: token }),
    });
    const { items, next } = await page(ask, `/api/v1/pods?${query}`);
    count += items.length;
    named.push(...items.slice(0, NAMED - named.length).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`));
    token = next;
  } while (token !== "");
  return { count, named };
}

function podsText({ count, named }: InjectedPods): string {
  const others = count - named.length;
  // One line: Helm shows a hook's output as one, with its newlines written out.
  return `${count} injected ${count === 1 ? "pod runs" : "pods run"}: ${named.join(", ")}${others > 0 ? ` and ${others} more` : ""}.`;
}

async function isForced(ask: Ask, namespace: string): Promise<boolean> {
  const answer = await ask("GET", `/api/v1/namespaces/${namespace}`, { accept: METADATA });
  if (answer.status !== 200) throw refused("GET", `namespace ${namespace}`, answer);
  const { metadata } = answer.body as { readonly metadata?: { readonly annotations?: Record<string, string> } };
  return metadata?.annotations?.[FORCE] === "true";
}

interface Named {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    /** Of one that is ending. */
    readonly deletionGracePeriodSeconds?: number;
  };
}

async function page(ask: Ask, path: string): Promise<{ readonly items: readonly Named[]; readonly next: string }> {
  const answer = await ask("GET", path, { accept: METADATA_LIST });
  if (answer.status !== 200) throw refused("GET", path, answer);
  const { items, metadata } = answer.body as {
    readonly items?: readonly Named[] | null;
    readonly metadata?: { readonly continue?: string };
  };
  return { items: items ?? [], next: metadata?.continue ?? "" };
}

/** Removes an object, or those of a selector; what is not there need not be removed. */
/** @param grace seconds, for a pod. In the body, since an API server that gets one does not read the query. */
async function remove(ask: Ask, path: string, grace?: number): Promise<void> {
  const body = { propagationPolicy: "Background", ...(grace !== undefined && { gracePeriodSeconds: grace }) };
  const answer = await ask("DELETE", path, { body });
  if (answer.status >= 300 && answer.status !== 404) throw refused("DELETE", path, answer);
}

function refused(method: string, path: string, { status, message }: Answer): HookError {
  return new HookError("Refused", `${method} ${path}: HTTP ${status}${message === "" ? "" : `: ${message}`}`);
}
