import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterUnavailable } from "../environment/cluster/cluster.ts";
import { authored, type GuardedCluster, injected, namespaceOf, openGuarded } from "../environment/guarded-cluster.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";

const PLAIN = "integration-guards";
const INJECTED = "injected";

describe("guards of existing pods", function () {
  this.timeout(15 * 60_000);
  let cluster: GuardedCluster | undefined;
  let kubectl: GuardedCluster["kubectl"];
  let create: GuardedCluster["create"];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openGuarded(PLAIN, [namespaceOf(PLAIN, PLAIN)]);
    ({ kubectl, create } = cluster);
    await create(injected(PLAIN, INJECTED));
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
      let status: Manifest;
      for (let tries = 0; status?.typeChecking === undefined && tries < 100; tries += 1) {
        if (tries > 0) await sleep(200);
        ({ status } = await kubectl.get<Manifest>("validatingadmissionpolicy", policy));
      }
      assert.deepEqual(status?.typeChecking, {}, policy);
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
    async function debug(container: object, name = INJECTED): Promise<string> {
      const pod = await read(name);
      pod.metadata.resourceVersion = undefined;
      const added = { image: "registry.example/debug:1", ...container };
      pod.spec.ephemeralContainers = [...(pod.spec.ephemeralContainers ?? []), added];
      const address = `/api/v1/namespaces/${PLAIN}/pods/${name}/ephemeralcontainers`;
      return kubectl.run(["replace", "--raw", address, "-f", "-"], JSON.stringify(pod));
    }

    for (const volume of ["wasmount", "wasmount-no-token"]) {
      it(`refuse a mount of ${volume}`, () =>
        refused(
          debug({ name: "thief", volumeMounts: [{ name: volume, mountPath: "/loot" }] }),
          /an ephemeral container can't mount the volumes wasmount/,
        ));
    }

    it("refuse the fetcher as target", () =>
      refused(
        debug({ name: "thief", targetContainerName: "wasmount-fetch" }),
        /an ephemeral container can't target a container of wasmount/,
      ));

    it("leave pods alone that are not injected", () =>
      debug({ name: "one", volumeMounts: [{ name: "wasmount", mountPath: "/data" }] }, "plain"));

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
