import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { type CertManager, startCertManager } from "../environment/cert-manager.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { type Look, until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-cert-manager";
const OWN = "integration-cert-manager-own";
const KINDS = "mutatingwebhookconfiguration,validatingwebhookconfiguration";
const SECRET = ["secret", "wasmount-webhook-tls", "-n", OWN] as const;

describe("cert-manager, by the manifests that ship,", function () {
  this.timeout(10 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;
  let certManager: CertManager | undefined;
  let webhook: WebhookProcess | undefined;
  let unregister: (() => Promise<void>) | undefined;
  let pod: Manifest;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    cluster = await openCluster({ node: false, progress });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-cert-manager-"));
    await makeNamespace(kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
    await makeNamespace(kubectl, OWN, {});
    certManager = await startCertManager(cluster, kubectl, progress);
    pod = parse(await exampleManifest("pod"));
    pod.metadata = { ...pod.metadata, namespace: NAMESPACE };
    pod.metadata.annotations["wasmount.dev/module.headers"] = `registry.example/headers@sha256:${"a".repeat(64)}`;
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop();
    for (const name of [NAMESPACE, OWN]) {
      await kubectl?.run(["delete", "namespace", name, "--ignore-not-found", "--wait=false"]);
    }
    await certManager?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** As {@link until}, and says what webhook and cert-manager said. */
  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    return until(() => `${what}\n${webhook?.log()}\n${certManager?.log().slice(-4000)}`, look);
  }

  /** What the Secret holds, once it is another certificate than before. */
  function issued(
    before = "",
  ): Promise<{ readonly certificate: string; readonly key: string; readonly authority: string }> {
    return eventually("another certificate", async () => {
      const { data } = await kubectl.get<Manifest>(...SECRET);
      const [certificate, key, authority] = ["tls.crt", "tls.key", "ca.crt"].map(name =>
        Buffer.from(data[name], "base64").toString(),
      ) as [string, string, string];
      return certificate === "" || certificate === before ? null : { certificate, key, authority };
    });
  }

  async function bundles(): Promise<readonly string[]> {
    const { items } = await kubectl.get<Manifest>(KINDS);
    return items
      .filter(({ metadata }: Manifest) => metadata.name === NAMESPACE)
      .flatMap(({ webhooks }: Manifest) => webhooks)
      .map(({ clientConfig }: Manifest) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString());
  }

  const trusted = (...authorities: readonly string[]) =>
    eventually("registrations that trust it", async () => {
      const found = await bundles();
      const isTrusting = (bundle: string) => authorities.every(authority => bundle.includes(authority.trim()));
      return found.length === 14 && found.every(isTrusting);
    });

  const created = () =>
    eventually("a pod to be created", async () => {
      const text = await kubectl.run(["create", "--dry-run=server", "-o", "json", "-f", "-"], JSON.stringify(pod));
      return text.includes("wasmount-fetch");
    });

  it("makes the certificate that the webhook serves, and tells the registrations whom to trust", async () => {
    const text = (await readFile(new URL("../../certs/cert-manager.yaml", import.meta.url), "utf8")).replaceAll(
      "wasmount-system",
      OWN,
    );
    const manifests = parseAllDocuments(text).map(document => document.toJS() as Manifest);
    // Only its address is not what a user has: the API server calls this machine.
    for (const { spec } of manifests) if (spec.dnsNames) spec.ipAddresses = ["127.0.0.1"];
    await kubectl.apply(...manifests);
    const { certificate, key, authority } = await issued();
    const leaf = new X509Certificate(certificate);
    assert.ok(leaf.checkHost(`wasmount-webhook.${OWN}.svc`));
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: { fetcher: { image: "registry.example/wasmount:1" } },
    });
    await replaceFiles(certificate, key);
    unregister = await registerWebhook(cluster.kubeConfig, {
      url: webhook.url,
      name: NAMESPACE,
      namespaces: [NAMESPACE],
    });
    assert.ok((await bundles()).every(bundle => bundle === ""));
    const inject = `cert-manager.io/inject-ca-from=${OWN}/wasmount-webhook`;
    await kubectl.run(["annotate", KINDS, NAMESPACE, inject]);
    await trusted(authority);
    await created();
  });

  /** As a kubelet brings a changed Secret, sooner or later. */
  async function replaceFiles(certificate: string, key: string): Promise<void> {
    const { files, log } = webhook ?? assert.fail("not started");
    const fingerprint = new X509Certificate(certificate).fingerprint256.replaceAll(":", "").toLowerCase();
    for (const [file, text] of [
      [files.certFile, certificate],
      [files.keyFile, key],
    ] as const) {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    }
    await eventually("it to be served", () => log().includes(fingerprint));
  }

  async function renew(name: string): Promise<void> {
    const certificate = await kubectl.get<Manifest>("certificate", name, "-n", OWN);
    const issuing = {
      type: "Issuing",
      status: "True",
      reason: "Test",
      message: "",
      lastTransitionTime: new Date().toISOString(),
    };
    const status = { conditions: [...certificate.status.conditions, issuing] };
    const patch = ["--subresource=status", "--type=merge", "-p", JSON.stringify({ status })];
    await kubectl.run(["patch", "certificate", name, "-n", OWN, ...patch]);
  }

  it("renews it, and the webhook serves the new one, whose key is another one", async () => {
    const before = await issued();
    await renew("wasmount-webhook");
    const after = await issued(before.certificate);
    assert.notEqual(after.key, before.key);
    assert.equal(after.authority, before.authority);
    await created();
    await replaceFiles(after.certificate, after.key);
    await created();
  });

  it("renews the authority, and what was served before it is believed after it", async () => {
    const before = await issued();
    await renew("wasmount-webhook-authority");
    await eventually("another authority", async () => {
      const { data } = await kubectl.get<Manifest>("secret", "wasmount-webhook-authority", "-n", OWN);
      return Buffer.from(data["tls.crt"], "base64").toString() !== before.authority;
    });
    await renew("wasmount-webhook");
    const after = await issued(before.certificate);
    assert.notEqual(after.authority, before.authority);
    await trusted(after.authority, before.authority);
    // The file is still the old one.
    await created();
    const served = new X509Certificate(before.certificate);
    assert.ok(!served.verify(new X509Certificate(after.authority).publicKey), "by another key");
    await replaceFiles(after.certificate, after.key);
    await created();
  });
});
