import { openCluster } from "./cluster/cluster.ts";
import { applyGuards, untilEnforced } from "./guards.ts";
import { Kubectl } from "./kubectl.ts";
import type { Manifest } from "./stage.ts";
import { until } from "./until.ts";

/** The label of the namespaces of a run of tests. */
const LABEL = "guards.test/run";

/** A module's reference: never fetched, since no such pod runs. */
export const MODULE = `registry.example/headers@sha256:${"a".repeat(64)}`;

/** The image of the fetcher of {@link injected}. */
const FETCHER_IMAGE = "registry.example/wasmount:1";

/** A cluster whose API server enforces the guards in this run's namespaces, and in no others. */
export interface GuardedCluster {
  readonly kubectl: Kubectl;
  readonly policies: readonly string[];
  create(manifest: Manifest, ...options: readonly string[]): Promise<string>;
  /** Puts a namespace under the guards in which there are pods already. */
  guard(namespace: string): Promise<void>;
  /** Removes guards and namespaces; the cluster stays. */
  close(): Promise<void>;
}

/**
 * Makes the namespaces anew, then applies the guards.
 * @param run a DNS label that no other suite uses
 * @param namespaces made by {@link namespaceOf}; the first one has no switch
 * @param images that the guards are told to be wasmount's
 */
export async function openGuarded(
  run: string,
  namespaces: readonly Manifest[],
  images: readonly string[] = [FETCHER_IMAGE],
): Promise<GuardedCluster> {
  const kubectl = new Kubectl(await openCluster({ node: false, progress: line => console.log(`      ${line}`) }));
  const names: string[] = namespaces.map(({ metadata }) => metadata.name);
  await kubectl.run(["delete", "namespace", ...names, "--ignore-not-found"]);
  await kubectl.apply(...namespaces);
  for (const name of names) await serviceAccount(kubectl, name);
  const { policies, remove } = await applyGuards(kubectl, {
    label: LABEL,
    value: run,
    namespace: names[0] ?? run,
    images,
  });
  return {
    kubectl,
    policies,
    create: (manifest, ...options) => kubectl.run(["create", "-f", "-", ...options], JSON.stringify(manifest)),
    guard: async namespace => {
      await kubectl.run(["label", "namespace", namespace, `${LABEL}=${run}`, "--overwrite"]);
      await untilEnforced(kubectl, namespace);
    },
    close: async () => {
      await remove();
      await kubectl.run(["delete", "namespace", ...names, "--ignore-not-found", "--wait=false"]);
    },
  };
}

/** Waits for what pods can't be created without. */
async function serviceAccount(kubectl: Kubectl, namespace: string): Promise<void> {
  const account = () => kubectl.get("serviceaccount", "default", "-n", namespace);
  await until(`the default ServiceAccount of namespace ${namespace}`, account, { seconds: 20 });
}

/** A namespace of a run. */
export function namespaceOf(run: string, name: string, labels: object = {}, annotations: object = {}): Manifest {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { [LABEL]: run, ...labels }, annotations } };
}

/** A pod as its author writes it. It is never scheduled, so no kubelet has a part in its end. */
export function authored(namespace: string, name = "authored"): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations: { "wasmount.dev/module.headers": MODULE } },
    spec: {
      nodeSelector: { "guards.test/node": "none" },
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: "app", image: "registry.example/app:1" },
        { name: "envoy", image: "registry.example/envoy:1" },
      ],
    },
  };
}

/** The same pod after admission, in what the guards look at. */
export function injected(namespace: string, name: string): Manifest {
  const pod = authored(namespace, name);
  pod.metadata.labels = { "wasmount.dev/injected": "true", "wasmount.dev/plan": "0123456789ab" };
  pod.metadata.annotations["wasmount.dev/status"] = "{}";
  pod.spec.volumes = [
    { name: "wasmount", emptyDir: { sizeLimit: "64Mi" } },
    { name: "wasmount-no-token", emptyDir: { sizeLimit: "1Mi" } },
    { name: "wasmount-pull-secrets", projected: { sources: [{ secret: { name: "pull", optional: true } }] } },
  ];
  pod.spec.initContainers = [
    {
      name: "wasmount-fetch",
      image: FETCHER_IMAGE,
      securityContext: { runAsUser: 101, allowPrivilegeEscalation: false },
      volumeMounts: [
        { name: "wasmount", mountPath: "/wasmount" },
        { name: "wasmount-no-token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
      ],
    },
    {
      name: "native-proxy",
      image: "registry.example/native:1",
      restartPolicy: "Always",
      volumeMounts: [{ name: "wasmount", mountPath: "/wasmount", readOnly: true }],
    },
  ];
  pod.spec.containers[1].volumeMounts = [{ name: "wasmount", mountPath: "/wasmount", readOnly: true }];
  return pod;
}
