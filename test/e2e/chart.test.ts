import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { chartFolder, Helm, HelmError } from "../environment/helm.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import { type ExampleObjects, type Manifest, raiseExample } from "../environment/stage.ts";

const OWN = "wasmount-system";
const SHOP = "e2e-chart";
const NEXT = "registry.example/wasmount:next";
/** What a release leaves of the whole cluster must be none of these. */
const WIDE =
  "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings";

describe("the chart, installed on a real node", function () {
  this.timeout(20 * 60_000);

  let folder: string | undefined;
  let kubectl: Kubectl;
  let helm: Helm;
  let example: ExampleObjects;
  let strike: (() => Promise<void>) | undefined;
  let values: string;
  /** wasmount's own, of this run. */
  let image: string;
  /** What others have left. */
  let foreign: readonly string[] = [];

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    const cluster = await openCluster({ node: true, progress });
    folder = await mkdtemp(join(tmpdir(), "wasmount-chart-"));
    kubectl = new Kubectl(cluster);
    helm = await Helm.open(progress, cluster.kubeconfigPath);
    await clean();
    const raised = await raiseExample(cluster, folder, progress);
    strike = raised.strike;
    example = await raised.example(SHOP);
    await makeNamespace(kubectl, OWN, { labels: { "pod-security.kubernetes.io/enforce": "restricted" } });
    await makeNamespace(kubectl, SHOP, example.namespace.metadata);
    await kubectl.apply(example.configMap);
    image = raised.images.wasmount;
    foreign = await remaining();
    const [repository, tag] = image.split(/:(?=[^:]*$)/);
    values = join(folder, "values.yaml");
    await writeFile(
      values,
      stringify({
        image: { repository, tag, pullPolicy: "Never" },
        fetcher: { imagePullPolicy: "Never" },
        registries: [{ host: raised.address, plainHttp: true }],
        log: { level: "debug" },
      }),
    );
  });

  after(async () => {
    if (kubectl) await clean();
    await strike?.();
    if (folder) await rm(folder, { recursive: true });
  });

  async function clean(): Promise<void> {
    for (const kind of WIDE.split(",")) await kubectl.run(["delete", kind, "-l", "app.kubernetes.io/name=wasmount"]);
    await kubectl.run(["delete", "namespace", OWN, SHOP, "--ignore-not-found", "--timeout=180s"]);
    await kubectl.run(["delete", "role,rolebinding", "wasmount-self-test", "-n", "default", "--ignore-not-found"]);
  }

  const remaining = async () => {
    const wide = await kubectl.run(["get", WIDE, "-o", "name"]);
    const own = await kubectl.run([
      "get",
      "all,secrets,configmaps,leases,roles,rolebindings,serviceaccounts,poddisruptionbudgets",
      "-n",
      OWN,
      "-o",
      "name",
    ]);
    return `${wide}\n${own}`.split("\n").filter(name => name.includes("wasmount") && !foreign.includes(name));
  };

  const upgrade = (...args: readonly string[]) =>
    helm.run("upgrade", "wasmount", chartFolder, "-n", OWN, "--values", values, "--wait", "--timeout", "5m", ...args);

  const tried = (name: string) => {
    const pod: Manifest = structuredClone(example.pod);
    pod.metadata.name = name;
    return kubectl.run(["create", "-f", "-", "--dry-run=server", "-o", "json"], JSON.stringify(pod));
  };

  it("is ready by its own certificates", async () => {
    await helm.run(
      "install",
      "wasmount",
      chartFolder,
      "-n",
      OWN,
      "--take-ownership",
      "--values",
      values,
      "--wait",
      "--timeout",
      "5m",
    );
    const { status } = await kubectl.get<Manifest>("deployment", "wasmount-webhook", "-n", OWN);
    assert.equal(status.readyReplicas, 2);
  });

  it("passes its test, which leaves nothing", async () => {
    const output = await helm.told("test", "wasmount", "-n", OWN, "--timeout", "3m");
    assert.match(output, /Phase: +Succeeded/);
    assert.match(output, /the API server called the webhook, and the pod got its fetcher/);
    assert.deepEqual(
      (await remaining()).filter(name => name.includes("self-test")),
      [],
    );
  });

  it("runs a pod with its filter", async () => {
    await kubectl.apply(example.pod);
    await kubectl.run([
      "wait",
      "pod",
      example.pod.metadata.name,
      "-n",
      SHOP,
      "--for=condition=Ready",
      "--timeout=180s",
    ]);
    const pod = await kubectl.get<Manifest>("pod", example.pod.metadata.name, "-n", SHOP);
    assert.equal(pod.metadata.labels["wasmount.dev/injected"], "true");
  });

  it("is upgraded to another image without one pod refused meanwhile, of old replicas' and of new ones'", async () => {
    const seen = new Set<string>();
    let upgrading = true;
    let created = 0;
    const load = (async () => {
      // Old replicas drain after the new ones are ready, and API servers stay with the connections that they have.
      while (upgrading || (!seen.has(NEXT) && created < 1_000)) {
        const { spec } = JSON.parse(await tried(`during-${created}`));
        seen.add(spec.initContainers[0].image);
        created += 1;
      }
    })();
    await Promise.all([
      // These pods are not kept: nobody pulls it.
      upgrade("--set", `fetcher.image=${NEXT}`).finally(() => {
        upgrading = false;
      }),
      load,
    ]);
    assert.deepEqual([...seen].sort(), [image, NEXT].sort(), `of ${created} pods`);
  });

  it("is not uninstalled while an injected pod runs, which Helm is told", async () => {
    // Helm's own records of releases change, and the hook's pod may still be ending.
    const objects = async () => (await remaining()).filter(name => !/sh\.helm\.release|^pod\//.test(name));
    const before = await objects();
    await assert.rejects(helm.run("uninstall", "wasmount", "-n", OWN, "--timeout", "3m"), (error: Error) => {
      assert.ok(error instanceof HelmError);
      assert.match(error.message, new RegExp(`1 injected pod runs: ${SHOP}/${example.pod.metadata.name}\\.`));
      return true;
    });
    assert.deepEqual(await objects(), before);
    await tried("after-refusal");
  });

  it("is uninstalled where the namespace says so, and leaves nothing but the definitions of policies", async () => {
    await kubectl.run(["annotate", "namespace", OWN, "wasmount.dev/force-uninstall=true"]);
    await helm.run("uninstall", "wasmount", "-n", OWN, "--wait", "--timeout", "3m");
    assert.deepEqual(await remaining(), []);
    await kubectl.get("crd", "wasmpolicies.wasmount.dev");
    assert.doesNotMatch(await tried("unfiltered"), /"wasmount-fetch"/);
  });
});
