import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { ISTIO_NAMESPACE, type Istiod, startIstiod } from "../environment/istio/istiod.ts";
import { type MeshStage, type PodChanges, service, setMeshStage } from "../environment/istio/mesh.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";

const REVISION = "canary";
const TAG = "next";
/** Namespaces by what they say of revisions. */
const namespaces = {
  revision: { name: "e2e-istio-rev", labels: { "istio.io/rev": REVISION } },
  tag: { name: "e2e-istio-tag", labels: { "istio.io/rev": TAG } },
  silent: { name: "e2e-istio-no-rev", labels: {} },
  absent: { name: "e2e-istio-absent-rev", labels: { "istio.io/rev": "gone" } },
  plain: { name: "e2e-istio-first", labels: { "istio-injection": "enabled" } },
} as const;

/** Ours is called before both of Istio's, so that each pod is one that has no proxy yet. */
describe("pods of two revisions of Istio in one mesh", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let mesh: MeshStage | undefined;
  let second: Istiod | undefined;

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-istio-revisions-"));
    const progress = (line: string) => console.log(`      ${line}`);
    const cluster: Cluster = await openCluster({ node: true, progress });
    mesh = await setMeshStage(cluster, folder, progress, { registration: "a-wasmount" });
    second = await startIstiod(cluster, join(folder, REVISION), progress, { revision: REVISION, tags: [TAG] });
    for (const { name, labels } of Object.values(namespaces)) {
      await makeNamespace(mesh.stage.kubectl, name, { labels: { ...labels, "wasmount.dev/inject": "true" } });
    }
  });

  after(async () => {
    const names = Object.values(namespaces).map(({ name }) => name);
    await mesh?.stage.kubectl.run(["delete", "namespace", ...names, "--ignore-not-found", "--wait=false"]);
    await second?.stop();
    await mesh?.strike();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  function parts(): { readonly mesh: MeshStage; readonly second: Istiod } {
    assert.ok(mesh && second);
    return { mesh, second };
  }

  /** A pod that knows only the second istiod's address: what its proxy does, that one told it. */
  function authored(name: string, namespace: string, changes: PodChanges = {}): Manifest {
    const { mesh, second } = parts();
    const pod = mesh.pod(name, namespace, changes);
    pod.spec.hostAliases = second.hostAliases;
    return pod;
  }

  async function running(pod: Manifest): Promise<Manifest> {
    const { kubectl } = parts().mesh.stage;
    const { name, namespace } = pod.metadata;
    await kubectl.apply(service(name, namespace, "http"));
    await kubectl.apply(pod);
    return until(`pod ${name} to be ready`, async () => {
      const found = await kubectl.get<Manifest>("pod", name, "-n", namespace);
      const isReady = ({ type, status }: Manifest) => type === "Ready" && status === "True";
      return found.status.conditions?.some(isReady) ? found : null;
    });
  }

  /** The first answer of the application itself: it may be listening later than its proxy. */
  function answered({ status }: Manifest): Promise<Response> {
    return until("the application to answer", async () => {
      const response = await fetch(`http://${status.podIP}:8080/`);
      return response.status === 200 ? response : null;
    });
  }

  /** What ours decided about a pod, call after call. */
  function decisions(pod: string): Promise<readonly string[]> {
    return until(`the decisions about ${pod}`, async () => {
      // What stands after the last newline is not whole.
      const lines = parts().mesh.stage.webhook.log().split("\n").slice(0, -1);
      const ours = lines.map(line => JSON.parse(line)).filter(line => line.pod === pod);
      return ours.length < 3
        ? null
        : ours.map(({ side, outcome, reason }) => [side, outcome, ...(outcome === reason ? [] : [reason])].join(" "));
    });
  }

  const cases: readonly (readonly [string, string, string, PodChanges])[] = [
    ["whose namespace names the revision", "labelled", namespaces.revision.name, {}],
    ["whose namespace names a tag of it", "tagged", namespaces.tag.name, {}],
    ["that names the revision itself", "own-label", namespaces.silent.name, { labels: { "istio.io/rev": REVISION } }],
  ];
  for (const [which, name, namespace, changes] of cases) {
    it(`one ${which} waits for its injection, and answers with the filter's header`, async () => {
      const pod = await running(authored(name, namespace, changes));
      assert.equal(pod.metadata.annotations["istio.io/rev"], REVISION);
      assert.deepEqual(
        pod.spec.initContainers.map((container: Manifest) => container.name),
        ["wasmount-fetch", "istio-init", "istio-proxy"],
      );
      assert.equal(pod.metadata.labels["wasmount.dev/slot-in-last-01"], "true");
      const response = await answered(pod);
      assert.equal(await response.text(), "hello nobody\n");
      assert.equal(response.headers.get("x-filtered-by"), "wasmount");
      assert.deepEqual(await decisions(name), [
        "mutate Deferred ProxyExpected",
        "mutate Injected",
        "validate Verified",
      ]);
    });
  }

  it("one of the revision without a name is filtered by the same slots", async () => {
    const { mesh } = parts();
    const pod = await running(mesh.pod("first", namespaces.plain.name));
    assert.equal(pod.metadata.annotations["istio.io/rev"], "default");
    assert.equal((await answered(pod)).headers.get("x-filtered-by"), "wasmount");
  });

  it("one takes nothing but HTTP in the second revision, too", async () => {
    const { kubectl } = parts().mesh.stage;
    const patch = '[{"op":"replace","path":"/spec/ports/0/name","value":"tcp-web"}]';
    const { name } = namespaces.revision;
    const { status } = await kubectl.get<Manifest>("pod", "labelled", "-n", name);
    await kubectl.run(["patch", "service", "labelled", "-n", name, "--type=json", "-p", patch]);
    await until("Istio to take it for TCP", () =>
      fetch(`http://${status.podIP}:8080/`).then(
        () => null,
        () => true,
      ),
    );
  });

  it("one of a revision that nobody serves is denied, never unfiltered", async () => {
    const { kubectl } = parts().mesh.stage;
    const dryRun = (pod: Manifest) => kubectl.run(["create", "--dry-run=server", "-f", "-"], JSON.stringify(pod));
    await assert.rejects(dryRun(authored("nobody", namespaces.absent.name)), {
      message: /wasmount: ProxyNeverCame: .*istio\.io\/rev on namespace/,
    });
    const labels = { "istio.io/rev": "gone" };
    await assert.rejects(dryRun(authored("nobody", namespaces.silent.name, { labels })), {
      message: /wasmount: ProxyNeverCame: .*istio\.io\/rev on the pod/,
    });
  });

  // Last, as the slot is then one that the second istiod doesn't read.
  it("one is denied while a slot is for the other revision only", async () => {
    const { kubectl } = parts().mesh.stage;
    const pod = JSON.stringify(authored("hidden", namespaces.revision.name));
    await kubectl.run(["label", "envoyfilter", "wasmount-in-last-01", "-n", ISTIO_NAMESPACE, "istio.io/rev=default"]);
    await until("the webhook to see whose it is", () =>
      kubectl.run(["create", "--dry-run=server", "-f", "-"], pod).then(
        () => null,
        error => /SlotNotInstalled: .*not as/.test(error.message) || null,
      ),
    );
  });
});
