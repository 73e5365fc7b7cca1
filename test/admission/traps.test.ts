import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { admit } from "../../src/admission/admission.ts";
import type { Decision } from "../../src/admission/decision.ts";
import { readPod } from "../../src/admission/pod-object.ts";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { parseConfig } from "../../src/config/load.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { discoveredFilter } from "../../src/envoy/discovered-filter.ts";
import { NAMESPACE_CACHE_SETTINGS, namespaceCache } from "../../src/kube/namespace-cache.ts";
import type { Container, Pod } from "../../src/kube/pod.ts";
import { createLogger } from "../../src/observe/log.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { observer } from "../../src/observe/observer.ts";
import { admissionApp } from "../../src/webhook/app.ts";
import { reloadCertificate } from "../../src/webhook/certificate-reload.ts";
import { credentialFiles, readCredentials } from "../../src/webhook/credentials.ts";
import { PATIENCE } from "../../src/webhook/patience.ts";
import { shippedNow } from "../environment/installation.ts";
import { until } from "../environment/until.ts";
import { type Answer, cut, hold, list, ScriptedApi, status, untilTrue } from "../kube/scripted-api.ts";
import { type AdmissionFixture, admissionFixtures, decideFixture, patchedBy } from "./fixtures.ts";
import { digest, sampleNamespace, samplePod } from "./pods.ts";

const [{ config }] = admissionFixtures() as [AdmissionFixture];
const namespace = sampleNamespace();

const MIB = 1024 * 1024;
const DAY_MS = 86_400_000;

const decide = (pod: Pod): Promise<Decision> => decideFixture({ pod, namespace, config });
const injected = async (pod: Pod): Promise<Pod> => patchedBy(pod, await decide(pod));
const fetcherOf = ({ spec }: Pod): Container => spec.initContainers?.[0] ?? assert.fail("no init container");

interface Registration {
  readonly kind: string;
  readonly webhooks: readonly {
    readonly name: string;
    readonly clientConfig: object;
    readonly failurePolicy: string;
    readonly matchPolicy: string;
    readonly reinvocationPolicy?: string;
    readonly sideEffects?: string;
    readonly timeoutSeconds: number;
    readonly rules: readonly { readonly operations: readonly string[]; readonly resources: readonly string[] }[];
    readonly namespaceSelector: {
      readonly matchExpressions: readonly {
        readonly key: string;
        readonly operator: string;
        readonly values?: string[];
      }[];
    };
    readonly matchConditions: readonly { readonly name: string }[];
  }[];
}

const registrations: readonly Registration[] = shippedNow(
  "MutatingWebhookConfiguration",
  "ValidatingWebhookConfiguration",
);

/** What other injectors' users ran into, one test each: the numbers are for talking about them, nothing else. */
describe("traps that other injectors fell into", () => {
  it("1: an init container has no network once a mesh redirects it", async () => {
    const pod = samplePod({ proxy: { securityContext: { runAsUser: 1337, runAsGroup: 1338 } } });
    const redirected = await injected({
      ...pod,
      spec: { ...pod.spec, initContainers: [{ name: "mesh-init", image: "mesh.example/init:1" }] },
    });
    assert.equal(fetcherOf(redirected).name, "wasmount-fetch", "before the one that redirects");
    const { runAsUser, runAsGroup } = fetcherOf(redirected).securityContext ?? {};
    assert.deepEqual([runAsUser, runAsGroup], [1337, 1338], "as the proxy, whose traffic is not redirected");
  });

  it("2: two injectors fight about who comes first", async () => {
    const once = await injected(samplePod());
    const [fetcher] = once.spec.initContainers as [Container];
    const mesh = { name: "mesh-validation", image: "mesh.example/init:1" };
    const again = await injected({ ...once, spec: { ...once.spec, initContainers: [mesh, fetcher] } });
    assert.deepEqual(
      again.spec.initContainers?.map(({ name }) => name),
      ["wasmount-fetch", "mesh-validation"],
    );
    for (const { kind, webhooks } of registrations) {
      if (kind !== "MutatingWebhookConfiguration") continue;
      for (const { reinvocationPolicy } of webhooks) assert.equal(reinvocationPolicy, "IfNeeded");
    }
  });

  it("3: the wrong container is patched", async () => {
    const { spec } = samplePod();
    const [app, envoy] = spec.containers as [Container, Container];
    for (const containers of [
      [app, envoy],
      [envoy, app],
    ]) {
      const pod = await injected(samplePod({ spec: { containers } }));
      assert.deepEqual(
        pod.spec.containers.find(({ name }) => name === "app"),
        app,
      );
    }
    const sidecar = { ...envoy, restartPolicy: "Always" };
    const native = await injected(samplePod({ spec: { containers: [app], initContainers: [sidecar] } }));
    assert.deepEqual(native.spec.containers, [app]);
    assert.ok(native.spec.initContainers?.[1]?.volumeMounts?.some(({ name }) => name === "wasmount"));
    const two = await decide(samplePod({ spec: { containers: [app, envoy, { ...envoy, name: "envoy-proxy" }] } }));
    assert.equal(two.reason, "ProxyAmbiguous");
  });

  it("4: another webhook takes back what was written into args", async () => {
    const once = await injected(samplePod());
    const containers = once.spec.containers.map(container =>
      container.name === "envoy" ? { ...container, args: ["-c", "/etc/envoy/envoy.yaml"] } : container,
    );
    assert.deepEqual(await injected({ ...once, spec: { ...once.spec, containers } }), once);
  });

  it("5: Envoy runs without a filter that it can't read", async () => {
    const decision = await decide(samplePod());
    if (decision.outcome !== "Injected") return assert.fail(decision.detail);
    const [filter] = decision.plan.filters;
    assert.deepEqual([filter?.onFailure, filter?.runtimeFailure], ["block", "closed"]);
    const pod = patchedBy(samplePod(), decision);
    const proxy = pod.spec.containers.find(({ name }) => name === "envoy");
    const mount = proxy?.volumeMounts?.find(({ name }) => name === "wasmount");
    assert.deepEqual(mount, { name: "wasmount", mountPath: "/wasmount", readOnly: true });
    // Deny-all until the file is good, modes and read-back: test/integration/bootstrap.test.ts and fetcher.test.ts.
    const entry = JSON.stringify(discoveredFilter("in-last-01", "/wasmount"));
    assert.match(entry, /"default_config":\{"@type":"[^"]+rbac\.v3\.RBAC","rules":\{\}\}/);
  });

  it("6: an internal error is taken for a denial", async () => {
    const broken = () => Promise.reject(new Error("broken"));
    const pod = samplePod({ annotations: { "wasmount.dev/module.headers": "registry.example/headers:1" } });
    // What is thrown becomes HTTP 500, and then failurePolicy decides: test/integration/webhook.test.ts.
    await assert.rejects(admit(pod, namespace, [envoyDataPlane], config, broken), /broken/);
  });

  it("7: a cluster can't start, since pods wait for a webhook that is a pod", () => {
    for (const { webhooks } of registrations) {
      for (const { failurePolicy, namespaceSelector } of webhooks) {
        assert.equal(failurePolicy, "Fail");
        const excluded = namespaceSelector.matchExpressions.find(({ key }) => key === "kubernetes.io/metadata.name");
        assert.equal(excluded?.operator, "NotIn");
        for (const system of ["kube-system", "wasmount-system"]) assert.ok(excluded?.values?.includes(system));
        assert.ok(
          namespaceSelector.matchExpressions.some(({ key }) => key.startsWith("wasmount.dev/")),
          "nobody is asked about who did not ask",
        );
      }
    }
  });

  it("8: a patch appends to a list that is not there, or escapes a key wrongly", async () => {
    for (const missing of [undefined, null, []]) {
      const pod = samplePod();
      const { volumes, ...spec } = pod.spec;
      const lists = missing === undefined ? spec : { ...spec, initContainers: missing };
      const labels = missing === undefined ? {} : { labels: missing === null ? null : {} };
      const result = await injected({
        metadata: { ...pod.metadata, ...labels } as Pod["metadata"],
        spec: { ...lists, volumes: volumes ?? [] },
      });
      assert.equal(fetcherOf(result).name, "wasmount-fetch");
      assert.equal(result.metadata.labels?.["wasmount.dev/injected"], "true");
    }
    const forged = samplePod({ annotations: { "wasmount.dev/status": "{}", "wasmount.dev~1status": "other" } });
    const result = await injected(forged);
    assert.equal(result.metadata.annotations?.["wasmount.dev~1status"], "other");
    assert.notEqual(result.metadata.annotations?.["wasmount.dev/status"], "{}");
  });

  it("9: a generic diff rewrites lists, and drowns in managed fields", async () => {
    const pod = samplePod({ spec: { initContainers: Array.from({ length: 50 }, (_, i) => ({ name: `init-${i}` })) } });
    const managedFields = Array.from({ length: 1000 }, () => ({ manager: "someone", fieldsV1: { "f:spec": {} } }));
    const decision = await decide({ ...pod, metadata: { ...pod.metadata, managedFields } as Pod["metadata"] });
    if (decision.outcome !== "Injected") return assert.fail(decision.detail);
    assert.equal(decision.patch.length, 7);
    assert.ok(decision.patch.every(({ path }) => !path.includes("managedFields")));
  });

  it("10: a pod is over quota, or without the limits that a quota asks for", async () => {
    const { requests, limits } = fetcherOf(await injected(samplePod())).resources ?? {};
    for (const resource of ["cpu", "memory"]) assert.ok(requests?.[resource] && limits?.[resource], resource);
  });

  it("11: Pod Security refuses the injected container", async () => {
    const { securityContext } = fetcherOf(await injected(samplePod()));
    assert.deepEqual(securityContext, {
      runAsUser: 101,
      runAsGroup: 101,
      runAsNonRoot: true,
      privileged: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    });
  });

  it("12: admission depends on registries", async () => {
    const decision = await decide(samplePod());
    assert.equal(decision.outcome, "Injected", "a digest asks nobody");
    const pod = samplePod({ annotations: { "wasmount.dev/module.headers": "registry.example/headers:1" } });
    const away = async () => ({ problem: "no answer within 2 s", cause: "ETIMEDOUT" });
    const denied = await admit(pod, namespace, [envoyDataPlane], config, away);
    assert.equal(denied.reason, "TagUnresolved");
  });

  it("13: the fetcher has not the pull secrets that the kubelet has", async () => {
    const pod = await injected(samplePod({ spec: { imagePullSecrets: [{ name: "one" }, { name: "two" }] } }));
    const volume = pod.spec.volumes?.find(({ name }) => name === "wasmount-pull-secrets");
    for (const secret of ["one", "two"]) assert.ok(JSON.stringify(volume).includes(secret));
    assert.ok(fetcherOf(pod).volumeMounts?.some(({ name }) => name === "wasmount-pull-secrets"));
  });

  it("14: a certificate ends, and the server goes on with it, or takes half of a new one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "wasmount-traps-"));
    const files = { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key"), clientCaFile: null };
    const put = async ({ certificate, privateKey }: Credentials, ...only: ("certFile" | "keyFile")[]) => {
      if (!only.includes("keyFile")) await writeFile(files.certFile, certificate);
      if (!only.includes("certFile")) await writeFile(files.keyFile, privateKey);
    };
    const authority = await createAuthority("CA", 60, new Date());
    const issue = (days: number, from = new Date()) => issueServerCertificate(authority, ["localhost"], days, from);
    const [old, ended, next] = await Promise.all([issue(1), issue(1, new Date(Date.now() - 30 * DAY_MS)), issue(9)]);
    await put(old);
    const first = await readCredentials(files, new Date());
    const used: string[] = [];
    const use = ({ cert }: { readonly cert: Buffer }) => used.push(cert.toString());
    const reload = reloadCertificate(credentialFiles(files), first, use, createLogger("silent"), 5);
    try {
      // The order of writes: half of the new one first, then one that has ended, then the new one.
      await put(next, "certFile");
      await sleep(50);
      await put(ended);
      await sleep(50);
      assert.deepEqual(used, []);
      await put(next);
      await until("another certificate", () => used.length > 0, { seconds: 8, pauseMs: 5 });
      assert.deepEqual(used, [next.certificate]);
      assert.ok((reload.current()?.notAfter ?? 0) > first.notAfter, "and its end is the metric's");
    } finally {
      await reload.stop();
      await rm(folder, { recursive: true });
    }
    // That no connection is closed and no call fails: test/integration/certificate-reload.test.ts.
  });

  it("15: GitOps tools and a controller fight about caBundle", () => {
    for (const { webhooks } of registrations) {
      for (const { clientConfig } of webhooks) assert.ok(!("caBundle" in clientConfig));
    }
  });

  it("16: the API server can't reach the webhook, and everything waits", () => {
    for (const { webhooks } of registrations) for (const webhook of webhooks) assert.equal(webhook.timeoutSeconds, 5);
    const { listen } = parseConfig("{tls: {certFile: a, keyFile: b}, fetcher: {image: c}}", "defaults");
    assert.equal(listen.port, 10250, "a port that private clusters open already");
  });

  it("17: a pod from a controller has neither name nor namespace, and maps that are null", async () => {
    const pod = readPod({
      metadata: { generateName: "shop-", labels: null, annotations: null, ownerReferences: null },
      spec: { ...samplePod().spec, initContainers: null, imagePullSecrets: null, nodeSelector: null, os: null },
    });
    const annotations = { "wasmount.dev/module.headers": `registry.example/headers@${digest("a")}` };
    const decision = await decideFixture({ pod, namespace: { ...namespace, annotations }, config });
    assert.equal(decision.outcome, "Injected", decision.detail);
    assert.equal(fetcherOf(patchedBy(pod, decision)).name, "wasmount-fetch");
  });

  it("18: side effects happen on a dry run, or for an admission that never was", async () => {
    assert.deepEqual(
      registrations.map(({ kind }) => kind),
      ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"],
    );
    for (const { webhooks } of registrations) {
      for (const { sideEffects } of webhooks) assert.equal(sideEffects, "NoneOnDryRun");
    }
    const announced: string[] = [];
    const observing = observer(createLogger("silent"), createMetrics(), ({ reason }) => announced.push(reason));
    const decision = await decide(samplePod({ annotations: { "wasmount.dev/x": "y" } }));
    const reviewed = { side: "mutate", entry: "namespace", uid: "u", namespace: "shop", seconds: 0 } as const;
    for (const [dryRun, answered] of [
      [true, true],
      [false, false],
    ] as const) {
      observing.decided({ ...reviewed, decision, pod: samplePod(), dryRun, answered });
    }
    assert.deepEqual(announced, [], "neither for a dry run, nor where the caller had gone");
    observing.decided({ ...reviewed, decision, pod: samplePod(), dryRun: false, answered: true });
    assert.deepEqual(announced, ["UnknownKey"]);
    // That a caller has gone is told by the server: test/integration/webhook-callers.test.ts.
  });

  it("19: Windows pods, host network, mirror pods, and updates and subresources of pods are injected into", async () => {
    const reasonOf = async (pod: Pod) => (await decide(pod)).reason;
    assert.equal(await reasonOf(samplePod({ spec: { os: { name: "windows" } } })), "WindowsPod");
    assert.equal(await reasonOf(samplePod({ spec: { hostNetwork: true } })), "HostNetwork");
    assert.equal(await reasonOf(samplePod({ annotations: { "kubernetes.io/config.mirror": "x" } })), "MirrorPod");
    for (const { webhooks } of registrations) {
      for (const { rules, matchPolicy, matchConditions } of webhooks) {
        assert.deepEqual(
          rules.map(({ operations, resources }) => [operations, resources]),
          [[["CREATE"], ["pods"]]],
        );
        assert.equal(matchPolicy, "Equivalent");
        assert.deepEqual(
          matchConditions.map(({ name }) => name),
          ["not-a-mirror-pod"],
        );
      }
    }
  });

  it("20: bodies of more than 100 kB are refused, and connections closed that API servers still use", async () => {
    const app = admissionApp(
      { mutate: async ({ pod }) => decide(pod), validate: async ({ pod }) => decide(pod) },
      observer(createLogger("silent"), createMetrics(), () => {}),
      64 * MIB,
    );
    const server = createServer(app).listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const request = { uid: "u", namespace: "shop", operation: "CREATE", resource: { group: "", resource: "pods" } };
      const review = (oldObject: string) =>
        JSON.stringify({
          apiVersion: "admission.k8s.io/v1",
          kind: "AdmissionReview",
          request: { ...request, object: samplePod(), oldObject },
        });
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mutate/namespace`;
      const headers = { "content-type": "application/json" };
      const room = 7 * MIB - Buffer.byteLength(review(""));
      for (const [bytes, status] of [
        [room, 200],
        [room + 1, 413],
      ] as const) {
        const answer = await fetch(url, { method: "POST", headers, body: review("x".repeat(bytes)) });
        assert.equal(answer.status, status);
        await answer.text();
      }
    } finally {
      server.closeAllConnections();
      server.close();
    }
    assert.ok(PATIENCE.keepAliveMs > 90_000, "Go's IdleConnTimeout");
  });

  it("20: a watch that ended in an error stays ended", async () => {
    const refused: Answer[] = [status(500), status(403), cut("{"), hold()];
    const api = new ScriptedApi("/api/v1/namespaces", { lists: [list(7, [])], watches: refused });
    const settings = { ...NAMESPACE_CACHE_SETTINGS, backoff: { baseMs: 5, maxMs: 10 } };
    const cache = namespaceCache(await api.open(), { keep: () => false, interrupted: () => {}, settings });
    try {
      await untilTrue(
        () => api.watches.length === refused.length,
        () => `${api.watches.length} watches`,
      );
    } finally {
      await cache.close();
      api.close();
    }
  });

  it("20: metrics are registered under one name and observed under another", async () => {
    const metrics = createMetrics();
    for (const side of ["mutate", "validate"] as const) {
      metrics.decided(side, await decide(samplePod()), 0.003);
      metrics.failed(side, 0.003);
    }
    const { text } = await metrics.expose();
    assert.match(text, /wasmount_admission_decisions_total\{side="mutate",outcome="Injected",reason="Injected"\} 1/);
    assert.match(text, /wasmount_admission_failures_total\{side="validate"\} 1/);
    assert.match(text, /wasmount_admission_duration_seconds_bucket\{le="0.005",side="mutate"\} 2/, "in seconds");
  });

  it("and: a list of service accounts in the injector decides about pods", async () => {
    const injectedFor = async (serviceAccountName: string) =>
      fetcherOf(await injected(samplePod({ spec: { serviceAccountName } as Partial<Pod["spec"]> })));
    assert.deepEqual(await injectedFor("kube-controller-manager"), await injectedFor("default"));
  });

  it("and: a status that the author wrote keeps the pod from being injected", async () => {
    const forged = samplePod({
      labels: { "wasmount.dev/injected": "true" },
      annotations: { "wasmount.dev/status": '{"version":1}' },
    });
    assert.equal(fetcherOf(await injected(forged)).name, "wasmount-fetch");
  });

  it("and: a container of the fetcher's name keeps the pod from being injected", async () => {
    const forged = await injected(
      samplePod({ spec: { initContainers: [{ name: "wasmount-fetch", image: "evil.example/x:1" }] } }),
    );
    assert.equal(fetcherOf(forged).image, "registry.example/wasmount:1");
    assert.equal(forged.spec.initContainers?.length, 1);
  });
});
