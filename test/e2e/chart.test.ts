import assert from "node:assert/strict";
import { buildahUnavailable } from "../environment/buildah.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { HelmError } from "../environment/helm.ts";
import { RELEASE_NAMESPACE, type ReleaseStage, setReleaseStage } from "../environment/release-stage.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";

const SHOP = "e2e-chart";

describe("the chart with the image of the Dockerfile, installed on a real node", function () {
  this.timeout(30 * 60_000);

  let stage: ReleaseStage;

  before(async function () {
    const reason = (await clusterUnavailable({ node: true })) ?? (await buildahUnavailable());
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    stage = await setReleaseStage(await openCluster({ node: true, progress }), SHOP, progress);
  });

  after(() => stage?.strike());

  const inOwn = ["-n", RELEASE_NAMESPACE];

  const tried = (name: string) => {
    const pod: Manifest = structuredClone(stage.example.pod);
    pod.metadata.name = name;
    return stage.kubectl.run(["create", "-f", "-", "--dry-run=server", "-o", "json"], JSON.stringify(pod));
  };

  it("is ready by its own certificates, with two replicas", async () => {
    await stage.release("install");
    const { status } = await stage.kubectl.get<Manifest>("deployment", "wasmount-webhook", ...inOwn);
    assert.equal(status.readyReplicas, 2);
  });

  it("passes its test, which leaves nothing", async () => {
    const output = await stage.helm.told("test", "wasmount", ...inOwn, "--timeout", "3m");
    assert.match(output, /Phase: +Succeeded/);
    assert.match(output, /the API server called the webhook, and the pod got its fetcher/);
    assert.deepEqual(
      (await stage.remaining()).filter(name => name.includes("self-test")),
      [],
    );
  });

  it("runs a pod whose answers show its filter", async () => {
    const { kubectl, example } = stage;
    await kubectl.apply(example.pod);
    const { name } = example.pod.metadata;
    await kubectl.run(["wait", "pod", name, "-n", SHOP, "--for=condition=Ready", "--timeout=180s"]);
    const pod = await kubectl.get<Manifest>("pod", name, "-n", SHOP);
    assert.deepEqual(
      [pod.spec.initContainers[0].name, pod.spec.initContainers[0].image],
      ["wasmount-fetch", stage.images.first],
    );
    const look = async () => {
      const answer = await fetch(`http://${pod.status.podIP}:10000/`);
      return answer.status === 200 && answer;
    };
    const { headers } = await until("Envoy to answer", look, { seconds: 60, pauseMs: 50 });
    assert.equal(headers.get("x-filtered-by"), "wasmount");
  });

  it("is not uninstalled while an injected pod runs, which Helm is told", async () => {
    // Helm's own records of releases change, and the hook's pod may still be ending.
    const objects = async () => (await stage.remaining()).filter(name => !/sh\.helm\.release|^pod\//.test(name));
    const before = await objects();
    await assert.rejects(stage.helm.run("uninstall", "wasmount", ...inOwn, "--timeout", "3m"), (error: Error) => {
      assert.ok(error instanceof HelmError);
      assert.match(error.message, new RegExp(`1 injected pod runs: ${SHOP}/${stage.example.pod.metadata.name}\\.`));
      return true;
    });
    assert.deepEqual(await objects(), before);
    await tried("after-refusal");
  });

  it("is uninstalled where the namespace says so, and leaves nothing but the definitions of policies", async () => {
    const { kubectl, helm } = stage;
    await kubectl.run(["annotate", "namespace", RELEASE_NAMESPACE, "wasmount.dev/force-uninstall=true"]);
    await helm.run("uninstall", "wasmount", ...inOwn, "--wait", "--timeout", "3m");
    assert.deepEqual(await stage.remaining(), []);
    await kubectl.get("crd", "wasmpolicies.wasmount.dev");
    assert.doesNotMatch(await tried("unfiltered"), /"wasmount-fetch"/);
  });

  it("is installed again after that", async () => {
    await stage.release("install");
    assert.match(await tried("filtered-again"), /"wasmount-fetch"/);
  });
});
