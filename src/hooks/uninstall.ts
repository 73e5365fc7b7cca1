import { PREFIX } from "../admission/key.ts";
import { PIN_LABELS } from "../pins/record.ts";
import { type Ask, refused } from "./calls.ts";
import { HookError } from "./error.ts";
import { injectedPods, listed, NamedPods } from "./injected-pods.ts";
import { isAnnotated } from "./namespace-annotation.ts";

/** The annotation of wasmount's namespace that has an uninstallation go on while injected pods run. */
export const FORCE = `${PREFIX}force-uninstall`;

/** The hook's Job has four minutes. */
const GONE_MS = 150_000;
/** What replicas that are ending get, however long their terminationGracePeriodSeconds: no API server calls them any more. */
const GRACE_SECONDS = 10;
const LOOK_MS = 1_000;

const REPLICAS = encodeURIComponent("app.kubernetes.io/name=wasmount,app.kubernetes.io/component=webhook");
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

/**
 * What comes before an uninstallation: refuses it while there are injected pods; then takes away what would stop pods once
 * no replica answers, ends the replicas, and removes what they made. What a release installed is left to whoever removes it.
 * Repeating it is safe.
 * @returns whether the uninstallation may go on
 * @throws HookError
 */
export async function uninstall({ ask, namespace, clock, sleep, say }: UninstallDependencies): Promise<boolean> {
  const pods = new NamedPods();
  for await (const pod of injectedPods(ask)) pods.add(pod);
  const forced = await isAnnotated(ask, namespace, FORCE);
  if (pods.count > 0) say(`${pods.count} injected ${pods.count === 1 ? "pod runs" : "pods run"}: ${pods}.`);
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
  // Without what they own: the garbage collector would give replicas all their time, and a kubelet that was told so once is
  // slow to hear of less. None of the two makes pods any more while it waits for its own end.
  const apps = `/apis/apps/v1/namespaces/${namespace}`;
  await remove(ask, `${apps}/deployments/wasmount-webhook`, { propagationPolicy: "Orphan" });
  await remove(ask, `${apps}/replicasets?labelSelector=${REPLICAS}`, { propagationPolicy: "Orphan" });
  // A replica that still runs would make its Secrets anew.
  await replicasEnded(ask, own, clock, sleep);
  for (const secret of ["wasmount-webhook-ca", "wasmount-plan-keys"]) await remove(ask, `${own}/secrets/${secret}`);
  await remove(ask, `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/wasmount-controller`);
  await remove(ask, `${own}/configmaps?labelSelector=${encodeURIComponent(`${PIN_LABELS.record}=true`)}`);
  say("What the webhook had made is removed. The definitions of policies stay, with every policy.");
  return true;
}

/** Ends the replicas of a Deployment that is gone, and waits for it. @throws HookError StillRunning */
async function replicasEnded(
  ask: Ask,
  own: string,
  clock: UninstallDependencies["clock"],
  sleep: UninstallDependencies["sleep"],
): Promise<void> {
  const started = clock();
  for (;;) {
    const { items } = await listed(ask, `${own}/pods?labelSelector=${REPLICAS}`);
    if (items.length === 0) return;
    if (clock() - started > GONE_MS) {
      throw new HookError("StillRunning", `replicas of the webhook did not end within ${GONE_MS / 1000} s: try again`);
    }
    const patient = items.filter(
      ({ metadata: { deletionGracePeriodSeconds: grace } }) => grace === undefined || grace > GRACE_SECONDS,
    );
    for (const { metadata } of patient) {
      await remove(ask, `${own}/pods/${metadata.name}`, { gracePeriodSeconds: GRACE_SECONDS });
    }
    await sleep(LOOK_MS);
  }
}

/**
 * Removes an object, or those of a selector; what is not there need not be removed.
 * @param options in the body, since an API server that gets one does not read the query
 */
async function remove(ask: Ask, path: string, options: object = { propagationPolicy: "Background" }): Promise<void> {
  const answer = await ask("DELETE", path, { body: options });
  if (answer.status >= 300 && answer.status !== 404) throw refused("DELETE", path, answer);
}
