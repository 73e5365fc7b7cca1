import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { TLSSocket } from "node:tls";
import { registeredEntries, registeredTerms } from "../../src/admission/registration.ts";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { parseConfig } from "../../src/config/load.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import type { Check, Patient } from "../../src/diagnosis/check.ts";
import { apiServerCheck } from "../../src/diagnosis/checks/api-server.ts";
import { certificatesCheck } from "../../src/diagnosis/checks/certificates.ts";
import { policiesCheck } from "../../src/diagnosis/checks/policies.ts";
import { registrationCheck } from "../../src/diagnosis/checks/registration.ts";
import { replicasCheck } from "../../src/diagnosis/checks/replicas.ts";
import { rightsCheck } from "../../src/diagnosis/checks/rights.ts";
import { trialCheck } from "../../src/diagnosis/checks/trial.ts";
import { examine } from "../../src/diagnosis/doctor.ts";
import { findings } from "../../src/diagnosis/finding.ts";
import { findInstallation, MUTATING, VALIDATING } from "../../src/diagnosis/installation.ts";
import type { RawPod } from "../validation/injected-pod.ts";
import { type Recording, recordedCluster } from "./recorded-cluster.ts";

const config = parseConfig("tls: {certFile: a, keyFile: b}\nfetcher: {image: registry.example/wasmount:1}", "x");
const PODS = "/api/v1/namespaces/wasmount-system/pods";
const DEPLOYMENT = "/apis/apps/v1/namespaces/wasmount-system/deployments/wasmount-webhook";

function patient(recording: Recording): Patient {
  const excluded = ["kube-system", "wasmount-system"];
  const installation = { ownNamespace: "wasmount-system", excluded, config, fetcherImage: null, configProblem: null };
  const cluster = recordedCluster(recording);
  return { cluster, installation, namespace: "default", version: "1.2.3", dataPlanes: [envoyDataPlane] };
}

/** The codes that a check gives, with all that it says. */
async function found(check: Check, recording: Recording): Promise<{ codes: string[]; text: string }> {
  const list = await check.run(patient(recording));
  return { codes: list.map(({ code }) => code), text: JSON.stringify(list) };
}

/** A configuration as the chart installs it. */
function registration(side: "mutate" | "validate", caBundle?: string): RawPod {
  const webhooks = registeredEntries("wasmount-system").map(({ name, entry, namespace, object }) => ({
    name,
    clientConfig: {
      service: { namespace: "wasmount-system", name: "wasmount-webhook", port: 443, path: `/${side}/${entry}` },
      ...(caBundle === undefined ? {} : { caBundle }),
    },
    ...registeredTerms(side),
    failurePolicy: "Fail",
    timeoutSeconds: 5,
    matchConditions: [
      {
        name: "not-a-mirror-pod",
        expression:
          "!has(object.metadata.annotations) || !('kubernetes.io/config.mirror' in object.metadata.annotations)",
      },
    ],
    namespaceSelector: { matchExpressions: namespace },
    objectSelector: object.length > 0 ? { matchExpressions: object } : {},
  }));
  return { metadata: { name: "wasmount" }, webhooks };
}

function objects(caBundle?: string): Record<string, RawPod> {
  return { [MUTATING]: registration("mutate", caBundle), [VALIDATING]: registration("validate", caBundle) };
}

describe("the doctor", () => {
  it("says of an old API server that it is too old, and nothing of one of a cloud's", async () => {
    const version = (minor: string) => ({
      objects: { "/version": { major: "1", minor, gitVersion: `v1.${minor}.1` } },
    });
    assert.deepEqual((await found(apiServerCheck, version("29+"))).codes, ["ServerTooOld"]);
    assert.deepEqual((await found(apiServerCheck, version("30+"))).codes, []);
    assert.deepEqual((await found(apiServerCheck, version("36"))).codes, []);
  });

  it("takes each check's missing right for what it is, and goes on", async () => {
    const reports = await examine(patient({ forbidden: /./, answer: () => ({ status: 403, message: "no" }) }));
    const codes = new Set(reports.flatMap(report => report.findings.map(({ code }) => code)));
    assert.deepEqual(
      [...codes].filter(code => code !== "RightMissing"),
      ["TrialRefused"],
    );
  });

  it("lets nothing but a cluster that can't be asked end it", async () => {
    const unreachable = patient({ texts: {} });
    const failing = {
      ...unreachable,
      cluster: { ...unreachable.cluster, get: () => unreachable.cluster.text("/x").then(() => null) },
    };
    await assert.rejects(examine(failing), { code: "Unreachable" });
  });

  it("has a sentence and a remedy for each finding", () => {
    for (const [code, { sentence, remedy }] of Object.entries(findings)) {
      assert.match(sentence, /[.]$/, code);
      assert.match(remedy, /[.?)]$/, code);
      assert.ok(!`${sentence}${remedy}`.includes("|"), `${code}: no column of a table`);
    }
  });

  describe("looks at the registration and", () => {
    it("finds nothing where it is as it ships", async () => {
      assert.deepEqual((await found(registrationCheck, { objects: objects() })).codes, []);
    });

    it("finds nothing where the operator leaves more namespaces out, and goes by that", async () => {
      const all = objects();
      for (const { webhooks } of Object.values(all)) {
        for (const { namespaceSelector } of webhooks) {
          const [first, ...rest] = namespaceSelector.matchExpressions;
          namespaceSelector.matchExpressions = [{ ...first, values: ["gatekeeper", ...first.values] }, ...rest];
        }
      }
      assert.deepEqual((await found(registrationCheck, { objects: all })).codes, []);
      const { excluded } = await findInstallation(recordedCluster({ objects: all }), undefined);
      assert.ok(excluded.includes("gatekeeper"));
    });

    it("finds a namespace that is no longer left out", async () => {
      const all = objects();
      all[MUTATING].webhooks[0].namespaceSelector.matchExpressions[0] = {
        key: "kubernetes.io/metadata.name",
        operator: "NotIn",
        values: ["kube-system", "wasmount-system"],
      };
      const { codes, text } = await found(registrationCheck, { objects: all });
      assert.deepEqual(codes, ["EntryChanged", "SelectorNarrowed"]);
      assert.match(text, /lacks kubernetes\.io\/metadata\.name NotIn \[kube-system, kube-public/);
    });

    it("finds a selector that takes in more", async () => {
      const all = objects();
      const { matchExpressions } = all[MUTATING].webhooks[4].namespaceSelector;
      matchExpressions[2] = { key: "wasmount.dev/inject", operator: "In", values: ["false", "maybe"] };
      const { codes } = await found(registrationCheck, { objects: all });
      assert.deepEqual(codes, ["EntryChanged", "SelectorNarrowed"]);
    });

    it("finds a Service that is not ours", async () => {
      const all = objects();
      all[VALIDATING].webhooks[1].clientConfig.service.namespace = "elsewhere";
      const { codes, text } = await found(registrationCheck, { objects: all });
      assert.deepEqual(codes, ["EntryChanged"]);
      assert.match(text, /it calls Service elsewhere\/wasmount-webhook/);
    });
  });

  describe("looks at replicas and", () => {
    const pod = (name: string, changes: RawPod = {}): RawPod => ({
      metadata: { name, namespace: "wasmount-system" },
      spec: { containers: [{ image: "wasmount:1.2.3", ports: [{ name: "health", containerPort: 8081 }] }] },
      status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
      ...changes,
    });
    const readyz = (name: string) => `${PODS}/${name}:8081/proxy/readyz`;
    const ok = { status: 200, text: "ok" };
    const deployment = { metadata: { name: "x" }, spec: { replicas: 2 }, status: { readyReplicas: 2 } };

    const replicas = (changes: Recording, deployed: RawPod | null = deployment) =>
      found(replicasCheck, {
        objects: { ...objects(), ...(deployed === null ? {} : { [DEPLOYMENT]: deployed }) },
        lists: { [PODS]: [pod("a"), pod("b")] },
        texts: { [readyz("a")]: ok, [readyz("b")]: ok },
        ...changes,
      });

    it("finds nothing where two are ready", async () => {
      assert.deepEqual((await replicas({})).codes, []);
    });

    it("finds nothing where the webhook runs elsewhere", async () => {
      const outside = { metadata: {}, webhooks: [{ name: "x", clientConfig: { url: "https://127.0.0.1/" } }] };
      assert.deepEqual((await replicas({ objects: { [MUTATING]: outside } })).codes, []);
    });

    it("finds that there is no Deployment, none ready, one alone", async () => {
      assert.deepEqual((await replicas({}, null)).codes, ["DeploymentMissing"]);
      const alone = { metadata: {}, spec: { replicas: 1 }, status: {} };
      assert.deepEqual((await replicas({ lists: {} }, alone)).codes, ["ReplicasNotReady", "SingleReplica"]);
    });

    it("finds releases that differ", async () => {
      const newer = pod("b", {
        spec: { containers: [{ image: "wasmount:2", ports: [{ name: "health", containerPort: 8081 }] }] },
      });
      const { codes, text } = await replicas({ lists: { [PODS]: [pod("a"), newer] } });
      assert.deepEqual(codes, ["VersionsDiffer"]);
      assert.match(text, /wasmount:1\.2\.3 and wasmount:2/);
      const labelled = (version: string) => ({
        ...deployment,
        metadata: { labels: { "app.kubernetes.io/version": version } },
      });
      assert.deepEqual((await replicas({}, labelled("v1.2.3"))).codes, []);
      assert.deepEqual((await replicas({}, labelled("1.1.0"))).codes, ["VersionsDiffer"]);
    });

    it("finds what a replica says itself", async () => {
      const texts = {
        [readyz("a")]: { status: 503, text: "namespaces: the watch is down\n" },
        [readyz("b")]: { status: 503, text: '{"kind":"Status","code":503}' },
      };
      const { codes, text } = await replicas({ texts });
      assert.deepEqual(codes, ["ReplicaNotReady", "ReplicaUnreachable"]);
      assert.match(text, /namespaces: the watch is down/);
      const lists = { [PODS]: [pod("a", { status: { phase: "Pending" } }), pod("b")] };
      assert.deepEqual((await replicas({ lists })).codes, ["ReplicaNotReady"]);
      assert.deepEqual((await replicas({ forbidden: /proxy/ })).codes, ["ReplicaUnreachable", "ReplicaUnreachable"]);
    });

    it("leaves pods alone that are on their way out", async () => {
      const going = pod("b", {
        metadata: { name: "b", namespace: "wasmount-system", deletionTimestamp: "2026-01-01T00:00:00Z" },
      });
      assert.deepEqual((await replicas({ lists: { [PODS]: [pod("a"), going] } })).codes, []);
    });
  });

  describe("looks at certificates and", () => {
    const now = new Date();
    const DAY_MS = 86_400_000;
    const NAME = "wasmount-webhook.wasmount-system.svc";
    let authority: Credentials;
    let other: Credentials;
    const base64 = (...pems: readonly string[]) => Buffer.from(pems.join("")).toString("base64");

    before(async () => {
      authority = await createAuthority("ours", 30, now);
      other = await createAuthority("another", 30, now);
    });

    async function certificates(
      caBundle: string | undefined,
      { names = [NAME] as [string, ...string[]], issued = now, days = 10, at = now, requestCert = false } = {},
    ): Promise<{ codes: string[]; text: string }> {
      const { certificate: cert, privateKey: key } = await issueServerCertificate(authority, names, days, issued);
      return found(certificatesCheck, {
        objects: objects(caBundle),
        lists: { [PODS]: [{ metadata: { name: "a" }, spec: { containers: [] }, status: { phase: "Running" } }] },
        now: at,
        async connect() {
          const [near, far] = duplexPair();
          new TLSSocket(far, { isServer: true, cert, key, requestCert, rejectUnauthorized: requestCert }).on(
            "error",
            () => {},
          );
          return near;
        },
      });
    }

    it("finds nothing where the bundle vouches for what is served", async () => {
      assert.deepEqual((await certificates(base64(authority.certificate))).codes, []);
      assert.deepEqual((await certificates(base64(other.certificate, authority.certificate))).codes, []);
    });

    it("finds nothing where the webhook asks callers for certificates", async () => {
      assert.deepEqual((await certificates(base64(authority.certificate), { requestCert: true })).codes, []);
    });

    it("finds another authority and another name", async () => {
      const untrusted = await certificates(base64(other.certificate));
      assert.deepEqual(untrusted.codes, ["CertificateUntrusted"]);
      assert.match(
        untrusted.text,
        /pod wasmount-system\/a.*UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY/,
      );
      const elsewhere = await certificates(base64(authority.certificate), {
        names: ["wasmount-webhook.elsewhere.svc"],
      });
      assert.deepEqual(elsewhere.codes, ["CertificateUntrusted"]);
      assert.match(elsewhere.text, /ERR_TLS_CERT_ALTNAME_INVALID/);
    });

    it("finds bundles that are missing, and such that hold nothing", async () => {
      const { codes } = await certificates(undefined);
      assert.deepEqual(codes, Array(14).fill("CaBundleMissing"));
      assert.ok((await certificates(base64("rubbish"))).codes.every(code => code === "CaBundleUnreadable"));
    });

    it("finds certificates that are at their end, or were", async () => {
      const bundle = base64(authority.certificate);
      const past = new Date(now.getTime() - 9.5 * DAY_MS);
      assert.deepEqual((await certificates(bundle, { issued: past })).codes, ["CertificateExpiring"]);
      const longPast = new Date(now.getTime() - 12 * DAY_MS);
      assert.deepEqual((await certificates(bundle, { issued: longPast })).codes, ["CertificateExpired"]);
      const later = new Date(now.getTime() + 28 * DAY_MS);
      const { codes, text } = await certificates(bundle, { days: 40, at: later });
      // No certificate outlives its authority.
      assert.deepEqual(codes, ["CertificateExpiring", "CertificateExpiring"]);
      assert.match(text, /the authority in caBundle of MutatingWebhookConfiguration\/wasmount, entry locked/);
    });

    it("goes by the newest authority of a bundle", async () => {
      const old = await createAuthority("old", 1, new Date(now.getTime() - 5 * DAY_MS));
      assert.deepEqual((await certificates(base64(old.certificate, authority.certificate))).codes, []);
    });

    it("finds a replica that it can't reach", async () => {
      const { codes } = await found(certificatesCheck, {
        objects: objects(base64(authority.certificate)),
        lists: { [PODS]: [{ metadata: { name: "a" }, spec: { containers: [] }, status: { phase: "Running" } }] },
      });
      assert.deepEqual(codes, ["ReplicaUnreachable"]);
    });
  });

  describe("looks at the webhook's rights and", () => {
    async function rights(lacks: (attributes: RawPod) => boolean, controller = true) {
      const asked: RawPod[] = [];
      const one = patient({
        answer(_method, path, body) {
          assert.equal(path, "/apis/authorization.k8s.io/v1/subjectaccessreviews");
          const { spec } = body as RawPod;
          assert.equal(spec.user, "system:serviceaccount:wasmount-system:wasmount-webhook");
          const { resourceAttributes } = JSON.parse(JSON.stringify(spec));
          asked.push(resourceAttributes);
          return { status: 201, body: { status: { allowed: !lacks(resourceAttributes) } } };
        },
      });
      const changed = { ...config, controller: { ...config.controller, enabled: controller } };
      const found = await rightsCheck.run({ ...one, installation: { ...one.installation, config: changed } });
      return { asked, found };
    }

    it("asks for each with its verb, its place and its name", async () => {
      const { asked, found } = await rights(() => false);
      assert.deepEqual(found, []);
      const has = (attributes: object) => asked.some(one => JSON.stringify(one) === JSON.stringify(attributes));
      const policies = { group: "wasmount.dev", resource: "wasmpolicies", verb: "patch", subresource: "status" };
      assert.ok(has(policies));
      const secrets = { group: "", resource: "secrets", verb: "get", namespace: "wasmount-system" };
      assert.ok(has(secrets));
      const lease = { group: "coordination.k8s.io", resource: "leases", verb: "get", name: config.controller.lease };
      assert.ok(has({ ...lease, namespace: "wasmount-system" }), JSON.stringify(asked));
    });

    it("names all that are missing", async () => {
      const { found } = await rights(({ resource }) => resource === "events" || resource === "leases");
      assert.deepEqual(
        found.map(one => [one.code, one.found]),
        [
          [
            "WebhookRightMissing",
            "create events.events.k8s.io, patch events.events.k8s.io, " +
              "get leases.coordination.k8s.io wasmount-controller in namespace wasmount-system, " +
              "update leases.coordination.k8s.io wasmount-controller in namespace wasmount-system, " +
              "create leases.coordination.k8s.io in namespace wasmount-system",
          ],
        ],
      );
    });

    it("asks for none that the configuration makes no use of", async () => {
      const { asked } = await rights(() => false, false);
      assert.ok(asked.every(({ resource }) => resource !== "leases"));
    });
  });

  describe("tries a pod and", () => {
    const created = (initContainers?: readonly object[]) => ({ status: 201, body: { spec: { initContainers } } });
    const refused = (message: string) => ({ status: 403, message });
    for (const [what, answer, codes] of [
      ["finds nothing where it gets its fetcher", created([{ name: "wasmount-fetch" }]), []],
      ["finds that it gets none", created(), ["NotInjected"]],
      ["finds another first", created([{ name: "istio-init" }, { name: "wasmount-fetch" }]), ["NotInjected"]],
      [
        "finds that nobody answers",
        { status: 500, message: 'Internal error occurred: failed calling webhook "pod.wasmount.dev": refused' },
        ["WebhookUnreachable"],
      ],
      [
        "is content where the webhook denies a module that no policy lets in",
        refused('admission webhook "pod.wasmount.dev" denied the request: wasmount: PolicyDenied: no'),
        [],
      ],
      [
        "finds that the guard had to step in",
        refused("pods \"x\" is forbidden: ValidatingAdmissionPolicy 'wasmount-unfiltered-pods' with binding …"),
        ["NotInjected"],
      ],
      [
        "finds a right that is missing",
        refused('pods is forbidden: User "x" cannot create resource "pods" in API group ""'),
        ["RightMissing"],
      ],
      ["can't tell where a quota is full", refused("exceeded quota: q"), ["TrialRefused"]],
      [
        "can't tell where another webhook fails",
        { status: 500, message: 'failed calling webhook "x.example.com": no' },
        ["TrialRefused"],
      ],
    ] as const) {
      it(what, async () => {
        const asked: unknown[] = [];
        const outcome = await found(trialCheck, {
          answer(method, path, body) {
            asked.push(`${method} ${path}`);
            assert.equal((body as RawPod).metadata.labels["wasmount.dev/inject"], "true");
            return answer;
          },
        });
        assert.deepEqual(outcome.codes, codes);
        assert.deepEqual(asked, ["POST /api/v1/namespaces/default/pods?dryRun=All"]);
      });
    }
  });

  it("looks at policies and tells those that are not in force from those that nobody has seen yet", async () => {
    const policy = (name: string, generation: number, status: object) => ({ metadata: { name, generation }, status });
    const ready = (value: string) => ({
      observedGeneration: 1,
      conditions: [{ type: "Ready", status: value, reason: "BadKey", message: "key x is none" }],
    });
    const { codes, text } = await found(policiesCheck, {
      lists: {
        "/apis/wasmount.dev/v1alpha1/wasmpolicies": [
          policy("good", 1, ready("True")),
          policy("changed", 2, ready("True")),
          policy("new", 1, {}),
        ],
        "/apis/wasmount.dev/v1alpha1/namespacedwasmpolicies": [
          { metadata: { name: "bad", namespace: "shop", generation: 1 }, status: ready("False") },
        ],
      },
    });
    assert.deepEqual(codes, ["PolicyUnseen", "PolicyUnseen", "PolicyNotReady"]);
    assert.match(text, /NamespacedWasmPolicy\/shop\/bad.*BadKey: key x is none/);
  });
});
