import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { MODULE } from "../environment/guarded-cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-failed-create";
/** What an API server puts before a webhook's words. */
const PREFIX = 'Error creating: admission webhook "namespace.wasmount.dev" denied the request: wasmount: ';
/** The API server stores no longer message of an Event (core/v1), and clients cut it. */
const LONGEST = 1024;

/** What a ReplicaSet's author finds in `kubectl describe`, whole. */
describe("a ReplicaSet's event FailedCreate, written by the real controller,", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let webhook: WebhookProcess;
  let unregister: (() => Promise<void>) | undefined;
  let template: Manifest;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-failed-"));
    await makeNamespace(kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: { fetcher: { image: "registry.example/wasmount:1" } },
    });
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: NAMESPACE, namespaces: [NAMESPACE] });
    const { spec } = parse(await exampleManifest("pod")) as Manifest;
    template = { metadata: { annotations: { "wasmount.dev/module.headers": MODULE } }, spec };
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** The message of the event about a ReplicaSet whose pods have the annotations. */
  async function messageAbout(name: string, annotations: Readonly<Record<string, string>>): Promise<string> {
    const labels = { app: name };
    const pod = structuredClone(template);
    Object.assign(pod.metadata.annotations, annotations);
    pod.metadata.labels = labels;
    await kubectl.apply({
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name, namespace: NAMESPACE },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: pod },
    });
    const selector = `involvedObject.kind=ReplicaSet,involvedObject.name=${name},reason=FailedCreate`;
    const event = async () => {
      const { items } = await kubectl.get<Manifest>("events", "-n", NAMESPACE, "--field-selector", selector);
      return items[0];
    };
    const { message } = await until(`an event FailedCreate about ${name}`, event, { seconds: 60, bears: () => false });
    return message;
  }

  const cases: readonly (readonly [what: string, annotations: Readonly<Record<string, string>>, words: string])[] = [
    [
      "a misspelt key: the key, where it stands and the nearest spelling",
      { "wasmount.dev/modul.headers": "x" },
      "UnknownKey: An annotation or label under wasmount.dev/ is not one that wasmount knows. " +
        "Annotation wasmount.dev/modul.headers on the pod: did you mean wasmount.dev/module.headers?",
    ],
    [
      "a bad value: key, value and what is allowed",
      { "wasmount.dev/phase.headers": "frist" },
      "BadValue: An annotation's value is not one that its key allows. " +
        'Annotation wasmount.dev/phase.headers="frist" on the pod: allowed are "first", "last" (the default), did you mean "first"?',
    ],
    [
      "a misspelt value: key, value, what is allowed and the nearest spelling",
      { "wasmount.dev/capabilities.headers": "proxy_log, proxy_get_header_map_valu" },
      "BadValue: An annotation's value is not one that its key allows. " +
        'Annotation wasmount.dev/capabilities.headers="proxy_log, proxy_get_header_map_valu" on the pod: ' +
        '"proxy_get_header_map_valu" is not a host call of Proxy-Wasm, did you mean proxy_get_header_map_value? ' +
        "A comma-separated list of host calls is allowed",
    ],
  ];
  for (const [index, [what, annotations, words]] of cases.entries()) {
    it(`tells of ${what}`, async () => {
      const message = await messageAbout(`case-${index}`, annotations);
      assert.equal(message.slice(0, PREFIX.length + words.length), PREFIX + words);
      assertReadable(message);
    });
  }

  it("stays whole, one line and in plain sight, whatever the value is", async () => {
    const value = `a\nb\r\u001b[31m\u202e\u2028${"long ".repeat(5_000)}`;
    const message = await messageAbout("hostile", { "wasmount.dev/phase.headers": value });
    assert.ok(message.startsWith(`${PREFIX}BadValue: `), message);
    assert.match(message, /wasmount\.dev\/phase\.headers=.*allowed are "first", "last" \(the default\)/);
    assertReadable(message);
  });
});

function assertReadable(message: string): void {
  assert.doesNotMatch(message, /[\p{C}\p{Zl}\p{Zp}]/u);
  assert.ok(Buffer.byteLength(message) < LONGEST, `${Buffer.byteLength(message)} bytes`);
  assert.match(message, /[.?]$/, "its end is there");
}
