import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { runCommand } from "../environment/command.ts";
import { flipLastByte } from "../environment/corruption.ts";
import { unavailable } from "../environment/requirement.ts";
import { type ExampleObjects, type Manifest, type Stage, setStage } from "../environment/stage.ts";
import { type Look, until } from "../environment/until.ts";

const NAMESPACE = "e2e-injection";

describe("a plain-Envoy pod on a real node", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let stage: Stage;
  let kubeconfigPath: string;
  let example: ExampleObjects;

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-e2e-"));
    const cluster = await openCluster({ node: true, progress: line => console.log(`      ${line}`) });
    kubeconfigPath = cluster.kubeconfigPath;
    stage = await setStage(cluster, folder, line => console.log(`      ${line}`));
    example = await stage.example(NAMESPACE);
    await stage.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true"]);
    await stage.kubectl.apply(example.namespace, example.configMap);
    await eventually("the default ServiceAccount", () =>
      stage.kubectl.get("serviceaccount", "default", "-n", NAMESPACE),
    );
  });

  after(async () => {
    if (stage === undefined) return;
    await stage.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await stage.strike();
    await rm(folder, { recursive: true, force: true });
  });

  function podNamed(name: string, changes: { labels?: object; annotations?: object } = {}): Manifest {
    const pod = structuredClone(example.pod);
    pod.metadata.name = name;
    pod.metadata.labels = { ...changes.labels };
    pod.metadata.annotations = { ...pod.metadata.annotations, ...changes.annotations };
    return pod;
  }

  const podState = (name: string): Promise<Manifest> => stage.kubectl.get("pod", name, "-n", NAMESPACE);

  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    return until(what, look, { seconds: 60 });
  }

  async function running(name: string): Promise<Manifest> {
    return eventually(`pod ${name} to be ready`, async () => {
      const pod = await podState(name);
      return pod.status.conditions?.some(
        (condition: Manifest) => condition.type === "Ready" && condition.status === "True",
      )
        ? pod
        : null;
    });
  }

  it("answers with the filter's header", async () => {
    await stage.kubectl.apply(podNamed("shop"));
    const pod = await running("shop");
    const response = await eventually("Envoy to listen", async () => {
      const answer = await fetch(`http://${pod.status.podIP}:10000/`);
      return answer.status === 200 ? answer : null;
    });
    assert.equal(await response.text(), "hello from the app\n");
    assert.equal(response.headers.get("x-filtered-by"), "wasmount");
    assert.equal(response.headers.get("x-frame-options"), "DENY");
  });

  it("is serving to its status, by the administration port that its own configuration names", async () => {
    const flags = ["-n", NAMESPACE, "--live", "--json", "--kubeconfig", kubeconfigPath];
    const { code, stdout } = await runCommand(["status", ...flags], { cwd: folder });
    const { pods } = JSON.parse(stdout) as Manifest;
    const found = pods.find(({ pod }: Manifest) => pod === "shop");
    assert.deepEqual(found.proxy, { dataPlane: "envoy", running: true, adminPort: 9901 });
    const { state, version, wanted } = found.filters[0].live;
    assert.deepEqual([code, state, version], [0, "serving", wanted], stdout);
    assert.match(version, /^[0-9a-f]{64}$/);
  });

  it("was given all it has by admission, in a namespace that enforces the restricted Pod Security", async () => {
    const namespace = await stage.kubectl.get<Manifest>("namespace", NAMESPACE);
    assert.equal(namespace.metadata.labels["pod-security.kubernetes.io/enforce"], "restricted");
    const { metadata, spec } = await podState("shop");
    assert.equal(metadata.labels["wasmount.dev/injected"], "true");
    assert.equal(spec.initContainers[0].name, "wasmount-fetch");
    const tokens = spec.initContainers[0].volumeMounts.filter((mount: Manifest) =>
      mount.mountPath.includes("serviceaccount"),
    );
    assert.deepEqual(
      tokens.map((mount: Manifest) => mount.name),
      ["wasmount-no-token"],
    );
    const status = JSON.parse(metadata.annotations["wasmount.dev/status"]);
    assert.equal(status.filters[0].module, `${stage.module.reference.replace(/:1\.0$/, "")}@${stage.module.digest}`);
  });

  /** The Events that wasmount wrote about a pod. */
  async function toldOf(name: string): Promise<Manifest[]> {
    const selector = `regarding.name=${name}`;
    const list = ["events.events.k8s.io", "-n", NAMESPACE, "--field-selector", selector];
    const { items } = await stage.kubectl.get<{ readonly items: Manifest[] }>(...list);
    return items.filter(({ reportingController }) => reportingController === "wasmount.dev/controller");
  }

  it("has an Event that says which filters are mounted, with their digests and sizes", async () => {
    const [event, another] = await eventually("an Event", async () => {
      const found = await toldOf("shop");
      return found.length > 0 ? found : null;
    });
    assert.equal(another, undefined);
    assert.deepEqual([event.type, event.reason], ["Normal", "FilterMounted"]);
    assert.match(event.note, new RegExp(`^1 filter \\(\\d+ bytes in [\\d.]+ s\\): headers@${stage.module.digest}$`));
    // As people see it.
    assert.match(await stage.kubectl.run(["describe", "pod", "shop", "-n", NAMESPACE]), /Normal\s+FilterMounted\s/);
  });

  it("has an Event that says why its filter could not be had, and counts", async () => {
    const missing = stage.module.reference.replace(/:1\.0$/, `@sha256:${"0".repeat(64)}`);
    await stage.kubectl.apply(podNamed("missing", { annotations: { "wasmount.dev/module.headers": missing } }));
    const event = await eventually("an Event that counts", async () => {
      const [found, another] = await toldOf("missing");
      assert.equal(another, undefined);
      return found?.series?.count >= 2 ? found : null;
    });
    assert.deepEqual([event.type, event.reason], ["Warning", "FilterFetchFailed"]);
    assert.match(event.note, /^NotFound: .*filters\/response-headers@sha256:0{64}.* \(exit code 3\)$/);
    const metrics = await fetch(`${stage.webhook.plainUrl}/metrics`).then(response => response.text());
    assert.match(metrics, /^wasmount_fleet_filters\{state="mounted"\} 1$/m);
    assert.match(metrics, /^wasmount_fleet_filters\{state="failed"\} 1$/m);
    await stage.kubectl.run(["delete", "pod", "missing", "-n", NAMESPACE, "--wait=false"]);
  });

  it("says in its log what it fetched", async () => {
    const log = await stage.kubectl.run(["logs", "shop", "-c", "wasmount-fetch", "-n", NAMESPACE]);
    assert.match(log, /wasmount-fetch: headers: fetched .*\(cncf, ABI 0\.2\.1, \d+ bytes/);
    assert.match(log, /wasmount-fetch: done: 1 module/);
  });

  it("loads the filter through the image's default path too, where no command line names a configuration", async () => {
    const pod = podNamed("implicit");
    const envoy = pod.spec.containers.find((container: Manifest) => container.name === "envoy");
    envoy.args = undefined;
    pod.metadata.annotations["wasmount.dev/config.headers"] = "x-filtered-by = implicit";
    await stage.kubectl.apply(pod);
    const { status } = await running("implicit");
    const response = await eventually("Envoy to listen", async () => {
      const answer = await fetch(`http://${status.podIP}:10000/`);
      return answer.status === 200 ? answer : null;
    });
    assert.equal(response.headers.get("x-filtered-by"), "implicit");
    const { spec } = await podState("implicit");
    const mount = spec.containers.find((container: Manifest) => container.name === "envoy").volumeMounts[0];
    assert.deepEqual([mount.name, mount.mountPath, mount.subPath], ["wasmount", "/etc/envoy", "bootstrap/etc/envoy"]);
  });

  it("is left alone where it opts out", async () => {
    const pod = podNamed("opted-out", { labels: { "wasmount.dev/inject": "false" } });
    await stage.kubectl.run(["create", "--dry-run=server", "-f", "-", "-o", "json"], JSON.stringify(pod)).then(text => {
      const created = JSON.parse(text) as Manifest;
      assert.equal(created.spec.initContainers, undefined);
      assert.equal(created.metadata.labels["wasmount.dev/injected"], undefined);
    });
  });

  it("is denied with a message that helps where an annotation is misspelt", async () => {
    const pod = podNamed("misspelt", { annotations: { "wasmount.dev/modul.auth": "registry.example/auth:1" } });
    await assert.rejects(stage.kubectl.apply(pod), {
      message:
        /admission webhook "namespace\.wasmount\.dev" denied the request: wasmount: UnknownKey: .*did you mean wasmount\.dev\/module\.auth\?/,
    });
  });

  it("is denied where its tag can't be resolved", async () => {
    const reference = stage.module.reference.replace(/1\.0$/, "9.9");
    const pod = podNamed("unresolved", { annotations: { "wasmount.dev/module.headers": reference } });
    await assert.rejects(stage.kubectl.apply(pod), { message: /wasmount: TagUnresolved: .*filters\/response-headers/ });
  });

  it("never starts Envoy with a module that was changed in the registry, and says why", async () => {
    await stage.registry.corrupt(stage.module.layer, flipLastByte);
    await stage.kubectl.apply(podNamed("corrupted"));
    const pod = await eventually("the fetcher to fail", async () => {
      const found = await podState("corrupted");
      const state = found.status.initContainerStatuses?.[0];
      return (state?.state.terminated ?? state?.lastState.terminated) ? found : null;
    });
    const [fetcher] = pod.status.initContainerStatuses;
    const { exitCode, message } = fetcher.state.terminated ?? fetcher.lastState.terminated;
    assert.equal(exitCode, 4);
    assert.match(
      message,
      /^wasmount-fetch: DigestMismatch: .*response-headers: the content's digest is sha256:[0-9a-f]{64}, sha256:[0-9a-f]{64} was asked for$/,
    );
    for (const { state, containerID } of pod.status.containerStatuses) {
      assert.equal(state.waiting.reason, "PodInitializing");
      assert.equal(containerID, undefined);
    }
    // Between two tries of the fetcher kubectl shows Init:0/1.
    await eventually("kubectl to show the failure", async () => {
      const table = await stage.kubectl.run(["get", "pod", "corrupted", "-n", NAMESPACE, "--no-headers"]);
      return /Init:(Error|CrashLoopBackOff)/.test(table) || null;
    });
  });
});
