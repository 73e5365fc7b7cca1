import assert from "node:assert/strict";
import { KubeConfig } from "@kubernetes/client-node";
import { apiServer } from "../../src/kube/api-server.ts";
import { type PodCache, podCache } from "../../src/kube/pod-cache.ts";
import { RegistryClient } from "../../src/oci/client.ts";
import { moduleImage } from "../../src/oci/module-image.ts";
import { pushModule } from "../../src/oci/push-module.ts";
import { parseReference, type Reference } from "../../src/oci/reference.ts";
import { type ResolvedTag, TagResolver } from "../../src/oci/tag-resolver.ts";
import { COLLECTOR_SETTINGS, PinCollector } from "../../src/pins/pin-collector.ts";
import { PinStore } from "../../src/pins/pin-store.ts";
import { PIN_SETTINGS, PinnedTags } from "../../src/pins/pinned-tags.ts";
import { recordName } from "../../src/pins/record.ts";
import { type Cluster, clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { shipped } from "../environment/installation.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { unavailable } from "../environment/requirement.ts";
import { inNamespace } from "../environment/service-account.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { MODULE } from "../oci/images.ts";

/** In place of the operator's namespace, and of an author's. */
const OWN = "pin-system";
const SHOP = "pin-shop";
const LABEL = "pin.test/injected";
const SERVICE_ACCOUNT = "wasmount-webhook";
const HOUR = 3_600_000;
const never = new AbortController().signal;

describe("pinned tags on a real API server", function () {
  this.timeout(15 * 60_000);
  let kubectl: Kubectl;
  /** What the webhook's ServiceAccount may do, and no more. */
  let kubeConfig: KubeConfig;
  let registry: Registry;
  let client: RegistryClient;
  let reference: Reference;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    await remove();
    await kubectl.apply(...[OWN, SHOP].map(name => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })));
    await kubectl.apply(
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: SERVICE_ACCOUNT, namespace: OWN } },
      ...(await rules()),
    );
    const account = () => kubectl.get("serviceaccount", "default", "-n", SHOP);
    await until("the ServiceAccount of the author's pods", account, { seconds: 30, pauseMs: 50 });
    kubeConfig = as(cluster, await kubectl.run(["create", "token", SERVICE_ACCOUNT, "-n", OWN]));
    registry = await startRegistry();
    client = new RegistryClient({ registries: [{ host: registry.address, plainHttp: true }] });
    reference = parseReference(`${registry.address}/filters/a:1`);
  });

  after(async () => {
    client?.close();
    await registry?.close();
    if (kubectl) await remove();
  });

  async function remove(): Promise<void> {
    for (const kind of ["clusterrolebinding", "clusterrole"]) {
      await kubectl.run(["delete", kind, `${OWN}-wasmount-pins`, "--ignore-not-found"]);
    }
    await kubectl.run(["delete", "namespace", OWN, SHOP, "--ignore-not-found"]);
  }

  /** The rules as they ship, for this test's namespaces. */
  async function rules(): Promise<Manifest[]> {
    const manifests = await shipped("ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding");
    const wanted = manifests.filter(
      ({ kind, metadata }) => kind === "ServiceAccount" || metadata.name === "wasmount-pins",
    );
    return inNamespace(wanted, OWN);
  }

  function as(cluster: Cluster, token: string): KubeConfig {
    const config = new KubeConfig();
    const server = cluster.kubeConfig.getCurrentCluster();
    assert.ok(server);
    config.loadFromClusterAndUser(server, { name: SERVICE_ACCOUNT, token });
    return config;
  }

  /** Moves the tag to another image. @returns its digest */
  async function push(name: string): Promise<string> {
    const image = await moduleImage({ module: MODULE, name, layout: "cncf" });
    return (await pushModule(client, reference, image)).digest;
  }

  /** A replica that has just started. It may take its time: this machine may be slow. */
  function replica(resolver: Pick<TagResolver, "resolve"> = new TagResolver(client, { budgetMs: 10_000 })): PinnedTags {
    const store = new PinStore(apiServer(kubeConfig), OWN);
    return new PinnedTags({ store, resolver, settings: { ...PIN_SETTINGS, deadlineMs: 30_000 } });
  }

  const from = (owner: string, dryRun = false) => ({ namespace: SHOP, owner, dryRun });
  const nameOf = (owner: string) => recordName({ namespace: SHOP, id: owner });
  const recordOf = (owner: string) => kubectl.get<Manifest>("configmap", nameOf(owner), "-n", OWN);
  const isThere = (owner: string) =>
    recordOf(owner).then(
      () => true,
      () => false,
    );

  it("are one digest between two scale-ups, in a restarted replica too, and new for a new owner", async () => {
    const first = await push("first");
    const running = replica();
    assert.deepEqual(await running.resolve(reference, from("scaled")), { digest: first });
    const second = await push("second");
    assert.notEqual(second, first);
    assert.deepEqual(await running.resolve(reference, from("scaled")), { digest: first });
    assert.deepEqual(await replica().resolve(reference, from("scaled")), { digest: first });
    assert.deepEqual(await replica().resolve(reference, from("rolled-out")), { digest: second });
  });

  it("say on the record whose they are and what they mean", async () => {
    const digest = await push("labelled");
    await replica().resolve(reference, from("labelled"));
    const { metadata, data } = await recordOf("labelled");
    assert.equal(metadata.labels["wasmount.dev/pins"], "true");
    assert.equal(metadata.labels["wasmount.dev/pins-namespace"], SHOP);
    assert.equal(metadata.annotations["wasmount.dev/pins-owner"], "labelled");
    const [pin] = Object.values(data).map(text => JSON.parse(String(text)));
    assert.deepEqual([pin.reference, pin.digest], [`${registry.address}/filters/a:1`, digest]);
  });

  it("are one digest for replicas that ask at once, each with another answer of the registry", async () => {
    for (let round = 0; round < 10; round += 1) {
      // Nobody writes before all have resolved.
      const { promise: all, resolve: go } = Promise.withResolvers<void>();
      let resolved = 0;
      const answers = await Promise.all(
        ["1", "2", "3"].map(each => {
          const resolve = async (): Promise<ResolvedTag> => {
            resolved += 1;
            if (resolved === 3) go();
            await all;
            return { digest: `sha256:${each.repeat(64)}` };
          };
          return replica({ resolve }).resolve(reference, from(`raced-${round}`));
        }),
      );
      assert.match(JSON.stringify(answers[0]), /"digest"/);
      assert.deepEqual(answers, [answers[0], answers[0], answers[0]]);
    }
  });

  it("all find their way into the record from replicas that write at once", async () => {
    const digest = await push("many");
    const references = Array.from({ length: 16 }, (_, index) => ({ ...reference, tag: `many-${index}` }));
    const resolver = { resolve: async () => ({ digest }) };
    const answers = await Promise.all(
      [replica(resolver), replica(resolver)].flatMap(pins => references.map(each => pins.resolve(each, from("many")))),
    );
    assert.deepEqual(
      answers,
      answers.map(() => ({ digest })),
    );
    assert.equal(Object.keys((await recordOf("many")).data).length, 16);
  });

  it("are not set by a dry run, nor by a tag that isn't there", async () => {
    const digest = await push("dry");
    assert.deepEqual(await replica().resolve(reference, from("dry", true)), { digest });
    assert.match(JSON.stringify(await replica().resolve({ ...reference, tag: "none" }, from("dry"))), /"problem"/);
    assert.equal(await isThere("dry"), false);
  });

  it("are refused where the record is corrupt, or somebody else's", async () => {
    await push("spoilt");
    await replica().resolve(reference, from("spoilt"));
    for (const patch of [
      { data: { [Object.keys((await recordOf("spoilt")).data)[0] ?? ""]: "{}" } },
      { metadata: { annotations: { "wasmount.dev/pins-owner": "another" } } },
    ]) {
      await kubectl.run(["patch", "configmap", nameOf("spoilt"), "-n", OWN, "-p", JSON.stringify(patch)]);
      const answer = JSON.stringify(await replica().resolve(reference, from("spoilt")));
      assert.match(answer, new RegExp(`"problem":"ConfigMap ${nameOf("spoilt")} in namespace ${OWN} `));
    }
  });

  it("are refused where the API server refuses or isn't there, without asking the registry", async () => {
    const elsewhere = new KubeConfig();
    const [server, user] = [kubeConfig.getCurrentCluster(), kubeConfig.getCurrentUser()];
    assert.ok(server && user);
    elsewhere.loadFromClusterAndUser({ ...server, server: "https://127.0.0.1:1" }, user);
    const asked = registry.requests.length;
    for (const [config, namespace, cause] of [
      [kubeConfig, SHOP, /^Refused: HTTP 403/],
      [elsewhere, OWN, /^Unreachable: .*ECONNREFUSED/],
    ] as const) {
      const store = new PinStore(apiServer(config), namespace);
      const answer = await new PinnedTags({ store, resolver: new TagResolver(client, { budgetMs: 10_000 }) }).resolve(
        reference,
        from("refused"),
      );
      assert.ok("problem" in answer);
      assert.match(answer.problem, /^can't read the pins/);
      assert.match(answer.cause, cause);
    }
    assert.equal(registry.requests.length, asked);
  });

  describe("of owners", () => {
    let pods: PodCache;
    let now: number;
    let collector: PinCollector;

    before(() => {
      pods = podCache(kubeConfig, { labelSelector: `${LABEL}=true`, interrupted: () => {} });
      now = Date.now();
      collector = new PinCollector({
        server: apiServer(kubeConfig),
        namespace: OWN,
        isOwnerLive: pods.isOwnerLive,
        now: () => now,
        settings: { ...COLLECTOR_SETTINGS, pageItems: 3 },
      });
    });

    after(() => pods?.close());

    const eventually = (what: string, holds: () => boolean) =>
      until(what, holds, { seconds: 30, pauseMs: 50, bears: () => false });

    /** A pod that is never scheduled. */
    async function createPod(name: string, uid: string, labels: object): Promise<void> {
      const owner = { apiVersion: "v1", kind: "ConfigMap", name: "none", uid, controller: true };
      const spec = {
        nodeSelector: { "pin.test/node": "none" },
        containers: [{ name: "app", image: "none.example/a" }],
      };
      // The garbage collector deletes pods whose owner isn't there, unless they are held.
      const metadata = { name, namespace: SHOP, labels, ownerReferences: [owner], finalizers: ["pin.test/hold"] };
      await kubectl.apply({ apiVersion: "v1", kind: "Pod", metadata, spec });
    }

    async function deletePod(name: string): Promise<void> {
      await kubectl.run(["patch", "pod", name, "-n", SHOP, "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
      await kubectl.run(["delete", "pod", name, "-n", SHOP, "--ignore-not-found", "--grace-period=0", "--force"]);
    }

    it("with pods stay, and those without go once they are old", async () => {
      await push("collected");
      for (const owner of ["living", "gone"]) await replica().resolve(reference, from(owner));
      await createPod("living", "living", { [LABEL]: "true" });
      await createPod("unlabelled", "gone", {});
      try {
        await eventually("the pod to be known", () => pods.current() && pods.isOwnerLive(SHOP, "living"));
        assert.equal(pods.isOwnerLive(SHOP, "gone"), false);
        assert.equal((await collector.run(never)).deleted, 0);
        now += 2 * HOUR;
        const { deleted, strange, complete } = await collector.run(never);
        assert.ok(deleted > 0 && complete, String(deleted));
        // That of the test above, whose owner was changed.
        assert.deepEqual(strange, [nameOf("spoilt")]);
        assert.deepEqual([await isThere("living"), await isThere("gone")], [true, false]);
      } finally {
        for (const name of ["living", "unlabelled"]) await deletePod(name);
      }
      await eventually("the pod's end to be known", () => !pods.isOwnerLive(SHOP, "living"));
      assert.equal((await collector.run(never)).deleted, 0);
      now += 2 * HOUR;
      assert.equal((await collector.run(never)).deleted, 1);
      assert.equal(await isThere("living"), false);
    });

    it("that are used while they are being collected stay", async () => {
      await replica().resolve(reference, from("late"));
      await collector.run(never);
      now += 2 * HOUR;
      const server = apiServer(kubeConfig);
      const racing = new PinCollector({
        server: {
          open: server.open,
          async write(write, signal) {
            // The record's page was read; now a pod comes.
            await kubectl.run(["annotate", "configmap", nameOf("late"), "-n", OWN, "--overwrite", "x=y"]);
            return server.write(write, signal);
          },
        },
        namespace: OWN,
        isOwnerLive: pods.isOwnerLive,
        now: () => now,
      });
      await racing.run(never);
      now += 2 * HOUR;
      assert.equal((await racing.run(never)).deleted, 0);
      assert.equal(await isThere("late"), true);
    });
  });

  it("need no more rights than the manifest gives", async () => {
    const who = `--as=system:serviceaccount:${OWN}:${SERVICE_ACCOUNT}`;
    const may = (...args: readonly string[]) =>
      kubectl.run(["auth", "can-i", ...args, who]).then(
        answer => answer.trim() === "yes",
        () => false,
      );
    assert.equal(await may("update", "configmaps", "-n", OWN), true);
    for (const verb of ["watch", "patch", "deletecollection"]) {
      assert.equal(await may(verb, "configmaps", "-n", OWN), false, verb);
    }
    assert.equal(await may("get", "configmaps", "-n", SHOP), false);
    assert.equal(await may("get", "secrets", "-n", OWN), false);
    assert.equal(await may("get", "pods", "-A"), false);
  });
});
