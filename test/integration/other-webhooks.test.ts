import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { exampleManifest } from "../environment/example.ts";
import { MODULE } from "../environment/guarded-cluster.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { makeNamespace } from "../environment/namespace.ts";
import { type OtherWebhook, startOtherWebhook, type Turn, turns } from "../environment/other-webhook.ts";
import { registerWebhook } from "../environment/registration.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { startWebhookProcess, type WebhookProcess } from "../environment/webhook-process.ts";

const NAMESPACE = "integration-other-webhooks";
const INJECTED = "mutate Injected";
const VERIFIED = "validate Verified";

type Change = (pod: Manifest) => void;

const named = (list: readonly Manifest[], name: string): Manifest =>
  list.find(member => member.name === name) ?? assert.fail(`no ${name}`);
const fetcher = ({ spec }: Manifest): Manifest => named(spec.initContainers, "wasmount-fetch");
const proxy = ({ spec }: Manifest): Manifest => named(spec.containers, "envoy");
const plan = (pod: Manifest): Manifest => named(fetcher(pod).env, "WASMOUNT_PLAN_0");

/** What a webhook after ours does: our second pass repairs it, and for this reason the pod is refused if it insists. */
const tampering: readonly (readonly [what: string, change: Change, reason: string])[] = [
  ["removes the fetcher", ({ spec }) => spec.initContainers.shift(), "FetcherMissing"],
  ["replaces its image", pod => (fetcher(pod).image = "registry.example/other:1"), "FetcherAltered"],
  ["gives it a command", pod => (fetcher(pod).command = ["sh", "-c", "true"]), "FetcherAltered"],
  ["gives it other arguments", pod => (fetcher(pod).args = ["--version"]), "FetcherAltered"],
  ["makes it root", pod => Object.assign(fetcher(pod).securityContext, { runAsUser: 0 }), "FetcherAltered"],
  ["has it load other code", pod => fetcher(pod).env.push({ name: "NODE_OPTIONS", value: "x" }), "FetcherAltered"],
  ["replaces its plan", pod => (plan(pod).value = "H4sIAAAAAAAAA6uuBQBDv6ajAgAAAA=="), "PlanForged"],
  ["takes its plan's signature", pod => fetcher(pod).env.pop(), "PlanForged"],
  [
    "gives it another volume",
    pod => fetcher(pod).volumeMounts.push({ name: "config", mountPath: "/wasmount/modules" }),
    "FetcherAltered",
  ],
  ["takes its volume", pod => fetcher(pod).volumeMounts.shift(), "FetcherAltered"],
  [
    "puts the shared volume on the node",
    ({ spec }) =>
      Object.assign(named(spec.volumes, "wasmount"), { emptyDir: undefined, hostPath: { path: "/tmp/modules" } }),
    "VolumeExposed",
  ],
  [
    "gives the proxy its own configuration back",
    pod => proxy(pod).args.splice(1, 1, "/etc/envoy/envoy.yaml"),
    "ProxyAltered",
  ],
  [
    "takes the proxy's modules",
    pod => (proxy(pod).volumeMounts = proxy(pod).volumeMounts.filter(({ name }: Manifest) => name !== "wasmount")),
    "ProxyAltered",
  ],
  [
    "takes the label of injected pods",
    ({ metadata }) => delete metadata.labels["wasmount.dev/injected"],
    "FetcherAltered",
  ],
  [
    "writes a status",
    ({ metadata }) => (metadata.annotations["wasmount.dev/status"] = "all is well"),
    "FetcherAltered",
  ],
];

/** What no pass of ours repairs: refused in the second one. */
const refusedAtOnce: readonly (readonly [what: string, change: Change, reason: string])[] = [
  [
    "gives the application the shared volume",
    ({ spec }) => (named(spec.containers, "app").volumeMounts = [{ name: "wasmount", mountPath: "/data" }]),
    "NameReserved",
  ],
  [
    "mounts over the filters",
    pod => proxy(pod).volumeMounts.push({ name: "config", mountPath: "/wasmount/filters" }),
    "MountShadowed",
  ],
  [
    "lets the proxy write to the shared volume",
    pod => delete named(proxy(pod).volumeMounts, "wasmount").readOnly,
    "NameReserved",
  ],
];

/** A mesh that keeps its init container first, and puts it there in each of its calls. */
const meshFirst: Change = ({ spec }) => {
  const others = (spec.initContainers ?? []).filter(({ name }: Manifest) => name !== "mesh-init");
  spec.initContainers = [{ name: "mesh-init", image: "mesh.example/init:1" }, ...others];
};

describe("beside other mutating webhooks, by a real API server", function () {
  this.timeout(15 * 60_000);
  let folder: string;
  let kubectl: Kubectl;
  let webhook: WebhookProcess;
  let other: OtherWebhook | undefined;
  let unregister: (() => Promise<void>) | undefined;
  let pod: Manifest;
  let untouched: Manifest;
  /** What is logged about each pod, and how often the other webhook was called for it. */
  const expected = new Map<string, { readonly ours: readonly string[]; readonly others: number }>();

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    const cluster = await openCluster({ node: false, progress: line => console.log(`      ${line}`) });
    kubectl = new Kubectl(cluster);
    folder = await mkdtemp(join(tmpdir(), "wasmount-other-"));
    await makeNamespace(kubectl, NAMESPACE, { labels: { "wasmount.dev/inject": "true" } });
    const signingKeyFile = join(folder, "plans.pem");
    const { privateKey } = generateKeyPairSync("ed25519");
    await writeFile(signingKeyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
    webhook = await startWebhookProcess({
      folder,
      namespaces: ["--kubeconfig", cluster.kubeconfigPath],
      config: {
        fetcher: { image: "registry.example/wasmount:1" },
        plan: { signingKeyFile },
        proxy: { injectedBy: [{ label: "mesh.example/inject", value: "yes" }] },
      },
    });
    unregister = await registerWebhook(cluster.kubeConfig, { ...webhook, name: NAMESPACE, namespaces: [NAMESPACE] });
    other = await startOtherWebhook(cluster.kubeConfig, NAMESPACE, NAMESPACE);
    pod = parse(await exampleManifest("pod"));
    pod.metadata.namespace = NAMESPACE;
    pod.metadata.annotations["wasmount.dev/module.headers"] = MODULE;
    await untilCalled();
    untouched = await create(authored("untouched"));
    expected.set("untouched", { ours: [INJECTED, VERIFIED], others: 0 });
  });

  after(async () => {
    await unregister?.();
    await other?.stop();
    await webhook?.stop();
    await kubectl?.run(["delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false"]);
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  /** The API server learns of registrations in its own time. */
  async function untilCalled(): Promise<void> {
    for (const turn of turns) {
      const isCalled = async () => {
        await create(taken(`ready-${turn}`, turn, () => {}));
        return other?.calls(`ready-${turn}`) !== 0;
      };
      await until(`the API server to call ${turn}`, isCalled, { seconds: 40, pauseMs: 100, bears: () => false });
    }
  }

  function authored(name: string): Manifest {
    const manifest = structuredClone(pod);
    manifest.metadata.name = name;
    return manifest;
  }

  function taken(name: string, turn: Turn, change: Change): Manifest {
    const manifest = authored(name);
    other?.take(manifest, turn, change);
    return manifest;
  }

  async function create(manifest: Manifest): Promise<Manifest> {
    const args = ["create", "--dry-run=server", "-f", "-", "-o", "json"];
    return JSON.parse(await kubectl.run(args, JSON.stringify(manifest)));
  }

  const order = ({ spec }: Manifest): string[] => spec.initContainers.map(({ name }: Manifest) => name);

  /** What of a pod the API server doesn't make anew for each. */
  function lasting({ metadata, spec }: Manifest): object {
    const members = JSON.stringify({ ...spec, labels: metadata.labels, annotations: metadata.annotations });
    const { labels, ...rest } = JSON.parse(members.replaceAll(/kube-api-access-\w+/g, "kube-api-access"));
    return { ...rest, labels: { ...labels, "other-webhook.test/turn": undefined } };
  }

  const slug = (text: string) => text.toLowerCase().replaceAll(/\W+/g, "-");

  describe("one that is called once, after ours, and", () => {
    for (const [what, change] of tampering) {
      it(`${what}: our second pass repairs it`, async () => {
        const name = `once-${slug(what)}`;
        expected.set(name, { ours: [INJECTED, INJECTED, VERIFIED], others: 1 });
        assert.deepEqual(lasting(await create(taken(name, "after-once", change))), lasting(untouched));
      });
    }

    for (const [what, change, reason] of refusedAtOnce) {
      it(`${what}: our second pass refuses it`, async () => {
        const name = `once-${slug(what)}`;
        expected.set(name, { ours: [INJECTED, `mutate Denied ${reason}`], others: 1 });
        await assert.rejects(create(taken(name, "after-once", change)), new RegExp(`wasmount: ${reason}: `));
      });
    }

    it("puts its init container before ours: ours is first again", async () => {
      expected.set("prepended", { ours: [INJECTED, INJECTED, VERIFIED], others: 1 });
      assert.deepEqual(order(await create(taken("prepended", "after-once", meshFirst))), [
        "wasmount-fetch",
        "mesh-init",
      ]);
    });

    it("moves our init container behind its own: ours is first again", async () => {
      expected.set("moved", { ours: [INJECTED, INJECTED, VERIFIED], others: 1 });
      const change: Change = ({ spec }) => {
        spec.initContainers = [
          { name: "mesh-init", image: "mesh.example/init:1" },
          { name: "mesh-check", image: "mesh.example/init:1" },
          ...spec.initContainers,
        ];
      };
      const result = await create(taken("moved", "after-once", change));
      assert.deepEqual(order(result), ["wasmount-fetch", "mesh-init", "mesh-check"]);
    });

    it("adds the proxy: our first pass waits for it, our second injects", async () => {
      const [envoy] = pod.spec.containers.slice(-1);
      const withoutProxy = (name: string) => {
        const manifest = authored(name);
        manifest.metadata.labels = { "mesh.example/inject": "yes" };
        manifest.spec.containers.pop();
        return manifest;
      };
      const meshed = withoutProxy("meshed");
      other?.take(meshed, "after-once", ({ spec }) => spec.containers.push(envoy));
      expected.set("meshed", { ours: ["mutate Deferred ProxyExpected", INJECTED, VERIFIED], others: 1 });
      const { spec } = await create(meshed);
      assert.deepEqual(spec.initContainers, untouched.spec.initContainers);
      assert.deepEqual(proxy({ spec }).args, proxy(untouched).args);

      expected.set("unmeshed", {
        ours: ["mutate Deferred ProxyExpected", "validate Denied ProxyNeverCame"],
        others: 0,
      });
      await assert.rejects(create(withoutProxy("unmeshed")), /wasmount: ProxyNeverCame: /);
    });
  });

  describe("one that does it again after our second pass, and", () => {
    for (const [what, change, reason] of tampering) {
      it(`${what}: the pod is refused`, async () => {
        const name = `again-${slug(what)}`;
        expected.set(name, { ours: [INJECTED, INJECTED, `validate Denied ${reason}`], others: 2 });
        await assert.rejects(create(taken(name, "after-again", change)), new RegExp(`wasmount: ${reason}: `));
      });
    }
  });

  // By its number in the list of what other injectors' users ran into: test/admission/traps.test.ts.
  describe("trap 2, the fight about who comes first,", () => {
    it("is won where the other one is called before ours", async () => {
      expected.set("fight-before", { ours: [INJECTED, INJECTED, VERIFIED], others: 2 });
      const result = await create(taken("fight-before", "before-again", meshFirst));
      assert.deepEqual(order(result), ["wasmount-fetch", "mesh-init"]);
    });

    it("ends in a refusal that says so where it is called after ours, and never in another order", async () => {
      expected.set("fight-after", { ours: [INJECTED, INJECTED, "validate Denied FetcherNotFirst"], others: 2 });
      await assert.rejects(
        create(taken("fight-after", "after-again", meshFirst)),
        /wasmount: FetcherNotFirst: .*spec\.initContainers\[1\] is wasmount-fetch, after mesh-init/i,
      );
    });
  });

  // In a suite of its own, since it comes after the others.
  describe("in all of that, ours", () => {
    it("is called once for each pass, and no more than twice", async () => {
      // What it has logged is complete only when it has ended.
      await webhook.stop();
      const lines = webhook
        .log()
        .trim()
        .split("\n")
        .map(line => JSON.parse(line));
      const found = new Map(
        [...expected.keys()].map(name => {
          const ours = lines
            .filter(line => line.pod === name)
            .map(({ side, outcome, reason }) => [side, outcome, ...(outcome === reason ? [] : [reason])].join(" "));
          return [name, { ours, others: other?.calls(name) }];
        }),
      );
      assert.deepEqual(found, expected);
    });
  });
});
