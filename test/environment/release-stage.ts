import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { version } from "../../src/cli/version.ts";
import type { Cluster } from "./cluster/cluster.ts";
import type { Progress } from "./cluster/progress.ts";
import { chartFolder, Helm } from "./helm.ts";
import { releaseArchive, testRelease } from "./images/release.ts";
import { Kubectl } from "./kubectl.ts";
import { makeNamespace } from "./namespace.ts";
import { type ExampleObjects, type Manifest, raiseExample } from "./stage.ts";

/** The namespace that a release is installed in. */
export const RELEASE_NAMESPACE = "wasmount-system";
const REPOSITORY = "docker.io/local/wasmount-release";

/** Objects of the whole cluster that a release has, and must not leave. */
const WIDE =
  "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";
const OWN = "all,secrets,configmaps,leases,roles,rolebindings,serviceaccounts,poddisruptionbudgets,networkpolicies";

/** A cluster with all that an installation of the chart needs, the image of the Dockerfile among it. */
export interface ReleaseStage {
  readonly kubectl: Kubectl;
  readonly helm: Helm;
  /** The example, in a namespace of its own that is switched on and there. */
  readonly example: ExampleObjects;
  /** References of the same image by two tags: what is installed, and what it is upgraded to. */
  readonly images: { readonly first: string; readonly next: string };
  /** Runs `helm install` or `helm upgrade` of the chart until replicas are ready. */
  release(verb: "install" | "upgrade", ...args: readonly string[]): Promise<string>;
  /** Names of all objects that are wasmount's and were not there before. */
  remaining(): Promise<readonly string[]>;
  /** Takes everything away. */
  strike(): Promise<void>;
}

/** @param shop the example's namespace */
export async function setReleaseStage(cluster: Cluster, shop: string, progress: Progress): Promise<ReleaseStage> {
  const folder = await mkdtemp(join(tmpdir(), "wasmount-release-"));
  const kubectl = new Kubectl(cluster);
  const helm = await Helm.open(progress, cluster.kubeconfigPath);
  const built = await testRelease(version, progress);
  const tagged = (tag: string) => releaseArchive(built, `${REPOSITORY}:${tag}`);
  await clean(kubectl, shop);
  const raised = await raiseExample(cluster, folder, progress, { image: () => tagged("1") });
  const next = await cluster.importImage((await tagged("2")).archivePath);
  const example = await raised.example(shop);
  await makeNamespace(kubectl, RELEASE_NAMESPACE, { labels: { "pod-security.kubernetes.io/enforce": "restricted" } });
  await makeNamespace(kubectl, shop, example.namespace.metadata);
  await kubectl.apply(example.configMap);
  const values = join(folder, "values.yaml");
  await writeFile(
    values,
    stringify({
      image: { repository: REPOSITORY, tag: "1", pullPolicy: "Never" },
      fetcher: { imagePullPolicy: "Never" },
      registries: [{ host: raised.address, plainHttp: true }],
    }),
  );
  const all = async () => {
    const wide = await kubectl.run(["get", WIDE, "-o", "name"]);
    const own = await kubectl.run(["get", OWN, "-n", RELEASE_NAMESPACE, "-o", "name"]);
    return `${wide}\n${own}`.split("\n").filter(name => name.includes("wasmount"));
  };
  const foreign = await all();
  return {
    kubectl,
    helm,
    example,
    images: { first: raised.images.wasmount, next },
    release(verb, ...args) {
      const flags = ["-n", RELEASE_NAMESPACE, "--values", values, "--wait", "--timeout", "5m", ...args];
      // Definitions of policies are kept when a release goes.
      return helm.run(verb, "wasmount", chartFolder, ...(verb === "install" ? ["--take-ownership"] : []), ...flags);
    },
    remaining: async () => (await all()).filter(name => !foreign.includes(name)),
    async strike() {
      await clean(kubectl, shop);
      await raised.strike();
      await rm(folder, { recursive: true });
    },
  };
}

async function clean(kubectl: Kubectl, shop: string): Promise<void> {
  // Of a release, not of other tests that share the cluster.
  const label = ["-l", "app.kubernetes.io/name=wasmount,app.kubernetes.io/instance=wasmount"];
  for (const kind of WIDE.split(",")) await kubectl.run(["delete", kind, ...label]);
  await kubectl.run(["delete", "namespace", RELEASE_NAMESPACE, shop, "--ignore-not-found", "--timeout=180s"]);
  await kubectl.run(["delete", "role,rolebinding", "wasmount-self-test", "-n", "default", "--ignore-not-found"]);
}

/** The replicas that run, in the order of their names. */
export async function replicas(kubectl: Kubectl): Promise<readonly Manifest[]> {
  const label = "app.kubernetes.io/name=wasmount,app.kubernetes.io/component=webhook";
  const { items } = await kubectl.get<Manifest>("pods", "-n", RELEASE_NAMESPACE, "-l", label);
  return items.filter(({ metadata }: Manifest) => metadata.deletionTimestamp === undefined);
}
