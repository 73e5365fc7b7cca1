import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createAuthority } from "../../src/certs/authority.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { attempt } from "../environment/cluster/command.ts";
import { foreignDefinitions } from "../environment/definitions.ts";
import { chartFolder, Helm } from "../environment/helm.ts";
import { Kubectl, KubectlError } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import { writeAccountKubeconfig } from "../environment/service-account.ts";
import type { Manifest } from "../environment/stage.ts";

const OWN = "wasmount-system";
const SHOP = "chart-shop";
const SELF_TEST = "self-test";
/** Of ci/istio.yaml. */
const MESH_ROOT = "mesh-root";
const main = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const sets = readdirSync(join(chartFolder, "ci"));
/** Kinds of the whole cluster that the chart has objects of. */
const WIDE = [
  "clusterroles",
  "clusterrolebindings",
  "mutatingwebhookconfigurations",
  "validatingwebhookconfigurations",
  "validatingadmissionpolicies",
  "validatingadmissionpolicybindings",
];
const INJECTED = "wasmount.dev/injected";

describe("the chart on a real API server", function () {
  this.timeout(10 * 60_000);

  let cluster: Cluster;
  let kubectl: Kubectl;
  let helm: Helm;
  let folder: string | undefined;
  let definitions: readonly Manifest[] = [];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    cluster = await openCluster({ node: false, progress });
    kubectl = new Kubectl(cluster);
    helm = await Helm.open(progress, cluster.kubeconfigPath);
    folder = await mkdtemp(join(tmpdir(), "wasmount-chart-"));
    await clean();
    definitions = await foreignDefinitions();
    for (const definition of definitions) await apply([definition]);
    for (const { metadata } of definitions) {
      await kubectl.run(["wait", "--for=condition=Established", "crd", metadata.name, "--timeout=60s"]);
    }
    for (const namespace of [OWN, SHOP, SELF_TEST, MESH_ROOT]) await makeNamespace(kubectl, namespace);
    // Warnings count as errors below: of Pod Security, too.
    await kubectl.run(["label", "namespace", OWN, "pod-security.kubernetes.io/warn=restricted"]);
  });

  after(async () => {
    if (!kubectl) return;
    await clean();
    if (definitions.length > 0) {
      await kubectl.run(["delete", "crd", ...definitions.map(({ metadata }) => metadata.name), "--ignore-not-found"]);
    }
    if (folder) await rm(folder, { recursive: true });
  });

  async function clean(): Promise<void> {
    const left = await remaining();
    if (left.length > 0) await kubectl.run(["delete", ...left, "--ignore-not-found"]);
    await kubectl.run(["delete", "namespace", OWN, SHOP, SELF_TEST, MESH_ROOT, "--ignore-not-found", "--timeout=120s"]);
  }

  function apply(manifests: readonly Manifest[], ...options: readonly string[]): Promise<string> {
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: manifests });
    return kubectl.run(["apply", "--server-side", "--force-conflicts", "-f", "-", ...options], list);
  }

  const remaining = async () => {
    const objects = await kubectl.run(["get", WIDE.join(","), "-o", "name"]);
    return objects.split("\n").filter(line => /wasmount/.test(line));
  };

  describe("is taken as it is written, without a warning", () => {
    for (const set of sets) {
      it(`with the values of ci/${set}`, async () => {
        const manifests = await helm.template("--values", join(chartFolder, "ci", set));
        // The API server makes no pod without its account, not even by a dry run.
        await apply(
          manifests.filter(({ kind, metadata }) => kind === "ServiceAccount" && metadata.name === "wasmount-self-test"),
        );
        const strict = apply(manifests, "--dry-run=server", "--validate=strict", "--warnings-as-errors");
        if (set !== "eks-hostnetwork.yaml") return void (await strict);
        await assert.rejects(strict, (error: Error) => {
          // What hostNetwork is for, and nothing else.
          const violations = [...error.message.matchAll(/would violate PodSecurity "restricted:latest": (.*)/g)];
          assert.ok(violations.length > 0, error.message);
          for (const [, violation = ""] of violations)
            assert.match(violation, /^host namespaces \(hostNetwork=true\)|^hostPort/);
          return true;
        });
      });
    }
  });

  it("refuses a misspelt member: the check above would find one", async () => {
    const manifest = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: OWN }, dta: {} };
    await assert.rejects(apply([manifest], "--dry-run=server", "--validate=strict"), /unknown field "dta"/);
  });

  describe("from installation to removal", () => {
    const install = (...args: readonly string[]) =>
      helm.run("install", "wasmount", chartFolder, "-n", OWN, "--take-ownership", ...args);
    const upgrade = (...args: readonly string[]) => helm.run("upgrade", "wasmount", chartFolder, "-n", OWN, ...args);
    const images = async () => {
      const policy = await kubectl.get<Manifest>("validatingadmissionpolicy", "wasmount-unfiltered-pods");
      return JSON.parse(policy.spec.variables.find(({ name }: Manifest) => name === "images").expression);
    };
    const pod = (name: string, labels: object = {}, annotations: object = {}): Manifest => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: SHOP, labels, annotations },
      spec: { nodeSelector: { none: "here" }, containers: [{ name: "app", image: "registry.example/app:1" }] },
    });
    const create = (manifest: Manifest) => kubectl.run(["create", "-f", "-"], JSON.stringify(manifest));

    before(async () => {
      const slotted = { [INJECTED]: "true", "wasmount.dev/slot-in-last-03": "true" };
      await apply([pod("injected-before", slotted), pod("ended", slotted)]);
      await kubectl.run([
        "patch",
        "pod",
        "ended",
        "-n",
        SHOP,
        "--subresource=status",
        "-p",
        '{"status":{"phase":"Succeeded"}}',
      ]);
      await install();
    });

    it("blocks opted-in pods alone while no replica answers", async () => {
      await create(pod("bystander"));
      await kubectl.run(["run", "own", "-n", OWN, "--image=registry.example/a:1", "--dry-run=server"]);
      const module = { "wasmount.dev/module.a": `registry.example/a@sha256:${"0".repeat(64)}` };
      await assert.rejects(create(pod("opted-in", { "wasmount.dev/inject": "true" }, module)), (error: Error) => {
        assert.ok(error instanceof KubectlError);
        assert.match(error.message, /failed calling webhook "pod\.wasmount\.dev"/);
        return true;
      });
    });

    it("is upgraded to another image, and takes the fetcher's image before for wasmount's", async () => {
      assert.deepEqual(await images(), ["ghcr.io/wasmount/wasmount:0.1.0"]);
      await upgrade("--set", "image.tag=0.2.0");
      assert.deepEqual(await images(), ["ghcr.io/wasmount/wasmount:0.2.0", "ghcr.io/wasmount/wasmount:0.1.0"]);
      await upgrade("--set", "image.tag=0.3.0");
      assert.deepEqual(await images(), ["ghcr.io/wasmount/wasmount:0.3.0", "ghcr.io/wasmount/wasmount:0.2.0"]);
    });

    it("brings the definitions of policies up to date", async () => {
      const name = "wasmpolicies.wasmount.dev";
      const { spec } = await kubectl.get<Manifest>("crd", name);
      await kubectl.run([
        "patch",
        "crd",
        name,
        "--type=json",
        "-p",
        '[{"op":"remove","path":"/spec/names/shortNames"}]',
      ]);
      await upgrade("--set", "image.tag=0.3.0", "--force-conflicts");
      assert.deepEqual((await kubectl.get<Manifest>("crd", name)).spec.names.shortNames, spec.names.shortNames);
    });

    it("leaves nothing of what values turn off", async () => {
      await upgrade("--set", "guards.enabled=false,events.enabled=false,controller.enabled=false");
      const left = await remaining();
      assert.deepEqual(
        left.filter(name => /validatingadmission|events|controller/.test(name)),
        [],
      );
    });

    it("is rolled back", async () => {
      await helm.run("rollback", "wasmount", "1", "-n", OWN);
      assert.deepEqual(await images(), ["ghcr.io/wasmount/wasmount:0.1.0"]);
      assert.ok((await remaining()).some(name => name.endsWith("/wasmount-events")));
    });

    it("keeps what others put into registrations", async () => {
      const { certificate } = await createAuthority("test authority", 1, new Date());
      const caBundle = Buffer.from(certificate).toString("base64");
      const registration = ["mutatingwebhookconfiguration", "wasmount"];
      const before = await kubectl.get<Manifest>(...registration);
      // As the webhook does: server-side apply of this field alone.
      const applied = {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "MutatingWebhookConfiguration",
        metadata: { name: "wasmount" },
        webhooks: before.webhooks.map(({ name, sideEffects, admissionReviewVersions }: Manifest) => ({
          name,
          sideEffects,
          admissionReviewVersions,
          clientConfig: { caBundle },
        })),
      };
      await kubectl.run(
        ["apply", "--server-side", "--field-manager=wasmount-certificates", "--force-conflicts", "-f", "-"],
        JSON.stringify(applied),
      );
      await upgrade("--set", "log.level=debug");
      const after = await kubectl.get<Manifest>(...registration);
      for (const { clientConfig } of after.webhooks) assert.equal(clientConfig.caBundle, caBundle);
    });

    describe("by the rights of the hooks", () => {
      let kubeconfig: string;

      const run = (...args: readonly string[]) =>
        attempt(process.execPath, [main, ...args], { env: { PATH: process.env["PATH"], KUBECONFIG: kubeconfig } });

      /** As Helm does before it runs a hook's pod. */
      async function asHook(name: string, ...values: readonly string[]): Promise<void> {
        const manifests = await helm.template(...values);
        const ours = manifests.filter(({ kind, metadata }) => metadata.name === name && !/^(Job|Pod)$/.test(kind));
        await apply(ours);
        kubeconfig = join(folder ?? "", `${name}.kubeconfig`);
        await writeAccountKubeconfig(cluster, { namespace: OWN, name }, kubeconfig);
      }

      it("tests the installation: the webhook can't be called", async () => {
        await asHook("wasmount-self-test");
        const { status, stdout } = await run("self-test", "-n", "default");
        assert.match(stdout, /the API server can't call the webhook\. .*failed calling webhook "pod\.wasmount\.dev"/);
        assert.equal(status, 1);
        await kubectl.run(["delete", "role,rolebinding", "wasmount-self-test", "-n", "default"]);
      });

      it("refuses an upgrade that takes slots from running pods, and changes nothing", async () => {
        const mesh = (slots: number) => `istio.enabled=true,istio.rootNamespace=${MESH_ROOT},istio.slots=${slots}`;
        await upgrade("--set", mesh(3), "--no-hooks");
        // Also where nothing but what is installed says that there are slots.
        const planned = await helm.run("upgrade", "wasmount", chartFolder, "-n", OWN, "--dry-run=server");
        assert.match(planned, /name: wasmount-before-upgrade/);
        await asHook("wasmount-before-upgrade", "--set", mesh(3));
        const asked = (slots: number) =>
          run("before-upgrade", "-n", OWN, `--istio-slots=${slots}`, `--istio-namespace=${MESH_ROOT}`);
        const refusal = await asked(2);
        assert.match(
          refusal.stdout,
          /istio\.slots goes from 3 to 2, and 1 running pod .* chart-shop\/injected-before \(slot-in-last-03\)/,
        );
        assert.equal(refusal.status, 1);
        assert.equal((await asked(4)).status, 0);
        await kubectl.run(["annotate", "namespace", OWN, "wasmount.dev/force-upgrade=true"]);
        assert.equal((await asked(2)).status, 0);
        await kubectl.run(["annotate", "namespace", OWN, "wasmount.dev/force-upgrade-"]);
        await kubectl.run(["delete", "clusterrole,clusterrolebinding", "wasmount-before-upgrade"]);
        await kubectl.run(["delete", "role,rolebinding,serviceaccount", "wasmount-before-upgrade", "-n", OWN]);
        await upgrade("--set", "istio.enabled=false", "--no-hooks");
      });

      it("refuses to uninstall while injected pods run, and removes nothing", async () => {
        await asHook("wasmount-uninstall");
        const before = await remaining();
        const { status, stdout } = await run("uninstall", "-n", OWN);
        assert.match(stdout, /^1 injected pod runs: chart-shop\/injected-before\.\n/);
        assert.equal(status, 1);
        assert.deepEqual(await remaining(), before);
      });

      it("goes on where the namespace says so: unblocks pods and removes what the webhook made", async () => {
        const data = { apiVersion: "v1", metadata: { name: "kept", namespace: OWN } };
        const pins = { name: "pins", namespace: OWN, labels: { "wasmount.dev/pins": "true" } };
        await apply([
          ...["wasmount-webhook-ca", "wasmount-plan-keys", "kept"].map(name => ({
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name, namespace: OWN },
          })),
          { ...data, kind: "ConfigMap" },
          { apiVersion: "v1", kind: "ConfigMap", metadata: pins },
          {
            apiVersion: "coordination.k8s.io/v1",
            kind: "Lease",
            metadata: { name: "wasmount-controller", namespace: OWN },
            spec: {},
          },
        ]);
        await kubectl.run(["annotate", "namespace", OWN, "wasmount.dev/force-uninstall=true"]);
        const { status, stdout, stderr } = await run("uninstall", "-n", OWN);
        assert.equal(status, 0, stdout + stderr);
        const own = await kubectl.run(["get", "secrets,configmaps,leases,deployments,pods", "-n", OWN, "-o", "name"]);
        assert.deepEqual(
          own.split("\n").filter(name => /webhook-ca|plan-keys|pins|controller|wasmount-webhook/.test(name)),
          [],
        );
        assert.match(own, /secret\/kept\n/);
        assert.match(own, /configmap\/kept\n/);
        assert.deepEqual(
          (await remaining()).filter(name => /webhookconf|binding\.adm|policybinding/.test(name)),
          [],
        );
      });

      it("leaves to Helm the rest, which leaves the definitions of policies alone", async () => {
        await kubectl.run(["delete", "clusterrole,clusterrolebinding", "wasmount-uninstall"]);
        await kubectl.run(["delete", "role,rolebinding,serviceaccount", "wasmount-uninstall", "-n", OWN]);
        await kubectl.run(["delete", "serviceaccount", "wasmount-self-test", "-n", OWN]);
        await helm.run("uninstall", "wasmount", "-n", OWN, "--no-hooks");
        assert.deepEqual(await remaining(), []);
        const own = await kubectl.run([
          "get",
          "all,secrets,configmaps,leases,roles,rolebindings,sa,pdb",
          "-n",
          OWN,
          "-o",
          "name",
        ]);
        assert.deepEqual(
          own.split("\n").filter(name => /wasmount/.test(name)),
          [],
        );
        await kubectl.get("crd", "wasmpolicies.wasmount.dev");
      });
    });
  });
});
