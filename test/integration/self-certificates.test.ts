import assert from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { parse } from "yaml";
import { createAuthority } from "../../src/certs/authority.ts";
import { clusterRegistrations } from "../../src/certs/registrations.ts";
import { apiServer } from "../../src/kube/api-server.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { bundledEntry } from "../environment/fetcher-process.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { createPods, type LoadResult } from "../environment/pod-load.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import { type ServiceAccount, webhookAccount } from "../environment/service-account.ts";
import { spawnChecked } from "../environment/spawn.ts";
import type { Manifest } from "../environment/stage.ts";
import { TcpBalancer } from "../environment/tcp-balancer.ts";
import { type Look, until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-self-certificates";
const OWN = "integration-self-own";
const REGISTRATION = "wasmount";
const KINDS = ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] as const;
const SECRET = ["secret", "wasmount-webhook-ca", "-n", OWN] as const;
const KEYS = ["secret", "wasmount-plan-keys", "-n", OWN] as const;
const SERVICE = "wasmount-webhook.wasmount-system.svc";

describe("three replicas that make their certificates and keys themselves, with the rights that ship,", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;
  let account: ServiceAccount | undefined;
  let balancer: TcpBalancer;
  let url: string;
  let replicas: WebhookProcess[] = [];
  let unregister: (() => Promise<void>) | undefined;
  let pod: Manifest;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-self-"));
    const entry = await bundledEntry(folder);
    await makeNamespace(kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
    account = await webhookAccount(cluster, OWN, folder);
    balancer = new TcpBalancer();
    url = `https://127.0.0.1:${await balancer.listen()}/`;
    pod = parse(await exampleManifest("pod"));
    delete pod.metadata.namespace;
    pod.metadata.annotations["wasmount.dev/module.headers"] = `registry.example/headers@sha256:${"a".repeat(64)}`;
    const { kubeconfigPath } = account;
    const start = (index: number) =>
      startWebhookProcess({
        folder: join(folder, `replica-${index}`),
        entry,
        namespaces: ["--kubeconfig", kubeconfigPath],
        config: {
          tls: { self: { dnsNames: ["127.0.0.1", SERVICE], registration: REGISTRATION } },
          plan: { keysSecret: "wasmount-plan-keys" },
          pins: { namespace: OWN },
          fetcher: { image: "registry.example/wasmount:1" },
        },
      });
    replicas = await Promise.all([1, 2, 3].map(start));
  });

  after(async () => {
    await unregister?.();
    await balancer?.close();
    for (const replica of replicas) await replica.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await account?.remove();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** As {@link until}, and says what the replicas said. They are to serve all the while: no error is borne. */
  function eventually<Value>(what: string, look: Look<Value>): Promise<Value> {
    const logs = () => replicas.map(({ log }) => log()).join("\n---\n");
    return until(() => `${what}\n${logs()}`, look, { seconds: 120, pauseMs: 100, bears: () => false });
  }

  const readiness = async (replica: WebhookProcess) => (await fetch(`${replica.plainUrl}/readyz`)).text();

  async function allReady(): Promise<void> {
    await eventually("all to be ready", async () => {
      const answers = await Promise.all(replicas.map(readiness));
      return answers.every(answer => answer === "ok\n");
    });
  }

  /** The certificate that a replica serves to whoever trusts nobody. */
  function served({ url: address }: WebhookProcess): Promise<X509Certificate> {
    return new Promise((resolve, reject) => {
      const port = Number(new URL(address).port);
      const socket = connect({ host: "127.0.0.1", port, rejectUnauthorized: false }, () => {
        const certificate = socket.getPeerX509Certificate();
        socket.destroy();
        if (certificate) resolve(certificate);
      });
      socket.on("error", reject);
    });
  }

  async function authorityNow(): Promise<X509Certificate> {
    const { data } = await kubectl.get<Manifest>(...SECRET);
    return new X509Certificate(Buffer.from(data["tls.crt"], "base64"));
  }

  /** Waits until every replica serves a leaf of the authority that the Secret holds, which is another one than before. */
  async function allChangedFrom(before: X509Certificate): Promise<X509Certificate> {
    return eventually("leaves of another authority to be served", async () => {
      const now = await authorityNow().catch(() => null);
      if (now === null || now.fingerprint256 === before.fingerprint256) return null;
      const leaves = await Promise.all(replicas.map(served));
      return leaves.every(leaf => leaf.verify(now.publicKey)) ? now : null;
    });
  }

  async function bundles(): Promise<readonly string[]> {
    const registrations = await Promise.all(KINDS.map(kind => kubectl.get<Manifest>(kind, REGISTRATION)));
    return registrations.flatMap(({ webhooks }) =>
      webhooks.map(({ clientConfig }: Manifest) => Buffer.from(clientConfig.caBundle ?? "", "base64").toString()),
    );
  }

  /** Creates pods all the time while something is done, and some before and after it. */
  async function underLoad(work: () => Promise<unknown>): Promise<void> {
    const stop = new AbortController();
    let ended = 0;
    const more = async () => {
      const enough = ended + 50;
      await eventually("more pods to be created", () => ended >= enough);
    };
    const load = createPods(cluster.kubeConfig, {
      namespace: NAMESPACE,
      pod,
      count: 1_000_000,
      width: 4,
      holds: '"name":"wasmount-fetch"',
      signal: stop.signal,
      progress(count) {
        ended = count;
      },
    });
    const working = more()
      .then(work)
      .then(more)
      .finally(() => stop.abort());
    const [result] = await Promise.all([load, working]);
    assertAllCreated(result);
  }

  function assertAllCreated({ created, failures, without }: LoadResult): void {
    console.log(`      ${created} pods created meanwhile`);
    assert.deepEqual(
      { without, failed: failures.length, first: failures[0] },
      { without: 0, failed: 0, first: undefined },
    );
    assert.ok(created >= 100, "the load was one");
  }

  it("start before their registrations, and say what they wait for", async () => {
    const answers = await Promise.all(
      replicas.map(replica =>
        eventually("the registration to be missing", async () => {
          const answer = await readiness(replica);
          return answer.includes("is missing") ? answer : null;
        }),
      ),
    );
    assert.match(answers[0] ?? "", /not ready: MutatingWebhookConfiguration wasmount is missing/);
    const live = await Promise.all(replicas.map(async ({ plainUrl }) => (await fetch(`${plainUrl}/livez`)).status));
    assert.deepEqual(live, [200, 200, 200]);
  });

  it("are ready when API servers trust them, and change nothing else of the registrations", async () => {
    unregister = await registerWebhook(cluster.kubeConfig, { url, name: REGISTRATION, namespaces: [NAMESPACE] });
    const written = await Promise.all(
      KINDS.map(kind => kubectl.get<Manifest>(kind, REGISTRATION, "--show-managed-fields")),
    );
    await allReady();
    for (const replica of replicas) {
      balancer.add({ port: Number(new URL(replica.url).port), readyUrl: `${replica.plainUrl}/readyz` });
    }
    const authority = await authorityNow();
    const leaves = await Promise.all(replicas.map(served));
    assert.ok(leaves.every(leaf => leaf.verify(authority.publicKey)));
    assert.equal(new Set(leaves.map(({ fingerprint256 }) => fingerprint256)).size, 3, "each of its own");
    assert.ok((await bundles()).every(bundle => bundle === authority.toString()));
    const found = await Promise.all(
      KINDS.map(kind => kubectl.get<Manifest>(kind, REGISTRATION, "--show-managed-fields")),
    );
    for (const [index, after] of found.entries()) {
      const ours = after.metadata.managedFields.find(({ manager }: Manifest) => manager === "wasmount-ca-bundle");
      for (const [entry, fields] of Object.entries<Manifest>(ours.fieldsV1["f:webhooks"])) {
        assert.match(entry, /^k:/);
        assert.deepEqual(fields, { "f:clientConfig": { "f:caBundle": {} } });
      }
      assert.deepEqual(Object.keys(ours.fieldsV1), ["f:webhooks"]);
      assert.deepEqual(withoutBundles(after), withoutBundles(written[index]));
    }
    const { created } = await createPods(cluster.kubeConfig, {
      namespace: NAMESPACE,
      pod,
      count: 30,
      width: 3,
      holds: "wasmount-fetch",
    });
    assert.equal(created, 30);
  });

  function withoutBundles({ webhooks }: Manifest): Manifest {
    return webhooks.map(({ clientConfig: { caBundle: _, ...rest }, ...entry }: Manifest) => ({
      ...entry,
      clientConfig: rest,
    }));
  }

  it("serve chains that OpenSSL accepts at its strictest", async () => {
    const files = { ca: join(folder, "ca.crt"), leaf: join(folder, "leaf.crt") };
    await writeFile(files.ca, (await bundles())[0] ?? "");
    for (const replica of replicas) {
      await writeFile(files.leaf, (await served(replica)).toString());
      const strict = ["verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", SERVICE];
      await spawnChecked("openssl", [...strict, "-CAfile", files.ca, files.leaf]);
    }
  });

  it("change authority when the Secret asks for it, without a failed creation", async () => {
    const before = await authorityNow();
    await underLoad(async () => {
      await kubectl.run(["annotate", ...SECRET, "wasmount.dev/rotate=now"]);
      const after = await allChangedFrom(before);
      assert.ok((await bundles()).every(bundle => bundle === after.toString() + before.toString()));
      const { metadata, data } = await kubectl.get<Manifest>(...SECRET);
      assert.equal(metadata.annotations["wasmount.dev/rotate"], undefined);
      assert.equal(Buffer.from(data["old-ca.crt"], "base64").toString(), before.toString());
    });
    await allReady();
  });

  it("lose no creation when the Secret is made junk, given another's key, and deleted", async () => {
    const first = await authorityNow();
    const junk = { "tls.crt": Buffer.from("junk").toString("base64"), "old-ca.crt": "AAAA" };
    const other = Buffer.from((await createAuthority("another's", 30, new Date())).privateKey).toString("base64");
    const patch = (data: object) => kubectl.run(["patch", ...SECRET, "--type=merge", "-p", JSON.stringify({ data })]);
    await underLoad(async () => {
      let before = first;
      for (const harm of [
        () => patch(junk),
        () => patch({ "tls.key": other }),
        () => kubectl.run(["delete", ...SECRET]),
      ]) {
        await harm();
        const known = before.fingerprint256;
        before = await eventually("another authority", async () => {
          const now = await authorityNow().catch(() => null);
          return now === null || now.fingerprint256 === known ? null : now;
        });
      }
      const after = await allChangedFrom(first);
      const found = await bundles();
      assert.ok(found.every(bundle => bundle.startsWith(after.toString()) && bundle.includes(first.toString())));
    });
  });

  it("say in log, metrics and an Event that they can't renew, and serve what they have", async () => {
    const before = await authorityNow();
    await underLoad(async () => {
      await kubectl.run(["patch", ...SECRET, "--type=merge", "-p", JSON.stringify({ immutable: true })]);
      await kubectl.run(["annotate", ...SECRET, "wasmount.dev/rotate=now"]);
      const event = await eventually("an Event", async () => {
        const selector = "--field-selector=reason=CertificateRenewalFailed";
        const { items } = await kubectl.get<Manifest>("events", "-n", OWN, selector);
        return items[0];
      });
      assert.deepEqual(
        [event.type, event.involvedObject.kind, event.involvedObject.name],
        ["Warning", "Deployment", "wasmount-webhook"],
      );
      assert.match(event.message, /can't keep certificates current, serving what there is: HTTP 422/);
      await sleep(2_000);
      const told = replicas.map(({ log }) => log().match(/can't keep certificates current/g)?.length ?? 0);
      assert.ok(told.some(times => times > 0) && told.every(times => times <= 1), `told ${told} times`);
      const texts = await Promise.all(
        replicas.map(async ({ plainUrl }) => (await fetch(`${plainUrl}/metrics`)).text()),
      );
      assert.ok(texts.some(text => /rotations_total\{kind="authority",result="Failed"\} [1-9]/.test(text)));
      for (const text of texts) {
        assert.match(text, /certificate_expiry_timestamp_seconds\{kind="authority"\} \d/);
        assert.match(text, /certificate_expiry_timestamp_seconds\{kind="serving"\} \d/);
      }
      assert.equal((await authorityNow()).fingerprint256, before.fingerprint256);
    });
    await kubectl.run(["delete", ...SECRET]);
    await allChangedFrom(before);
    await allReady();
    for (const { log } of replicas) assert.ok(!/PRIVATE KEY/.test(log()), "no key in any log");
  });

  it("tell registrations that were applied anew, and one that comes again", async () => {
    const authority = await authorityNow();
    await unregister?.();
    unregister = await registerWebhook(cluster.kubeConfig, { url, name: REGISTRATION, namespaces: [NAMESPACE] });
    await eventually("registrations to be told", async () =>
      (await bundles()).every(bundle => bundle.startsWith(authority.toString())),
    );
    await allReady();
  });

  it("leave it to whoever applied a registration to take an entry away, and tell one that is added", async () => {
    const name = "integration-self-applied";
    const service = { namespace: "nobody", name: "nobody", path: "/", port: 443 };
    const entry = (which: string) => ({
      name: `${which}.wasmount.dev`,
      clientConfig: { service },
      admissionReviewVersions: ["v1"],
      sideEffects: "None",
      failurePolicy: "Ignore",
      namespaceSelector: { matchLabels: { "wasmount.dev/nowhere": "true" } },
      rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
    });
    const apply = async (...entries: readonly string[]) => {
      const manifest = {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "MutatingWebhookConfiguration",
        metadata: { name },
        webhooks: entries.map(entry),
      };
      await kubectl.run(["apply", "--server-side", "--field-manager=helm", "-f", "-"], JSON.stringify(manifest));
    };
    const registrations = clusterRegistrations(apiServer(cluster.kubeConfig), name, () => []);
    const { signal } = new AbortController();
    const tell = async () => {
      const [found] = await registrations.read(signal);
      assert.ok(found && (await registrations.apply(found, (await authorityNow()).toString(), signal)));
      return found;
    };
    try {
      await apply("one", "two");
      const first = await tell();
      assert.equal(await registrations.apply(first, "stale", signal), false, "of another version by now");
      await apply("three", "one");
      await tell();
      const { webhooks } = await kubectl.get<Manifest>("mutatingwebhookconfiguration", name);
      assert.deepEqual(
        webhooks.map(({ name: found, clientConfig }: Manifest) => [found, Object.keys(clientConfig).sort()]),
        ["three", "one"].map(which => [`${which}.wasmount.dev`, ["caBundle", "service"]]),
      );
      assert.deepEqual(
        webhooks.map(({ clientConfig }: Manifest) => clientConfig.service),
        [service, service],
      );
      await kubectl.run(["delete", "mutatingwebhookconfiguration", name]);
      assert.equal(await registrations.apply(first, "gone", signal), false, "and not created");
      assert.deepEqual(await registrations.read(signal), []);
    } finally {
      await kubectl.run(["delete", "mutatingwebhookconfiguration", name, "--ignore-not-found"]);
    }
  });

  it("share keys that sign plans, and publish another one before it signs", async () => {
    const before = await kubectl.get<Manifest>(...KEYS);
    assert.deepEqual(Object.keys(before.data).length, 2);
    await underLoad(async () => {
      await kubectl.run(["annotate", ...KEYS, "wasmount.dev/rotate=now"]);
      const after = await eventually("another key", async () => {
        const found = await kubectl.get<Manifest>(...KEYS);
        return Object.keys(found.data).length === 3 ? found : null;
      });
      assert.equal(after.metadata.annotations?.["wasmount.dev/rotate"], undefined);
    });
    const { stdout } = await createdPod();
    const keyId = /"WASMOUNT_PLAN_SIGNATURE","value":"([0-9a-f]{16})\./.exec(stdout)?.[1];
    const pem = Buffer.from(before.data["verification.pem"], "base64").toString();
    assert.equal(keyId, idOf(pem), "the old key signs");
  });

  async function createdPod(): Promise<{ readonly stdout: string }> {
    const manifest = { ...pod, metadata: { ...pod.metadata, name: "keys", namespace: NAMESPACE } };
    const text = await kubectl.run(["create", "--dry-run=server", "-o", "json", "-f", "-"], JSON.stringify(manifest));
    return { stdout: JSON.stringify(JSON.parse(text)) };
  }

  it("recover keys that are deleted, and sign with them all the while", async () => {
    const before = await kubectl.get<Manifest>(...KEYS);
    await underLoad(async () => {
      await kubectl.run(["delete", ...KEYS]);
      const after = await eventually("keys again", () => kubectl.get<Manifest>(...KEYS).catch(() => null));
      assert.deepEqual(after.data, before.data);
    });
  });
});

function idOf(pem: string): string {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  return createHash("sha256").update(der).digest("hex").slice(0, 16);
}
