import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { noopModule } from "../../src/wasm/noop-module.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { unavailable } from "../environment/requirement.ts";
import { spawnChecked } from "../environment/spawn.ts";
import { type ExampleObjects, type Manifest, type Stage, setStage } from "../environment/stage.ts";
import { startTcpProxy, type TcpProxy } from "../environment/tcp-proxy.ts";
import { type Look, until } from "../environment/until.ts";
import { MAIN } from "../environment/webhook-process.ts";

const NAMESPACE = "e2e-trust";
const POLICY = "e2e-release";

describe("a policy on a real node", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let stage: Stage;
  let example: ExampleObjects;
  let proxy: TcpProxy;
  /** The registry, as pods and the webhook call it. */
  let registry: string;
  /** From where the webhook calls it. */
  let host: string;
  let publicKey: string;
  const kubectl = (...args: readonly string[]) => stage.kubectl.run([...args, "-n", NAMESPACE]);

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-e2e-trust-"));
    const progress = (line: string) => console.log(`      ${line}`);
    const cluster = await openCluster({ node: true, progress });
    host = cluster.hostAddressForPods ?? assert.fail("no node");
    stage = await setStage(cluster, folder, progress, {
      async front(address) {
        proxy = await startTcpProxy(new URL(`http://${address}`), host);
        registry = `${host}:${proxy.port}`;
        return registry;
      },
      config: { policy: { unmatched: "Deny" } },
    });
    const { publicKey: shown, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    publicKey = shown.export({ type: "spki", format: "pem" }).toString();
    await writeFile(join(folder, "release.key"), privateKey.export({ type: "pkcs8", format: "pem" }));
    example = await stage.example(NAMESPACE);
    await stage.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=true"]);
    await stage.kubectl.apply(example.namespace, example.configMap);
    await eventually("the default ServiceAccount", () =>
      stage.kubectl.get("serviceaccount", "default", "-n", NAMESPACE),
    );
  });

  after(async () => {
    if (stage === undefined) return;
    await stage.kubectl.run(["delete", "wasmpolicy", POLICY, "--ignore-not-found"]);
    await stage.kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await stage.strike();
    proxy.close();
    await rm(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    proxy?.mend();
    await kubectl("delete", "pods", "--all", "--wait=false", "--grace-period=1").catch(() => {});
  });

  /** As {@link until}, and says what the webhook said. */
  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    return until(() => `${what}\n${stage.webhook.log()}`, look);
  }

  /** Applies the policy and waits for the webhook to say that it goes by it. */
  async function policy(onRegistryError: string): Promise<void> {
    await stage.kubectl.apply({
      apiVersion: "wasmount.dev/v1alpha1",
      kind: "WasmPolicy",
      metadata: { name: POLICY },
      spec: {
        match: { repositories: [`${registry}/filters/**`] },
        onRegistryError,
        verify: { authorities: [{ name: "release-key", key: { pem: publicKey } }] },
      },
    });
    await eventually("the policy to be in force", async () => {
      const { metadata, status } = await stage.kubectl.get<Manifest>("wasmpolicy", POLICY);
      const ready = status?.conditions?.find(({ type }: Manifest) => type === "Ready");
      return ready?.status === "True" && status.observedGeneration === metadata.generation;
    });
  }

  function podNamed(name: string, reference: string): Manifest {
    const pod = structuredClone(example.pod);
    pod.metadata.name = name;
    pod.metadata.annotations["wasmount.dev/module.headers"] = reference;
    return pod;
  }

  /** Pushes another module under a tag; nobody signs it. */
  async function pushUnsigned(reference: string): Promise<string> {
    const image = await moduleImage({ module: Buffer.from(noopModule), name: "noop", layout: "cncf" });
    const client = new RegistryClient({ registries: [{ host: registry, plainHttp: true }] });
    return (await pushModule(client, parseReference(reference), image).finally(() => client.close())).digest;
  }

  const sign = (image: string) =>
    spawnChecked(process.execPath, [MAIN, "sign", image, "--key", join(folder, "release.key"), "--plain-http"], {});

  async function headersOf(name: string): Promise<Headers> {
    const pod = await eventually(`pod ${name} to be ready`, async () => {
      const found = await stage.kubectl.get<Manifest>("pod", name, "-n", NAMESPACE);
      const ready = ({ type, status }: Manifest) => type === "Ready" && status === "True";
      return found.status.conditions?.some(ready) ? found : null;
    });
    const { headers } = await eventually("Envoy to listen", async () => {
      const answer = await fetch(`http://${pod.status.podIP}:10000/`);
      return answer.status === 200 ? answer : null;
    });
    return headers;
  }

  /** The termination message of a fetcher that fails. */
  async function failureOf(name: string): Promise<string> {
    return eventually("the fetcher to fail", async () => {
      const pod = await stage.kubectl.get<Manifest>("pod", name, "-n", NAMESPACE);
      const { state, lastState } = pod.status.initContainerStatuses[0];
      for (const { containerID } of pod.status.containerStatuses) assert.equal(containerID, undefined);
      return (state.terminated ?? lastState.terminated)?.message ?? null;
    });
  }

  it("denies an image that nobody signed, with a message that says what was tried", async () => {
    await policy("Deny");
    await assert.rejects(stage.kubectl.apply(podNamed("unsigned", stage.module.reference)), {
      message:
        /denied the request: wasmount: PolicyDenied: A policy does not let the pod load a filter's image\. Annotation wasmount\.dev\/module\.headers: WasmPolicy\/e2e-release: not signed \(release-key: no signature found\)\./,
    });
  });

  it("lets a signed one run, which the fetcher verified too", async () => {
    await sign(stage.module.reference);
    // What was not signed counts as such for five seconds.
    await eventually("the signature to count", () =>
      stage.kubectl.apply(podNamed("signed", stage.module.reference)).then(() => true),
    );
    assert.equal((await headersOf("signed")).get("x-filtered-by"), "wasmount");
    assert.match(await kubectl("logs", "signed", "-c", "wasmount-fetch"), /"verified":\["WasmPolicy\/e2e-release"\]/);
  });

  it("is not talked around by a tag that moves between admission and fetch", async () => {
    const reference = `${registry}/filters/moving:1`;
    const client = new RegistryClient({ registries: [{ host: registry, plainHttp: true }] });
    const image = await moduleImage({
      module: Buffer.concat([noopModule, Buffer.from([0, 2, 1, 0x61])]),
      name: "signed",
      layout: "cncf",
    });
    const { digest } = await pushModule(client, parseReference(reference), image).finally(() => client.close());
    await sign(`${registry}/filters/moving@${digest}`);
    const pod = podNamed("moved", reference);
    pod.spec.schedulingGates = [{ name: "example.com/wait" }];
    await stage.kubectl.apply(pod);
    const unsigned = await pushUnsigned(reference);
    assert.notEqual(unsigned, digest);
    const patch = JSON.stringify([{ op: "remove", path: "/spec/schedulingGates" }]);
    await kubectl("patch", "pod", "moved", "--type=json", "-p", patch);
    await headersOf("moved");
    const log = await kubectl("logs", "moved", "-c", "wasmount-fetch");
    assert.ok(log.includes(digest) && !log.includes(unsigned), log);
    await assert.rejects(stage.kubectl.apply(podNamed("later", reference)), { message: /PolicyDenied/ });
  });

  it("is not talked around by keeping the webhook from the registry", async () => {
    const digest = await pushUnsigned(`${registry}/filters/unsigned:1`);
    const reference = `${registry}/filters/unsigned@${digest}`;
    proxy.cutOff(host);
    await assert.rejects(stage.kubectl.apply(podNamed("cut-off", reference)), {
      message: /PolicyDenied: .*its signatures can't be read/,
    });
    await policy("Defer");
    await stage.kubectl.apply(podNamed("deferred", reference));
    const { metadata } = await stage.kubectl.get<Manifest>("pod", "deferred", "-n", NAMESPACE);
    assert.equal(JSON.parse(metadata.annotations["wasmount.dev/status"]).filters[0].verifiedBy, "fetcher");
    assert.match(await failureOf("deferred"), /^wasmount-fetch: Untrusted: .*WasmPolicy\/e2e-release: not signed/);
  });
});
