import assert from "node:assert/strict";
import { ApiException, CoreV1Api, type V1Pod } from "@kubernetes/client-node";
import { isOurVolume } from "../../src/dataplanes/data-plane.ts";
import type { Container, Pod, SecurityContext } from "../../src/kube/pod.ts";
import { refuseSharedProcesses } from "../../src/validation/processes.ts";
import { samplePod } from "../admission/pods.ts";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { authored, type GuardedCluster, injected, namespaceOf, openGuarded } from "../environment/guarded-cluster.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";
import { until } from "../environment/until.ts";
import { injected as admitted } from "../validation/injected-pod.ts";

const PLAIN = "integration-guards";
/** Not guarded until a test says so. */
const EARLIER = "integration-guards-earlier";
const INJECTED = "injected";
/** Users of a pod as a whole, each for a pod whose containers see each other's processes. */
const SHARING = { none: undefined, apart: 1000, fetcher: 101 } as const;

describe("guards of existing pods", function () {
  this.timeout(15 * 60_000);
  let cluster: GuardedCluster | undefined;
  let kubectl: GuardedCluster["kubectl"];
  let create: GuardedCluster["create"];
  let api: CoreV1Api;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openGuarded(PLAIN, [namespaceOf(PLAIN, PLAIN), namespaceOf("", EARLIER)]);
    ({ kubectl, create } = cluster);
    api = (await openCluster({ node: false })).kubeConfig.makeApiClient(CoreV1Api);
    await create(injected(PLAIN, INJECTED));
    for (const [name, runAsUser] of Object.entries(SHARING)) {
      const pod = injected(PLAIN, `sharing-${name}`);
      Object.assign(pod.spec, { shareProcessNamespace: true, securityContext: { runAsUser } });
      await create(pod);
    }
    const plain = authored(PLAIN, "plain");
    plain.metadata.annotations = {};
    // The name of our volume is free where we put none.
    plain.spec.volumes = [{ name: "wasmount", emptyDir: {} }];
    plain.spec.containers[0].volumeMounts = [{ name: "wasmount", mountPath: "/data" }];
    await create(plain);
  });

  after(() => cluster?.close());

  const on = (...args: readonly string[]) => kubectl.run(["-n", PLAIN, ...args]);
  const read = (name = INJECTED) => kubectl.get<Manifest>("pod", name, "-n", PLAIN);

  function patch(body: object, options: readonly string[] = [], name = INJECTED): Promise<string> {
    return on("patch", "pod", name, "--type=merge", "-p", JSON.stringify(body), ...options);
  }

  async function refused(action: Promise<string>, message: RegExp): Promise<void> {
    await assert.rejects(action, { message });
  }

  it("have expressions whose types the API server finds right", async () => {
    for (const policy of cluster?.policies ?? []) {
      const checking = async () => {
        const { status } = await kubectl.get<Manifest>("validatingadmissionpolicy", policy);
        return status?.typeChecking;
      };
      const found = await until(`the types of ${policy}`, checking, { seconds: 20, bears: () => false });
      assert.deepEqual(found, {}, policy);
    }
  });

  describe("on an injected pod's updates", () => {
    const marks: readonly (readonly [what: string, metadata: object, message: RegExp])[] = [
      ["label injected", { labels: { "wasmount.dev/injected": null } }, /label wasmount\.dev\/injected is set when/],
      ["label plan", { labels: { "wasmount.dev/plan": "other" } }, /label wasmount\.dev\/plan is set when/],
      [
        "annotation status",
        { annotations: { "wasmount.dev/status": null } },
        /annotation wasmount\.dev\/status is set/,
      ],
      ...["traffic.sidecar.istio.io/excludeInboundPorts", "sidecar.istio.io/interceptionMode"].map(
        key =>
          [`annotation ${key}`, { annotations: { [key]: "8080" } }, /annotations of Istio about redirection/] as const,
      ),
    ];
    for (const [what, metadata, message] of marks) {
      it(`keep ${what}`, () => refused(patch({ metadata }), message));
      it(`keep ${what} when the status is written`, () =>
        refused(patch({ metadata }, ["--subresource=status"]), message));
    }

    it("keep a pod from calling itself injected later", () =>
      refused(
        patch({ metadata: { labels: { "wasmount.dev/injected": "true" } } }, [], "plain"),
        /label wasmount\.dev\/injected is set when/,
      ));

    for (const container of ["wasmount-fetch", "envoy", "native-proxy"]) {
      it(`keep the image of ${container}`, () =>
        refused(
          on("set", "image", `pod/${INJECTED}`, `${container}=registry.example/other:1`),
          /the images of wasmount-fetch and of the proxy can't be changed/,
        ));
    }

    it("let the application's image, labels and annotations change", async () => {
      await on("set", "image", `pod/${INJECTED}`, "app=registry.example/app:2");
      await patch({ metadata: { labels: { tier: "front" }, annotations: { note: "x" } } });
      const { metadata, spec } = await read();
      assert.equal(spec.containers[0].image, "registry.example/app:2");
      assert.deepEqual([metadata.labels.tier, metadata.annotations.note], ["front", "x"]);
    });

    it("need not see requests of which the API server takes no labels and images", async () => {
      for (const subresource of ["ephemeralcontainers", "resize"]) {
        const pod = await read();
        pod.metadata.resourceVersion = undefined;
        pod.metadata.labels = {};
        pod.metadata.annotations = {};
        pod.spec.initContainers[0].image = "registry.example/other:1";
        const address = `/api/v1/namespaces/${PLAIN}/pods/${INJECTED}/${subresource}`;
        await kubectl.run(["replace", "--raw", address, "-f", "-"], JSON.stringify(pod));
        const { metadata, spec } = await read();
        assert.equal(metadata.labels["wasmount.dev/injected"], "true");
        assert.equal(metadata.annotations["wasmount.dev/status"], "{}");
        assert.equal(spec.initContainers[0].image, "registry.example/wasmount:1");
      }
    });

    it("leave pods alone that are not injected", () => on("set", "image", "pod/plain", "app=registry.example/app:2"));

    it("let the status be written", async () => {
      const conditions = [{ type: "guards.test/ready", status: "True" }];
      await patch({ status: { conditions } }, ["--subresource=status"]);
      const { status } = await read();
      assert.ok(status.conditions.some(({ type }: Manifest) => type === "guards.test/ready"));
    });

    it("let it be deleted, finalizers and all", async () => {
      const pod = injected(PLAIN, "finalized");
      pod.metadata.finalizers = ["guards.test/hold"];
      await create(pod);
      await on("delete", "pod", "finalized", "--wait=false");
      await patch({ metadata: { finalizers: null } }, [], "finalized");
      await on("wait", "--for=delete", "pod/finalized", "--timeout=60s");
    });
  });

  describe("on bindings", () => {
    function bind(path: string, metadata: object): Promise<string> {
      const target = { apiVersion: "v1", kind: "Node", name: "none" };
      const body = { apiVersion: "v1", kind: "Binding", metadata: { name: INJECTED, ...metadata }, target };
      const address = `/api/v1/namespaces/${PLAIN}/${path}?dryRun=All`;
      return kubectl.run(["create", "--raw", address, "-f", "-"], JSON.stringify(body));
    }

    for (const path of [`pods/${INJECTED}/binding`, "bindings"]) {
      it(`refuse our annotations through ${path}`, () =>
        refused(
          bind(path, { annotations: { "wasmount.dev/status": "forged" } }),
          /a Binding can't set annotations under wasmount\.dev\//,
        ));

      it(`refuse annotations about redirection through ${path}`, () =>
        refused(
          bind(path, { annotations: { "traffic.sidecar.istio.io/excludeInboundPorts": "8080" } }),
          /a Binding can't set annotations of Istio about redirection/,
        ));

      it(`refuse our labels through ${path}`, () =>
        refused(
          bind(path, { labels: { "wasmount.dev/plan": "forged" } }),
          /a Binding can't set labels under wasmount\.dev\//,
        ));
    }

    it("let others be", async () => {
      await bind(`pods/${INJECTED}/binding`, { annotations: { "example.com/zone": "a" } });
      await bind(`pods/${INJECTED}/binding`, {});
    });
  });

  describe("on ephemeral containers", () => {
    async function debug(container: object, name = INJECTED, namespace = PLAIN): Promise<string> {
      const pod = await kubectl.get<Manifest>("pod", name, "-n", namespace);
      pod.metadata.resourceVersion = undefined;
      const added = { image: "registry.example/debug:1", ...container };
      pod.spec.ephemeralContainers = [...(pod.spec.ephemeralContainers ?? []), added];
      const address = `/api/v1/namespaces/${namespace}/pods/${name}/ephemeralcontainers`;
      return kubectl.run(["replace", "--raw", address, "-f", "-"], JSON.stringify(pod));
    }

    it("refuse a mount of any volume that admission adds", async () => {
      const pod = samplePod({ spec: { ...samplePod().spec, imagePullSecrets: [{ name: "pull" }] } });
      const names: string[] = (await admitted(pod)).spec.volumes.map(({ name }: Manifest) => name);
      const ours = names.filter(name => !pod.spec.volumes?.some(volume => volume.name === name));
      assert.ok(ours.length > 0 && ours.every(isOurVolume), ours.join());
      for (const volume of ours) {
        await refused(
          debug({ name: "thief", volumeMounts: [{ name: volume, mountPath: "/loot" }] }),
          /an ephemeral container can't mount the volumes wasmount/,
        );
      }
    });

    it("refuse the fetcher as target", () =>
      refused(
        debug({ name: "thief", targetContainerName: "wasmount-fetch" }),
        /an ephemeral container can't target a container of wasmount/,
      ));

    it("leave pods alone that are not injected", () =>
      debug({ name: "one", volumeMounts: [{ name: "wasmount", mountPath: "/data" }] }, "plain"));

    describe("where the pod shares its processes", () => {
      const refusal = /the pod shares its processes \(shareProcessNamespace\)/;
      const apart = { runAsUser: 1000, allowPrivilegeEscalation: false };

      /** Adds one for no longer than the request lasts. */
      async function tried(name: string, added: object): Promise<string | null> {
        const pod = await api.readNamespacedPod({ name, namespace: PLAIN });
        const container = { name: "debug", image: "registry.example/debug:1", ...added };
        const body = {
          ...pod,
          spec: { ...pod.spec, ephemeralContainers: [...(pod.spec?.ephemeralContainers ?? []), container] },
        } as V1Pod;
        try {
          await api.replaceNamespacedPodEphemeralcontainers({ name, namespace: PLAIN, body, dryRun: "All" });
          return null;
        } catch (error) {
          if (!(error instanceof ApiException)) throw error;
          return String(error.body);
        }
      }

      const ways: readonly (readonly [way: string, security: object | undefined])[] = [
        ["as a user that isn't known", { allowPrivilegeEscalation: false }],
        ["as the fetcher's user", { ...apart, runAsUser: 101 }],
        ["as root", { ...apart, runAsUser: 0 }],
        ["as who may become root", { runAsUser: 1000 }],
        ["as who may become root, in so many words", { ...apart, allowPrivilegeEscalation: true }],
        ["with nothing said", undefined],
      ];
      for (const [way, securityContext] of ways) {
        it(`refuse one ${way}`, async () => {
          assert.match((await tried("sharing-none", { securityContext })) ?? "allowed", refusal);
        });
      }

      it("refuse one as the fetcher's user by the pod's word", async () => {
        const securityContext = { allowPrivilegeEscalation: false };
        assert.match((await tried("sharing-fetcher", { securityContext })) ?? "allowed", refusal);
      });

      it("let others in, by their own word or the pod's", async () => {
        assert.equal(await tried("sharing-none", { securityContext: apart }), null);
        assert.equal(await tried("sharing-fetcher", { securityContext: apart }), null);
        assert.equal(await tried("sharing-apart", { securityContext: { allowPrivilegeEscalation: false } }), null);
      });

      it("let anyone in where processes are not shared", async () => {
        assert.equal(await tried(INJECTED, { securityContext: { runAsUser: 101 } }), null);
      });

      it("ask what is asked of the pod's other containers when it is created", async () => {
        const wrong: string[] = [];
        for (const { pod, podUser, securityContext } of combinations()) {
          const said = await tried(`sharing-${pod}`, { securityContext });
          if (said !== null) assert.match(said, refusal);
          if ((said !== null) !== isRefused(podUser, securityContext)) wrong.push(JSON.stringify(securityContext));
        }
        assert.deepEqual(wrong, []);
      });

      it("leave alone who got in before, and all other updates of its pod", async () => {
        const pod = injected(EARLIER, INJECTED);
        pod.spec.shareProcessNamespace = true;
        await create(pod);
        const thief = { name: "early", securityContext: { runAsUser: 101 } };
        await debug(thief, INJECTED, EARLIER);
        await cluster?.guard(EARLIER);
        await refused(debug({ ...thief, name: "late" }, INJECTED, EARLIER), refusal);
        await debug({ name: "late", securityContext: apart }, INJECTED, EARLIER);
        await kubectl.run(["-n", EARLIER, "annotate", "pod", INJECTED, "later=x"]);
      });

      function* combinations() {
        for (const [pod, podUser] of Object.entries(SHARING)) {
          for (const runAsUser of [{}, { runAsUser: 0 }, { runAsUser: 101 }, { runAsUser: 1000 }]) {
            for (const escalation of [{}, { allowPrivilegeEscalation: false }, { allowPrivilegeEscalation: true }]) {
              yield { pod, podUser, securityContext: { ...runAsUser, ...escalation } };
            }
          }
        }
      }

      /** What the webhook would say of a pod with such a container in it from the start. */
      function isRefused(runAsUser: number | undefined, securityContext: SecurityContext): boolean {
        const { spec } = samplePod();
        const [app, envoy] = spec.containers as [Container, Container];
        const candidate = { ...app, securityContext };
        const pod = {
          metadata: {},
          spec: {
            shareProcessNamespace: true,
            securityContext: runAsUser === undefined ? {} : { runAsUser },
            containers: [candidate, envoy],
          },
        } as Pod;
        const place = { list: "containers", index: 1, uid: 101, gid: 101, envoyVersion: null, directions: [] } as const;
        return refuseSharedProcesses(pod, { ...place, container: envoy }) !== null;
      }
    });

    it("let others in, one after the other, and the pod be updated after", async () => {
      await debug({ name: "one" });
      await debug({ name: "two", targetContainerName: "app" });
      await patch({ metadata: { annotations: { later: "x" } } });
      assert.equal((await read()).spec.ephemeralContainers.length, 2);
    });
  });

  describe("on exec and attach", () => {
    const refusal = /exec and attach into containers of wasmount are refused/;
    // Past admission, the API server finds no node to send the command to.
    const passed = /does not have a host assigned/;

    function connect(verb: "exec" | "attach", query: string): Promise<string> {
      const address = `/api/v1/namespaces/${PLAIN}/pods/${INJECTED}/${verb}?command=ls&stdout=true${query}`;
      return kubectl.run(["create", "--raw", address, "-f", "-"], "{}");
    }

    for (const verb of ["exec", "attach"] as const) {
      it(`refuse ${verb} into the fetcher`, () => refused(connect(verb, "&container=wasmount-fetch"), refusal));
      it(`let ${verb} into another container pass`, () => refused(connect(verb, "&container=app"), passed));
      it(`let ${verb} pass that names no container`, () =>
        refused(connect(verb, ""), /a container name must be specified/));
    }

    it("are seen by a user of kubectl exec", () =>
      refused(on("exec", INJECTED, "-c", "wasmount-fetch", "--", "ls"), refusal));
  });
});
