import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CustomObjectsApi, KubeConfig, PatchStrategy, setHeaderOptions } from "@kubernetes/client-node";
import { policyDefinition } from "../../src/trust/crd.ts";
import type { PolicyKind } from "../../src/trust/policy.ts";
import { parsePolicies } from "../../src/trust/policy-file.ts";
import { readPolicyObject } from "../../src/trust/policy-object.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { unavailable } from "../environment/requirement.ts";
import { type ServiceAccount, webhookAccount } from "../environment/service-account.ts";
import type { Manifest } from "../environment/stage.ts";
import { document, goodPolicies, KEYLESS, key, namespaced, policyRefusals } from "../trust/policy-documents.ts";
import { DIGEST } from "../trust/samples.ts";

const NAMESPACE = "integration-policy-crd";

describe("policies in an API server", function () {
  this.timeout(15 * 60_000);
  let cluster: Cluster;
  let kubectl: Kubectl;
  let objects: CustomObjectsApi;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    objects = cluster.kubeConfig.makeApiClient(CustomObjectsApi);
    await makeNamespace(kubectl, NAMESPACE);
  });

  after(async () => {
    if (kubectl === undefined) return;
    await kubectl.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
  });

  /** Has the API server take a policy, without keeping it. @returns it as the server would have it */
  async function tried(policy: object, fieldValidation = "Strict"): Promise<Manifest> {
    const body = structuredClone(policy) as Manifest;
    const { group, names } = policyDefinition(body.kind as PolicyKind).spec;
    const place = { group, version: "v1alpha1", plural: names.plural, body, dryRun: "All", fieldValidation };
    if (body.kind === "WasmPolicy") return objects.createClusterCustomObject(place);
    body.metadata.namespace = NAMESPACE;
    return objects.createNamespacedCustomObject({ ...place, namespace: NAMESPACE });
  }

  it("have definitions with nothing that the API server objects to", async () => {
    for (const kind of ["WasmPolicy", "NamespacedWasmPolicy"] as const) {
      const { metadata } = policyDefinition(kind);
      const { status } = await kubectl.get<Manifest>("crd", metadata.name);
      const conditions = Object.fromEntries(status.conditions.map(({ type, status }: Manifest) => [type, status]));
      assert.deepEqual(conditions, { NamesAccepted: "True", Established: "True" });
    }
  });

  for (const [what, policy] of goodPolicies) {
    it(`are taken, and read as they were written: ${what}`, async () => {
      const stored = await tried(policy);
      const expected = readPolicyObject(policy);
      const read = readPolicyObject(stored);
      assert.deepEqual(read.spec, expected.spec);
      assert.equal(read.metadata.name, expected.metadata.name);
    });
  }

  for (const [what, policy, , says] of policyRefusals) {
    if (says === null) continue;
    it(`are refused with ${what}`, async () => {
      await assert.rejects(tried(policy), ({ code, body }: Error & { code: number; body: string }) => {
        assert.ok(code === 422 || code === 400, `HTTP ${code}`);
        assert.match(JSON.parse(body).message, says);
        assert.ok(!body.includes(key.publicPem.split("\n")[1] ?? "?"), body);
        return true;
      });
    });
  }

  it("have their defaults filled in, in both kinds", async () => {
    const { spec } = await tried(document());
    assert.deepEqual(spec, {
      match: { repositories: ["registry.example/team/*"], exclude: [], namespaceSelector: {} },
      mode: "Enforce",
      onRegistryError: "Deny",
      module: { formats: [] },
      reference: { requireDigest: false, allowedTagPattern: "" },
      verify: {
        minimum: 1,
        attestations: [],
        authorities: [
          {
            name: "key",
            key: { pem: key.publicPem },
            formats: ["simpleSigning", "sigstoreBundle"],
            identity: "MatchRepository",
            annotations: {},
          },
        ],
      },
    });
    const tenant = await tried(namespaced());
    assert.deepEqual(tenant.spec.match, { repositories: ["registry.example/team/*"] });
    const { spec: keyless } = await tried(document({ verify: { authorities: [{ name: "ci", keyless: KEYLESS }] } }));
    assert.deepEqual(keyless.verify.authorities[0].keyless, {
      ...KEYLESS,
      tlogThreshold: 1,
      ctlogThreshold: 1,
      timestampThreshold: 1,
    });
  });

  it("take nothing from a demand where unknown fields are pruned, not refused", async () => {
    const lax = (policy: object) => tried(policy, "Ignore");
    const excluding = await lax(namespaced({ match: { repositories: ["a.example/**"], exclude: ["a.example/b"] } }));
    assert.deepEqual(excluding.spec.match, { repositories: ["a.example/**"] });
    const authorities = [{ name: "ci", keyless: KEYLESS }];
    await assert.rejects(lax(namespaced({ verify: { authorities } })), /write exactly one of key and digests/);
    const secret = [{ name: "ci", key: { secretRef: { name: "a", key: "b" } } }];
    await assert.rejects(lax(namespaced({ verify: { authorities: secret } })), /key\.pem: Required value/);
  });

  describe("that it keeps", () => {
    const name = `${NAMESPACE}-release`;
    const policy = document({ mode: "Warn" }, { metadata: { name } });
    let folder: string | undefined;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), "wasmount-policy-crd-"));
      await kubectl.run(["delete", "wasmpolicy", name, "--ignore-not-found"]);
      await kubectl.run(["create", "-f", "-"], JSON.stringify(policy));
      const tenant = { ...namespaced(), metadata: { name: "release", namespace: NAMESPACE } };
      await kubectl.run(["create", "-f", "-"], JSON.stringify(tenant));
    });

    after(async () => {
      await kubectl.run(["delete", "wasmpolicy", name, "--ignore-not-found"]);
      if (folder !== undefined) await rm(folder, { recursive: true });
    });

    it("are shown with what matters, by short names and as a category", async () => {
      const status = { conditions: [condition("Ready", "True")] };
      await kubectl.run(patching("wasmpolicy", name, status));
      const rows = (await kubectl.run(["get", "wpol", name]))
        .trim()
        .split("\n")
        .map(line => line.split(/\s+/));
      assert.deepEqual(rows[0], ["NAME", "MODE", "MINIMUM", "READY", "AGE"]);
      assert.deepEqual(rows[1]?.slice(0, 4), [name, "Warn", "1", "True"]);
      const all = await kubectl.run(["get", "wasmount", "-n", NAMESPACE, "-o", "name"]);
      assert.match(all, new RegExp(`^wasmpolicy\\.wasmount\\.dev/${name}$`, "m"));
      assert.match(all, /^namespacedwasmpolicy\.wasmount\.dev\/release$/m);
      assert.match(await kubectl.run(["get", "nwpol", "-n", NAMESPACE]), /release +Enforce +1/);
      assert.match(
        await kubectl.run(["explain", "wasmpolicy.spec.verify.authorities.identity"]),
        /ENUM:\s+MatchRepository\s+RemapPrefix\s+Ignore/,
      );
    });

    it("are read from what kubectl prints of them", async () => {
      const text = await kubectl.run(["get", "wasmpolicy", name, "-o", "yaml", "--show-managed-fields"]);
      assert.deepEqual(parsePolicies(text, "p")[0]?.spec, readPolicyObject(policy).spec);
      const list = await kubectl.run(["get", "wpol,nwpol", "-n", NAMESPACE, "-o", "yaml"]);
      assert.ok(parsePolicies(list, "p").some(({ kind }) => kind === "NamespacedWasmPolicy"));
    });

    describe("for the webhook's account", () => {
      const own = `${NAMESPACE}-own`;
      let account: ServiceAccount | undefined;
      let webhook: Kubectl;

      before(async () => {
        account = await webhookAccount(cluster, own, folder ?? "");
        webhook = new Kubectl({ binaries: cluster.binaries, kubeconfigPath: account.kubeconfigPath });
      });

      after(() => account?.remove());

      const may = (verb: string, resource: string, ...where: readonly string[]) =>
        webhook.run(["auth", "can-i", verb, resource, ...where]).then(
          answer => answer.trim() === "yes",
          () => false,
        );

      it("can be read, and told about in their status alone", async () => {
        const config = new KubeConfig();
        config.loadFromFile(account?.kubeconfigPath ?? "");
        const api = config.makeApiClient(CustomObjectsApi);
        const status = { observedGeneration: 1, policyHash: "0".repeat(64), conditions: [condition("Ready", "False")] };
        // Metadata and status of a patch of the status: of the rest, the API server takes nothing.
        const body = { spec: { mode: "Audit" }, status };
        const merge = setHeaderOptions("Content-Type", PatchStrategy.MergePatch);
        const group = { group: "wasmount.dev", version: "v1alpha1" };
        const place = { ...group, plural: "wasmpolicies", name, body };
        const before = await webhook.get<Manifest>("wasmpolicy", name);
        await api.patchClusterCustomObjectStatus(place, merge);
        const tenants = { ...group, plural: "namespacedwasmpolicies", namespace: NAMESPACE, name: "release", body };
        await api.patchNamespacedCustomObjectStatus(tenants, merge);
        const after = await webhook.get<Manifest>("wasmpolicy", name);
        assert.deepEqual([after.spec, after.metadata.generation], [before.spec, before.metadata.generation]);
        assert.deepEqual(after.status, status);
        await assert.rejects(
          api.patchClusterCustomObject(place, merge),
          ({ code }: Error & { readonly code: number }) => code === 403,
        );
      });

      it("can be read and watched everywhere, and written nowhere", async () => {
        for (const resource of ["wasmpolicies.wasmount.dev", "namespacedwasmpolicies.wasmount.dev"]) {
          for (const verb of ["get", "list", "watch"]) assert.equal(await may(verb, resource, "-A"), true, verb);
          for (const verb of ["create", "update", "patch", "delete"])
            assert.equal(await may(verb, resource), false, verb);
        }
      });

      it("can refer to Secrets and ConfigMaps of its own namespace, and of no other", async () => {
        for (const resource of ["secrets", "configmaps"]) {
          for (const verb of ["get", "list", "watch"]) {
            assert.equal(await may(verb, resource, "-n", own), true, `${verb} ${resource}`);
            assert.equal(await may(verb, resource, "-n", NAMESPACE), false, `${verb} ${resource} of others`);
          }
        }
        for (const verb of ["update", "patch", "delete"]) {
          assert.equal(await may(verb, "secrets", "-n", own), false, verb);
        }
        // What it makes itself, which a role can't name before it is there.
        assert.equal(await may("create", "secrets", "-n", own), true);
        assert.equal(await may("update", "secrets/wasmount-webhook-ca", "-n", own), true);
      });
    });

    it("have no status that is none", async () => {
      const status = { conditions: [{ ...condition("Ready", "True"), status: "yes" }] };
      await assert.rejects(kubectl.run(patching("wasmpolicy", name, status)), /status: Unsupported value: "yes"/);
      const twice = { conditions: [condition("Ready", "True"), condition("Ready", "False")] };
      await assert.rejects(kubectl.run(patching("wasmpolicy", name, twice)), /Duplicate value/);
    });

    function condition(type: string, status: string): object {
      const lastTransitionTime = "2026-01-01T00:00:00Z";
      return { type, status, reason: "Read", message: "", observedGeneration: 1, lastTransitionTime };
    }

    function patching(kind: string, object: string, status: object): string[] {
      return ["patch", kind, object, "--subresource=status", "--type=merge", "-p", JSON.stringify({ status })];
    }
  });

  it("may be the largest that the schema allows", async () => {
    const authorities = Array.from({ length: 32 }, (_, index) => ({
      name: `key-${index}`,
      digests: Array.from({ length: 256 }, () => DIGEST),
      annotations: Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`a${at}`, "x"])),
    }));
    const repositories = Array.from({ length: 64 }, (_, index) => `a.example/${"x".repeat(200)}/${index}/**`);
    await tried(document({ match: { repositories }, verify: { minimum: 32, authorities } }));
  });
});
