import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { runCommand } from "../environment/command.ts";
import { realGuards, SYSTEM } from "../environment/installed-cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { registerService } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import { webhookAccount } from "../environment/service-account.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { wasmountImage } from "../environment/wasmount-image.ts";

const NAME = "wasmount-webhook";
const LABELS = { "app.kubernetes.io/name": "wasmount", "app.kubernetes.io/component": "webhook" };

/** What only pods on a node have: their own certificates and readiness, through the API server and the kubelet. */
describe("wasmount doctor, of a webhook that runs in the cluster", function () {
  this.timeout(20 * 60_000);
  const undo: (() => Promise<unknown>)[] = [];
  let folder: string;
  let cluster: Cluster;
  let kubectl: Kubectl;
  let other: Credentials;
  let register: (ca: string) => Promise<() => Promise<void>>;

  before(async function () {
    const reason = await clusterUnavailable({ node: true });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-e2e-doctor-"));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    cluster = await openCluster({ node: true, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    const image = await cluster.importImage((await wasmountImage()).archivePath);
    undo.push((await webhookAccount(cluster, SYSTEM, folder)).remove);
    const now = new Date();
    const authority = await createAuthority("wasmount e2e", 7, now);
    other = await createAuthority("another", 7, now);
    const leaf = await issueServerCertificate(authority, [`${NAME}.${SYSTEM}.svc`], 7, now);
    await kubectl.apply(...installation(image, leaf));
    const guards = await realGuards(image);
    undo.push(async () => {
      for (const { kind, metadata } of guards) await kubectl.run(["delete", kind, metadata.name, "--ignore-not-found"]);
    });
    await kubectl.apply(...guards);
    register = ca => registerService(cluster.kubeConfig, ca);
    undo.push(await register(authority.certificate));
    await kubectl.run(["rollout", "status", `deployment/${NAME}`, "-n", SYSTEM, "--timeout=180s"]);
  });

  after(async () => {
    for (let action = undo.pop(); action; action = undo.pop()) await action();
  });

  function installation(image: string, { certificate, privateKey }: Credentials): Manifest[] {
    const place = { name: NAME, namespace: SYSTEM };
    const tls = { certFile: "/etc/wasmount-tls/tls.crt", keyFile: "/etc/wasmount-tls/tls.key" };
    const config = { tls, fetcher: { image, imagePullPolicy: "Never" } };
    return [
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "wasmount-webhook-tls", namespace: SYSTEM },
        type: "kubernetes.io/tls",
        stringData: { "tls.crt": certificate, "tls.key": privateKey },
      },
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "wasmount-config", namespace: SYSTEM },
        data: { "wasmount.yaml": stringify(config) },
      },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: place,
        spec: { selector: LABELS, ports: [{ port: 443, targetPort: "admission" }] },
      },
      {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: place,
        spec: {
          replicas: 2,
          selector: { matchLabels: LABELS },
          template: {
            metadata: { labels: LABELS },
            spec: {
              serviceAccountName: NAME,
              containers: [
                {
                  name: "webhook",
                  image,
                  imagePullPolicy: "Never",
                  args: ["webhook", "--config", "/etc/wasmount/wasmount.yaml"],
                  ports: [
                    { name: "admission", containerPort: 10250 },
                    { name: "health", containerPort: 8080 },
                  ],
                  readinessProbe: { httpGet: { path: "/readyz", port: "health" }, periodSeconds: 1 },
                  volumeMounts: [
                    { name: "config", mountPath: "/etc/wasmount" },
                    { name: "tls", mountPath: "/etc/wasmount-tls" },
                  ],
                },
              ],
              volumes: [
                { name: "config", configMap: { name: "wasmount-config" } },
                { name: "tls", secret: { secretName: "wasmount-webhook-tls" } },
              ],
            },
          },
        },
      },
    ];
  }

  async function untilFound(...expected: readonly string[]): Promise<string> {
    let last = "";
    const look = async () => {
      const args = ["doctor", "--json", "--kubeconfig", cluster.kubeconfigPath];
      const { stdout, stderr } = await runCommand(args, { cwd: folder });
      last = stdout + stderr;
      const codes = JSON.parse(stdout).checks.flatMap(({ findings }: Manifest) =>
        findings.map(({ code }: Manifest) => code),
      );
      return JSON.stringify(codes) === JSON.stringify(expected) && last;
    };
    const what = () => `${expected.join(", ") || "nothing"} to be found, and not ${last}`;
    return until(what, look, { seconds: 60, pauseMs: 500, bears: () => false });
  }

  it("finds nothing wrong with two replicas that are well", async () => {
    await untilFound();
  });

  it("finds each replica whose certificate the registration does not vouch for", async () => {
    const { authority } = await replaced(other.certificate);
    const text = await untilFound("CertificateUntrusted", "CertificateUntrusted", "WebhookUnreachable");
    const pods: Manifest = await kubectl.get("pods", "-n", SYSTEM);
    for (const { metadata } of pods.items) assert.ok(text.includes(`pod ${SYSTEM}/${metadata.name}`), text);
    await replaced(authority);
    await untilFound();
  });

  it("finds that no replica is there", async () => {
    await kubectl.run(["scale", `deployment/${NAME}`, "-n", SYSTEM, "--replicas=0"]);
    await kubectl.run(["wait", "--for=delete", "pods", "--all", "-n", SYSTEM, "--timeout=90s"]);
    await untilFound("ReplicasNotReady", "WebhookUnreachable");
  });

  /** Has the registration vouch for another authority. @returns the one before */
  async function replaced(ca: string): Promise<{ readonly authority: string }> {
    const registration: Manifest = await kubectl.get("mutatingwebhookconfiguration", "wasmount");
    const before = Buffer.from(registration.webhooks[0].clientConfig.caBundle, "base64").toString();
    await register(ca);
    return { authority: before };
  }
});
