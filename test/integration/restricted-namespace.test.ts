import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { readLimitRange } from "../../src/kube/limit-range.ts";
import type { Namespace } from "../../src/kube/namespace.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { type AdmissionFixture, admissionFixtures, configOf, decideFixture, patchedBy } from "../admission/fixtures.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { MODULE } from "../environment/guarded-cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const PREFIX = "integration-restricted";
/** Not another namespace for each: what they say is the same. */
const SHARED = `${PREFIX}-shared`;
/** Where pods are created and stay, so that the quota counts them. */
const COUNTED = `${PREFIX}-counted`;

const LIMIT_RANGE = {
  apiVersion: "v1",
  kind: "LimitRange",
  metadata: { name: "bounds" },
  spec: {
    limits: [
      {
        type: "Container",
        min: { cpu: "10m", memory: "16Mi" },
        max: { cpu: "500m", memory: "128Mi" },
        default: { cpu: "100m", memory: "64Mi" },
        defaultRequest: { cpu: "10m", memory: "16Mi" },
      },
    ],
  },
};

/** Pods whose containers don't all say what they take are refused, and pods that take more than this. */
const QUOTA = {
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: { name: "quota" },
  spec: {
    hard: { "requests.cpu": "100m", "limits.cpu": "600m", "requests.memory": "256Mi", "limits.memory": "256Mi" },
  },
};

describe("in a namespace with restricted Pod Security, a LimitRange and a ResourceQuota, the API server takes", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let webhook: WebhookProcess;
  let unregister: () => Promise<void>;
  const fixtures = admissionFixtures();
  const names = new Set(fixtures.map(namespaceOf));
  // One webhook for all pods has one operator, who says what each of them asks for.
  const operator = Object.assign({}, ...fixtures.map(fixture => fixture.operator));

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-restricted-"));
    for (const fixture of fixtures) {
      const name = namespaceOf(fixture);
      if (!names.delete(name)) continue;
      const { labels, annotations } = fixture.namespace;
      await makeNamespace(kubectl, name, {
        labels: { ...labels, "pod-security.kubernetes.io/enforce": "restricted" },
        annotations,
      });
      for (const limit of [LIMIT_RANGE, QUOTA]) {
        await kubectl.apply({ ...limit, metadata: { ...limit.metadata, namespace: name } });
      }
    }
    await makeNamespace(kubectl, COUNTED, {
      labels: { "wasmount.dev/inject": "true", "pod-security.kubernetes.io/enforce": "restricted" },
    });
    const hard = { ...QUOTA.spec.hard, "limits.cpu": "800m" };
    await kubectl.apply(
      { ...LIMIT_RANGE, metadata: { ...LIMIT_RANGE.metadata, namespace: COUNTED } },
      { ...QUOTA, metadata: { ...QUOTA.metadata, namespace: COUNTED }, spec: { hard } },
    );
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: {
        fetcher: { image: "registry.example/wasmount:1" },
        ...operator,
      },
    });
    const namespaces = [...fixtures.map(namespaceOf), COUNTED];
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: PREFIX, namespaces });
  });

  after(async () => {
    await unregister?.();
    await webhook?.stop();
    const namespaces = [...new Set(fixtures.map(namespaceOf)), COUNTED];
    await kubectl?.run(["delete", "namespace", ...namespaces, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  for (const fixture of fixtures) {
    it(`${fixture.name} as admission decides`, async () => {
      const limits = readLimitRange(LIMIT_RANGE);
      const namespace: Namespace = { ...fixture.namespace, name: namespaceOf(fixture), limits };
      const decision = await decideFixture({ ...fixture, namespace, config: configOf(operator) });
      const created = create(fixture, namespace.name);
      if (decision.outcome === "Denied") {
        await assert.rejects(created, new RegExp(`wasmount: ${decision.reason}: `));
      } else if (decision.outcome === "Deferred") {
        await assert.rejects(created, /wasmount: ProxyNeverCame: /);
      } else {
        assertHolds(await created, patchedBy(fixture.pod, decision), "pod");
      }
    });
  }

  it("pods as far as the quota goes, which counts what the fetcher may take", async () => {
    const { metadata, spec } = parse(await exampleManifest("pod")) as Manifest;
    const store = (name: string, inject: string) => {
      const annotations = { ...metadata.annotations, "wasmount.dev/module.headers": MODULE };
      const marked = { name, namespace: COUNTED, annotations, labels: { "wasmount.dev/inject": inject } };
      // A quota counts pods that no node ever runs, and those are gone at once.
      const unscheduled = { ...spec, nodeSelector: { "guards.test/node": "none" } };
      const manifest = { apiVersion: "v1", kind: "Pod", metadata: marked, spec: unscheduled };
      return kubectl.run(["create", "-f", "-"], JSON.stringify(manifest));
    };
    await kubectl.run([
      ...["wait", "-n", COUNTED, "resourcequota/quota", "--timeout=120s"],
      "--for=jsonpath={.status.hard.limits\\.cpu}=800m",
    ]);
    await store("first", "true");
    // The application and its proxy have 200m and 32Mi by the LimitRange's word, the fetcher has its maximum and 64Mi.
    const { status } = await kubectl.get<Manifest>("resourcequota", "quota", "-n", COUNTED);
    assert.deepEqual(status.used, {
      "requests.cpu": "20m",
      "limits.cpu": "500m",
      "requests.memory": "64Mi",
      "limits.memory": "128Mi",
    });
    await assert.rejects(
      store("second", "true"),
      /pods "second" is forbidden: exceeded quota: quota, requested: limits\.cpu=500m, used: limits\.cpu=500m, limited: limits\.cpu=800m/,
    );
    // It would have fitted without the fetcher.
    await store("second", "false");
  });

  async function create({ pod }: AdmissionFixture, namespace: string): Promise<Pod> {
    const manifest = { apiVersion: "v1", kind: "Pod", ...pod, metadata: { ...pod.metadata, namespace } };
    const text = await kubectl.run(["create", "--dry-run=server", "-f", "-", "-o", "json"], JSON.stringify(manifest));
    return JSON.parse(text) as Pod;
  }
});

function namespaceOf({ name, namespace }: AdmissionFixture): string {
  const plain = JSON.stringify([namespace.labels, namespace.annotations]) === '[{"wasmount.dev/inject":"true"},{}]';
  return plain ? SHARED : `${PREFIX}-${name}`;
}

/** The stored object has all that is expected, beside defaults and what the API server keeps for itself. */
function assertHolds(stored: unknown, expected: unknown, path: string): void {
  if (path === "pod.metadata.managedFields" || expected === null) return;
  if (Array.isArray(expected) && Array.isArray(stored)) {
    const kept = stored.filter(member => !String(member?.name).startsWith("kube-api-access-"));
    assert.equal(kept.length, expected.length, path);
    for (const [index, member] of expected.entries()) assertHolds(kept[index], member, `${path}[${index}]`);
  } else if (Array.isArray(expected) && expected.length === 0) {
    assert.equal(stored, undefined, path);
  } else if (typeof expected === "object") {
    for (const [key, member] of Object.entries(expected)) {
      assertHolds((stored as Record<string, unknown> | undefined)?.[key], member, `${path}.${key}`);
    }
  } else {
    assert.deepEqual(stored, expected, path);
  }
}
