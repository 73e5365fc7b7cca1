import assert from "node:assert/strict";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { authored, injected, namespaceOf } from "../environment/guarded-cluster.ts";
import { applyGuards } from "../environment/guards.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { unavailable } from "../environment/requirement.ts";

const PLACE = "integration-mesh-guards";

describe("guards of what meshes read of running pods", function () {
  this.timeout(15 * 60_000);
  let kubectl: Kubectl;
  let remove: (() => Promise<void>) | undefined;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const progress = (line: string) => console.log(`      ${line}`);
    const cluster = await openCluster({ node: false, progress });
    kubectl = new Kubectl(cluster);
    await kubectl.apply(namespaceOf(PLACE, PLACE));
    const place = { label: "guards.test/run", value: PLACE, namespace: PLACE, images: [] };
    ({ remove } = await applyGuards(kubectl, place));
    const pod = injected(PLACE, "injected");
    pod.metadata.labels["kuma.io/mesh"] = "default";
    Object.assign(pod.metadata.annotations, {
      "kuma.io/sidecar-injected": "true",
      "consul.hashicorp.com/connect-service": "shop",
    });
    await kubectl.apply(pod, authored(PLACE, "plain"));
  });

  after(async () => {
    await remove?.();
    if (kubectl) await kubectl.run(["delete", "namespace", PLACE, "--ignore-not-found", "--wait=false"]);
  });

  const patch = (metadata: object, pod = "injected", ...options: readonly string[]) =>
    kubectl.run(["-n", PLACE, "patch", "pod", pod, "--type=merge", "-p", JSON.stringify({ metadata }), ...options]);

  const changes: readonly (readonly [what: string, metadata: object, message: RegExp])[] = [
    ["a gateway made of it", { annotations: { "kuma.io/gateway": "enabled" } }, /annotations kuma\.io\/… and traffic/],
    [
      "ports left out of redirection",
      { annotations: { "traffic.kuma.io/exclude-inbound-ports": "8080" } },
      /traffic\.kuma/,
    ],
    ["an annotation taken off", { annotations: { "kuma.io/sidecar-injected": null } }, /annotations kuma\.io\/…/],
    ["another mesh", { labels: { "kuma.io/mesh": "payments" } }, /label kuma\.io\/mesh are as they were/],
    ["no mesh", { labels: { "kuma.io/mesh": null } }, /label kuma\.io\/mesh are as they were/],
    [
      "another service",
      { annotations: { "consul.hashicorp.com/connect-service": "other" } },
      /consul\.hashicorp\.com\/…/,
    ],
    ["listeners of an author", { annotations: { "consul.hashicorp.com/proxy-config-map": "{}" } }, /consul\.hashicorp/],
  ];
  for (const [what, metadata, message] of changes) {
    it(`refuse ${what}`, () => assert.rejects(patch(metadata), { message }));
    it(`refuse ${what}, by the status too`, () =>
      assert.rejects(patch(metadata, "injected", "--subresource=status"), { message }));
    it(`leave pods alone that are not injected: ${what}`, async () => void (await patch(metadata, "plain")));
  }

  for (const [what, metadata] of [
    ["annotations of Kuma", { annotations: { "kuma.io/gateway": "enabled" } }],
    ["a mesh", { labels: { "kuma.io/mesh": "payments" } }],
    ["annotations of Consul", { annotations: { "consul.hashicorp.com/connect-service": "other" } }],
  ] as const) {
    it(`let no Binding set ${what}`, () => {
      const target = { apiVersion: "v1", kind: "Node", name: "none" };
      const binding = { apiVersion: "v1", kind: "Binding", metadata: { name: "injected", ...metadata }, target };
      const path = `/api/v1/namespaces/${PLACE}/pods/injected/binding`;
      return assert.rejects(kubectl.run(["create", "--raw", path, "-f", "-"], JSON.stringify(binding)), {
        message: /a Binding can't set annotations or labels that Kuma or Consul reads/,
      });
    });
  }

  it("let other annotations and labels change", async () => {
    await patch({ labels: { app: "shop" }, annotations: { "example.com/note": "x" } });
  });
});
