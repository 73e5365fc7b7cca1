import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type Credentials, createAuthority, issueServerCertificate } from "../../src/certs/authority.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { examine } from "../../src/diagnosis/doctor.ts";
import type { FindingCode } from "../../src/diagnosis/finding.ts";
import { findInstallation } from "../../src/diagnosis/installation.ts";
import { liveCluster } from "../../src/diagnosis/live-cluster.ts";
import { clusterUnavailable } from "../environment/cluster/cluster.ts";
import { runCommand } from "../environment/command.ts";
import { asking, type Installation, install, SYSTEM } from "../environment/installed-cluster.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { visitorOf } from "../environment/visitor.ts";

const NAMESPACE = "integration-doctor";
const DAY_MS = 24 * 60 * 60 * 1000;

const MUTATING = "mutatingwebhookconfiguration/wasmount";
const VALIDATING = "validatingwebhookconfiguration/wasmount";
const UNFILTERED = "validatingadmissionpolicybinding/wasmount-unfiltered-pods";

/** Something that is broken, and what the doctor says of it: codes, in its order. */
interface Ailment {
  readonly what: string;
  /** @returns what mends it again */
  readonly inflict: () => Promise<() => Promise<unknown>>;
  readonly expected: readonly FindingCode[];
  /** Somewhere in what is said. */
  readonly says: RegExp;
}

describe("wasmount doctor", function () {
  this.timeout(20 * 60_000);
  let folder: string;
  let installation: Installation;
  let kubectl: Installation["kubectl"];
  let otherAuthority: Credentials;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    folder = await mkdtemp(join(tmpdir(), "wasmount-doctor-"));
    otherAuthority = await createAuthority("somebody else's CA", 7, new Date());
    installation = await install(folder);
    ({ kubectl } = installation);
    await makeNamespace(kubectl, NAMESPACE);
  });

  after(async () => {
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    await installation?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  interface Diagnosis {
    readonly codes: readonly string[];
    readonly text: string;
  }

  /** As the verb does it, without a process for each look. */
  async function doctor(): Promise<Diagnosis> {
    const view = liveCluster(installation.cluster.kubeConfig, "wasmount/test");
    const checks = await examine({
      cluster: view,
      installation: await findInstallation(view, undefined),
      namespace: NAMESPACE,
      version: "0.1.0",
      dataPlanes: [envoyDataPlane],
    });
    const found = checks.flatMap(({ findings }) => findings);
    return { codes: found.map(({ code }) => code), text: JSON.stringify(found, null, 1) };
  }

  /** API servers take a moment to go by what they were told. */
  async function untilFound(expected: readonly string[]): Promise<Diagnosis> {
    let last: Diagnosis | undefined;
    const look = async () => {
      last = await doctor();
      return JSON.stringify(last.codes) === JSON.stringify(expected) && last;
    };
    const what = () => `${expected.join(", ") || "nothing"} to be found, and not ${last?.text}`;
    return until(what, look, { seconds: 30, pauseMs: 300, bears: () => false });
  }

  /** An object as it is to be written again. */
  async function original(object: string): Promise<Manifest> {
    const found = await kubectl.get<Manifest>(object, "-n", SYSTEM);
    for (const member of ["resourceVersion", "uid", "generation", "managedFields", "creationTimestamp"]) {
      delete found.metadata[member];
    }
    return found;
  }

  /** Changes an object, and puts it back afterwards. */
  function changed(object: string, change: (found: Manifest) => void): Ailment["inflict"] {
    return async () => {
      const before = await original(object);
      const after = structuredClone(before);
      change(after);
      await kubectl.run(["replace", "-f", "-"], JSON.stringify(after));
      return () => kubectl.run(["replace", "-f", "-"], JSON.stringify(before));
    };
  }

  function deleted(object: string): Ailment["inflict"] {
    return async () => {
      const before = await original(object);
      await kubectl.run(["delete", object, "-n", SYSTEM]);
      return () => kubectl.run(["create", "-f", "-"], JSON.stringify(before));
    };
  }

  function created(...objects: readonly Manifest[]): Ailment["inflict"] {
    return async () => {
      await kubectl.apply(...objects);
      const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
      return () => kubectl.run(["delete", "-f", "-", "--ignore-not-found"], list);
    };
  }

  /** Has the webhook serve another certificate of its authority. One that has expired it does not take. */
  function certified(issued: Date, days: number): Ailment["inflict"] {
    return async () => {
      const { authority, files } = installation.webhook;
      const replace = async (from: Date, validDays: number) => {
        const { certificate, privateKey } = await issueServerCertificate(authority, ["127.0.0.1"], validDays, from);
        await writeFile(files.keyFile, privateKey);
        await writeFile(files.certFile, certificate);
      };
      await replace(issued, days);
      return () => replace(new Date(), 5);
    };
  }

  const entry =
    (change: (webhook: Manifest) => void, index = 0) =>
    (found: Manifest) =>
      change(found.webhooks[index]);
  const namespace = (name: string, labels: object, annotations: object = {}): Manifest => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels, annotations },
  });
  const later = (name: string, labels: object = {}): Manifest => ({
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingWebhookConfiguration",
    metadata: { name, labels },
    webhooks: [
      {
        name: "other.example.com",
        clientConfig: { url: "https://127.0.0.1:1/" },
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        reinvocationPolicy: "IfNeeded",
        rules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["*"], resources: ["pods"] }],
        namespaceSelector: { matchLabels: { "doctor.test/no": "such" } },
      },
    ],
  });

  const ailments: readonly Ailment[] = [
    {
      what: "a side that is not registered",
      inflict: deleted(VALIDATING),
      expected: ["RegistrationMissing"],
      says: /ValidatingWebhookConfiguration\/wasmount/,
    },
    {
      what: "an entry that is missing",
      inflict: changed(MUTATING, found => found.webhooks.splice(4, 1)),
      expected: ["EntryMissing"],
      says: /entry pod-off\.wasmount\.dev/,
    },
    {
      what: "an entry that is not ours",
      inflict: changed(VALIDATING, found => found.webhooks.push({ ...found.webhooks[0], name: "extra.wasmount.dev" })),
      expected: ["EntryUnknown"],
      says: /extra\.wasmount\.dev/,
    },
    {
      what: "rules that ask for more",
      inflict: changed(
        MUTATING,
        entry(webhook => webhook.rules[0].operations.push("UPDATE")),
      ),
      expected: ["EntryChanged"],
      says: /rules is .*UPDATE/,
    },
    {
      what: "no second pass",
      inflict: changed(
        MUTATING,
        entry(webhook => Object.assign(webhook, { reinvocationPolicy: "Never" })),
      ),
      expected: ["EntryChanged"],
      says: /reinvocationPolicy is .*Never/,
    },
    {
      what: "mirror pods that are asked about",
      inflict: changed(
        VALIDATING,
        entry(webhook => delete webhook.matchConditions),
      ),
      expected: ["EntryChanged"],
      says: /match condition not-a-mirror-pod is missing/,
    },
    {
      what: "a selector that lost a requirement",
      inflict: changed(
        MUTATING,
        entry(webhook => webhook.namespaceSelector.matchExpressions.shift()),
      ),
      expected: ["EntryChanged"],
      says: /namespaceSelector lacks kubernetes\.io\/metadata\.name NotIn \[kube-system/,
    },
    {
      what: "a selector with a requirement of a platform's",
      inflict: changed(
        MUTATING,
        entry(webhook =>
          webhook.namespaceSelector.matchExpressions.push({ key: "control-plane", operator: "DoesNotExist" }),
        ),
      ),
      expected: ["SelectorNarrowed"],
      says: /namespaceSelector has control-plane DoesNotExist/,
    },
    {
      what: "a match condition of somebody's",
      inflict: changed(
        MUTATING,
        entry(webhook => webhook.matchConditions.push({ name: "theirs", expression: "object.metadata.name != 'x'" })),
      ),
      expected: ["SelectorNarrowed"],
      says: /match condition theirs/,
    },
    {
      what: "another path",
      inflict: changed(
        MUTATING,
        entry(webhook =>
          Object.assign(webhook.clientConfig, {
            url: webhook.clientConfig.url.replace("/mutate/locked", "/mutate/pod"),
          }),
        ),
      ),
      expected: ["EntryChanged"],
      says: /its path is \/mutate\/pod, expected is \/mutate\/locked/,
    },
    {
      what: "too short a wait",
      inflict: changed(
        VALIDATING,
        entry(webhook => Object.assign(webhook, { timeoutSeconds: 4 })),
      ),
      expected: ["TimeoutTooShort"],
      says: /timeoutSeconds is 4, limits\.reviewSeconds 4\.5/,
    },
    {
      what: "failures that are ignored",
      inflict: changed(
        MUTATING,
        entry(webhook => Object.assign(webhook, { failurePolicy: "Ignore" })),
      ),
      expected: ["FailuresIgnored"],
      says: /entries locked\.wasmount\.dev/,
    },
    {
      what: "failures that are ignored, without guards",
      async inflict() {
        const ignore = entry(webhook => Object.assign(webhook, { failurePolicy: "Ignore" }));
        const first = await changed(MUTATING, ignore)();
        const second = await deleted(UNFILTERED)();
        return async () => {
          await first();
          await second();
        };
      },
      expected: ["UnfilteredPodsPossible", "GuardMissing"],
      says: /the policy is not bound/,
    },
    {
      what: "an entry without caBundle",
      inflict: changed(
        MUTATING,
        entry(webhook => delete webhook.clientConfig.caBundle),
      ),
      expected: ["CaBundleMissing"],
      says: /MutatingWebhookConfiguration\/wasmount, entry locked\.wasmount\.dev/,
    },
    {
      what: "a caBundle of somebody else's authority",
      inflict: changed(
        VALIDATING,
        entry(webhook => {
          webhook.clientConfig.caBundle = Buffer.from(otherAuthority.certificate).toString("base64");
        }),
      ),
      expected: ["CertificateUntrusted"],
      says: /by caBundle of ValidatingWebhookConfiguration\/wasmount, entry locked\.wasmount\.dev.*(UNABLE|SELF_SIGNED)/,
    },
    {
      what: "a certificate that is about to expire",
      inflict: certified(new Date(Date.now() - 0.95 * DAY_MS), 1),
      expected: ["CertificateExpiring"],
      says: /the certificate of the webhook at 127\.0\.0\.1/,
    },
    {
      what: "another webhook after ours",
      inflict: created(later("zz-other")),
      expected: ["OthersAfterUs"],
      says: /MutatingWebhookConfiguration\/zz-other/,
    },
    {
      what: "a mesh after ours",
      inflict: created(later("zz-sidecar-injector-of-a-mesh")),
      expected: ["MeshAfterUs"],
      says: /zz-sidecar-injector/,
    },
    {
      what: "a guard that is missing",
      inflict: deleted("validatingadmissionpolicy/wasmount-exec"),
      expected: ["GuardMissing"],
      says: /ValidatingAdmissionPolicy\/wasmount-exec.*commands in the fetcher/s,
    },
    {
      what: "a guard that only notes",
      inflict: changed("validatingadmissionpolicybinding/wasmount-pod-bindings", found => {
        found.spec.validationActions = ["Audit"];
      }),
      expected: ["GuardMissing"],
      says: /validationActions are \[Audit\] without Deny/,
    },
    {
      what: "a guard that lets failures pass",
      inflict: changed("validatingadmissionpolicy/wasmount-injected-pods", found => {
        found.spec.failurePolicy = "Ignore";
      }),
      expected: ["GuardMissing"],
      says: /failurePolicy is Ignore/,
    },
    {
      what: "a guard for some namespaces",
      inflict: changed("validatingadmissionpolicybinding/wasmount-exec", found => {
        found.spec.matchResources = { namespaceSelector: { matchLabels: { some: "thing" } } };
      }),
      expected: ["GuardMisfit"],
      says: /matchResources leave a part/,
    },
    {
      what: "guards with another fetcher's image",
      inflict: changed("validatingadmissionpolicy/wasmount-unfiltered-pods", found => {
        found.spec.variables[0].expression = "['registry.example/other:1']";
      }),
      expected: ["GuardImages", "NotInjected"],
      says: /it has registry\.example\/other:1, and fetcher\.image is registry\.example\/wasmount:1/,
    },
    {
      what: "a right that the webhook lacks",
      inflict: deleted(`clusterrolebinding/${SYSTEM}-wasmount-events`),
      expected: ["WebhookRightMissing"],
      says: /create events\.events\.k8s\.io, patch events\.events\.k8s\.io/i,
    },
    {
      what: "a definition of another release",
      inflict: changed("customresourcedefinition/wasmpolicies.wasmount.dev", found => {
        found.spec.versions[0].schema.openAPIV3Schema.description = "another";
      }),
      expected: ["DefinitionOutdated"],
      says: /wasmpolicies\.wasmount\.dev/,
    },
    {
      what: "a policy that can't be in force",
      inflict: created({
        apiVersion: "wasmount.dev/v1alpha1",
        kind: "WasmPolicy",
        metadata: { name: "doctor-test" },
        spec: {
          match: { repositories: ["registry.elsewhere/doctor/**"] },
          verify: { authorities: [{ name: "none", key: { secretRef: { name: "none", key: "none.pub" } } }] },
        },
      }),
      expected: ["PolicyNotReady"],
      says: /WasmPolicy\/doctor-test/,
    },
    {
      what: "a configuration that no replica would start with",
      inflict: changed("configmap/wasmount-config", found => {
        found.data["wasmount.yaml"] = "fetcher: {image: x}\nunknown: 1\n";
      }),
      expected: ["ConfigurationInvalid"],
      says: /ConfigMap wasmount-system\/wasmount-config/,
    },
    {
      what: "a namespace with a misspelt annotation",
      inflict: created(
        namespace("doctor-misspelt", { "wasmount.dev/inject": "true" }, { "wasmount.dev/modul.a": "x" }),
      ),
      expected: ["NamespaceRefused"],
      says: /UnknownKey: .*did you mean wasmount\.dev\/module\.a/,
    },
    {
      what: "a locked namespace without Pod Security",
      inflict: created(
        namespace("doctor-locked", { "wasmount.dev/locked": "true" }),
        namespace("doctor-safe", {
          "wasmount.dev/locked": "true",
          "pod-security.kubernetes.io/enforce": "restricted",
        }),
      ),
      expected: ["PodSecurityMissing"],
      says: /namespace doctor-locked/,
    },
    {
      what: "a namespace of the system that is switched on",
      async inflict() {
        await kubectl.run(["label", "namespace", "kube-public", "wasmount.dev/inject=true"]);
        return () => kubectl.run(["label", "namespace", "kube-public", "wasmount.dev/inject-"]);
      },
      expected: ["NamespaceIgnored"],
      says: /wasmount\.dev\/inject=true/,
    },
    {
      what: "a LimitRange without room for the fetcher",
      inflict: created(namespace("doctor-tight", { "wasmount.dev/inject": "true" }), {
        apiVersion: "v1",
        kind: "LimitRange",
        metadata: { name: "tight", namespace: "doctor-tight" },
        spec: { limits: [{ type: "Container", max: { memory: "16Mi" } }] },
      }),
      expected: ["FetcherDoesNotFit"],
      says: /namespace doctor-tight/,
    },
    {
      what: "a pod from before its namespace was switched on",
      async inflict() {
        await makeNamespace(kubectl, "doctor-late");
        await kubectl.run(["create", "-f", "-"], JSON.stringify(asking("doctor-late", "early")));
        await kubectl.run(["label", "namespace", "doctor-late", "wasmount.dev/inject=true"]);
        return () => kubectl.run(["delete", "namespace", "doctor-late", "--wait=false"]);
      },
      expected: ["PodsUninjected"],
      says: /1 pod: doctor-late\/early/,
    },
    {
      what: "a bypass",
      async inflict() {
        await installation.wasmount("bypass", "on", "--yes", "--reason", "a drill");
        return () => installation.wasmount("bypass", "off");
      },
      expected: ["BypassActive", "BypassActive", "NotInjected"],
      says: /bypassed since 2.*Z by .*: a drill/i,
    },
  ];

  it("finds nothing wrong with an installation that is well", async () => {
    await installation.eventually("the webhook to be asked", async () => (await doctor()).codes.length === 0);
    const { code, stdout } = await installation.wasmount("doctor", "-n", NAMESPACE);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^ok {7}the API server's version\nok/);
    assert.match(stdout, /\n16 checks, nothing is wrong\n$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is not in it
    assert.doesNotMatch(stdout, /\u001b/);
  });

  for (const { what, inflict, expected, says } of ailments) {
    it(`finds ${what}, and nothing else`, async () => {
      const mend = await inflict();
      try {
        const { text } = await untilFound(expected);
        assert.match(text, says);
      } finally {
        await mend();
      }
    });
  }

  it("exits with 1 for a failure, and shows it with what to do", async () => {
    const mend = await deleted("validatingadmissionpolicy/wasmount-exec")();
    try {
      const { code, stdout } = await installation.wasmount("doctor", "-n", NAMESPACE);
      assert.equal(code, 1, stdout);
      assert.match(
        stdout,
        /\nfailure {2}the guards\n {9}GuardMissing: ValidatingAdmissionPolicy\/wasmount-exec\n {11}A guard.*\n {11}Found: .*\n {11}-> Upgrade the chart/,
      );
    } finally {
      await mend();
    }
  });

  it("exits with 0 for a warning", async () => {
    const mend = await created(later("zz-other"))();
    try {
      const { code, stdout } = await installation.wasmount("doctor", "-n", NAMESPACE, "--json");
      assert.equal(code, 0, stdout);
      assert.match(stdout, /"code": "OthersAfterUs"/);
    } finally {
      await mend();
    }
  });

  it("finds nothing wrong again when all is mended", async () => {
    await untilFound([]);
  });

  it("tells what it can't look at, and holds back no token", async () => {
    const { kubeconfig, token } = await visitorOf(installation.cluster, kubectl, NAMESPACE, folder);
    const asked = (...args: readonly string[]) => runCommand([...args, "--kubeconfig", kubeconfig], { cwd: folder });
    const { stdout, stderr } = await asked("doctor", "--json", "-n", NAMESPACE);
    const { checks } = JSON.parse(stdout);
    const codes = new Set(checks.flatMap(({ findings }: Manifest) => findings.map(({ code }: Manifest) => code)));
    assert.deepEqual([...codes], ["RightMissing"]);
    assert.match(
      stdout,
      /the right to get mutatingwebhookconfigurations\.admissionregistration\.k8s\.io wasmount is missing/,
    );
    const status = await asked("status", "-n", NAMESPACE);
    assert.equal(status.code, 2);
    assert.match(
      status.stderr,
      new RegExp(`^wasmount status: the right to get namespaces ${NAMESPACE} is missing: .*cannot get resource`),
    );
    const all = await asked("status", "-A");
    assert.match(all.stderr, /the right to list namespaces of the whole cluster is missing/);
    const bypass = await asked("bypass", "on", "--reason", "x", "--yes");
    assert.equal(bypass.code, 2);
    assert.ok(![stdout, stderr, status.stderr, all.stderr, bypass.stderr].some(text => text.includes(token)));
  });

  it("finds that the webhook is away", async () => {
    await installation.webhook.kill();
    const { text } = await untilFound(["ReplicaUnreachable", "WebhookUnreachable"]);
    assert.match(text, /connect ECONNREFUSED/);
  });

  it("says in one line that the cluster can't be asked", async () => {
    const kubeconfig = join(folder, "nowhere.kubeconfig");
    const cluster = { name: "x", cluster: { server: "https://127.0.0.1:1" } };
    const context = { name: "x", context: { cluster: "x", user: "x" } };
    const users = [{ name: "x", user: { token: "sesame" } }];
    await writeFile(kubeconfig, stringify({ clusters: [cluster], contexts: [context], users, "current-context": "x" }));
    for (const verb of [["doctor"], ["status"], ["bypass", "status"]]) {
      const { code, stderr, stdout } = await runCommand([...verb, "--kubeconfig", kubeconfig], { cwd: folder });
      assert.equal(code, 2);
      assert.match(stderr, /^wasmount [a-z ]+: the API server can't be asked: connect ECONNREFUSED 127\.0\.0\.1:1\n$/);
      assert.ok(!(stderr + stdout).includes("sesame"));
    }
    const { stderr } = await runCommand(["status", "--kubeconfig", kubeconfig, "--context", "y"], { cwd: folder });
    assert.match(stderr, /has no context y: it has x\n$/);
  });
});
