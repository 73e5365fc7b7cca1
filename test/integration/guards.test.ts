import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { clusterUnavailable, openCluster } from "../environment/cluster/cluster.ts";
import { applyGuards } from "../environment/guards.ts";
import { Kubectl } from "../environment/kubectl.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";

const LABEL = "guards.test/run";
const RUN = "integration-guards";
const PLAIN = RUN;
const SWITCHED = `${RUN}-switched`;
const LOCKED = `${RUN}-locked`;
const MISSPELT = `${RUN}-misspelt`;
const MODULE = `registry.example/headers@sha256:${"a".repeat(64)}`;
const INJECTED = "injected";

/** A pod as its author writes it. It is never scheduled, so no kubelet has a part in its end. */
function authored(namespace: string, name = "authored"): Manifest {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, annotations: { "wasmount.dev/module.headers": MODULE } },
    spec: {
      nodeSelector: { "guards.test/node": "none" },
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: "app", image: "registry.example/app:1" },
        { name: "envoy", image: "registry.example/envoy:1" },
      ],
    },
  };
}

/** The same pod after admission, in what the guards look at. */
function injected(namespace: string, name = INJECTED): Manifest {
  const pod = authored(namespace, name);
  pod.metadata.labels = { "wasmount.dev/injected": "true", "wasmount.dev/plan": "0123456789ab" };
  pod.metadata.annotations["wasmount.dev/status"] = "{}";
  pod.spec.volumes = [
    { name: "wasmount", emptyDir: { sizeLimit: "64Mi" } },
    { name: "wasmount-no-token", emptyDir: { sizeLimit: "1Mi" } },
  ];
  pod.spec.initContainers = [
    {
      name: "wasmount-fetch",
      image: "registry.example/wasmount:1",
      volumeMounts: [
        { name: "wasmount", mountPath: "/wasmount" },
        { name: "wasmount-no-token", mountPath: "/var/run/secrets/kubernetes.io/serviceaccount", readOnly: true },
      ],
    },
    {
      name: "native-proxy",
      image: "registry.example/native:1",
      restartPolicy: "Always",
      volumeMounts: [{ name: "wasmount", mountPath: "/wasmount", readOnly: true }],
    },
  ];
  pod.spec.containers[1].volumeMounts = [{ name: "wasmount", mountPath: "/wasmount", readOnly: true }];
  return pod;
}

describe("guards of a real API server", function () {
  this.timeout(15 * 60_000);
  let kubectl: Kubectl;
  let policies: readonly string[];
  let remove: (() => Promise<void>) | undefined;

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    kubectl = new Kubectl(await openCluster({ node: false, progress: line => console.log(`      ${line}`) }));
    await kubectl.run(["delete", "namespace", PLAIN, SWITCHED, LOCKED, MISSPELT, "--ignore-not-found"]);
    await kubectl.apply(
      namespace(PLAIN),
      namespace(SWITCHED, { "wasmount.dev/inject": "true" }),
      namespace(LOCKED, { "wasmount.dev/locked": "true" }, { "wasmount.dev/module.headers": MODULE }),
      namespace(MISSPELT, { "wasmount.dev/inject": "yes" }),
    );
    for (const name of [PLAIN, SWITCHED, LOCKED]) await serviceAccount(name);
    ({ policies, remove } = await applyGuards(kubectl, { label: LABEL, value: RUN, namespace: PLAIN }));
    await create(injected(PLAIN));
    const plain = authored(PLAIN, "plain");
    plain.metadata.annotations = {};
    await create(plain);
  });

  after(async () => {
    await remove?.();
    await kubectl?.run([
      ...["delete", "namespace", PLAIN, SWITCHED, LOCKED, MISSPELT],
      ...["--ignore-not-found", "--wait=false"],
    ]);
  });

  function namespace(name: string, labels: object = {}, annotations: object = {}): Manifest {
    return {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, labels: { [LABEL]: RUN, ...labels }, annotations },
    };
  }

  async function serviceAccount(name: string): Promise<void> {
    for (let tries = 0; tries < 100; tries += 1) {
      if (await kubectl.get("serviceaccount", "default", "-n", name).catch(() => null)) return;
      await sleep(200);
    }
    assert.fail("no default ServiceAccount");
  }

  function create(manifest: Manifest, ...options: readonly string[]): Promise<string> {
    return kubectl.run(["create", "-f", "-", ...options], JSON.stringify(manifest));
  }

  const tried = (manifest: Manifest) => create(manifest, "--dry-run=server");
  const on = (...args: readonly string[]) => kubectl.run(["-n", PLAIN, ...args]);
  const read = (name = INJECTED) => kubectl.get<Manifest>("pod", name, "-n", PLAIN);

  function patch(body: object, options: readonly string[] = [], name = INJECTED): Promise<string> {
    return on("patch", "pod", name, "--type=merge", "-p", JSON.stringify(body), ...options);
  }

  async function refused(action: Promise<string>, message: RegExp): Promise<void> {
    await assert.rejects(action, { message });
  }

  it("have expressions whose types the API server finds right", async () => {
    for (const policy of policies) {
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

  describe("on new pods while no webhook is registered", () => {
    const missing = /its first init container is not wasmount-fetch/;
    const unlabelled = /label wasmount\.dev\/injected is missing/;

    it("refuse one that its namespace switches on", () => refused(tried(authored(SWITCHED)), missing));

    it("refuse one that its own label switches on, or nearly", async () => {
      for (const value of ["true", "True"]) {
        const pod = authored(PLAIN);
        pod.metadata.labels = { "wasmount.dev/inject": value };
        await refused(tried(pod), missing);
      }
    });

    it("refuse one whose fetcher comes second", async () => {
      const pod = injected(SWITCHED);
      pod.spec.initContainers.unshift({ name: "network", image: "registry.example/network:1" });
      await refused(tried(pod), missing);
    });

    it("refuse one that the policies on updates would not know", async () => {
      const pod = injected(SWITCHED);
      pod.metadata.labels = {};
      await refused(tried(pod), unlabelled);
    });

    it("refuse one whose filters are its locked namespace's, opted out or not", async () => {
      const pod = authored(LOCKED);
      pod.metadata.annotations = {};
      await refused(tried(pod), missing);
      pod.metadata.labels = { "wasmount.dev/inject": "false" };
      await refused(tried(pod), missing);
      pod.metadata.annotations = { "wasmount.dev/module.headers": "none" };
      await refused(tried(pod), missing);
    });

    it("let in one that was injected", async () => {
      await tried(injected(SWITCHED));
      await tried(injected(LOCKED));
    });

    it("let in one that opts out", async () => {
      const pod = authored(SWITCHED);
      pod.metadata.labels = { "wasmount.dev/inject": "false" };
      await tried(pod);
    });

    it("let in one without filters, or without those of its namespace", async () => {
      const pod = authored(SWITCHED);
      pod.metadata.annotations = undefined;
      await tried(pod);
      pod.metadata.annotations = { "wasmount.dev/module.headers": "none" };
      await tried(pod);
    });

    it("let in a static pod's mirror", async () => {
      const pod = authored(SWITCHED);
      pod.metadata.annotations["kubernetes.io/config.mirror"] = "x";
      pod.spec = { nodeName: "none", automountServiceAccountToken: false, containers: pod.spec.containers };
      await tried(pod);
    });
  });

  describe("on namespaces", () => {
    for (const switched of ["inject", "locked"]) {
      const message = new RegExp(`label wasmount\\.dev/${switched} on a namespace is`);
      const label = (value: string) => ({ [`wasmount.dev/${switched}`]: value });

      it(`refuse a new one with ${switched}=yes`, () => refused(tried(namespace("new", label("yes"))), message));

      it(`take ${switched}=true and ${switched}=false`, async () => {
        for (const value of ["true", "false"]) await tried(namespace("new", label(value)));
      });

      it(`refuse ${switched}=yes later, through the namespace, its status or its finalizers`, async () => {
        const body = JSON.stringify({ metadata: { labels: label("yes") } });
        for (const options of [[], ["--subresource=status"]]) {
          await refused(kubectl.run(["patch", "namespace", PLAIN, "--type=merge", "-p", body, ...options]), message);
        }
        const whole = await kubectl.get<Manifest>("namespace", PLAIN);
        whole.metadata.resourceVersion = undefined;
        Object.assign(whole.metadata.labels, label("yes"));
        const address = `/api/v1/namespaces/${PLAIN}/finalize`;
        await refused(kubectl.run(["replace", "--raw", address, "-f", "-"], JSON.stringify(whole)), message);
      });
    }

    it("leave one alone that was misspelt before, until it ends", async () => {
      await kubectl.run(["annotate", "namespace", MISSPELT, "note=x"]);
      await refused(kubectl.run(["label", "namespace", MISSPELT, "wasmount.dev/inject=no", "--overwrite"]), /inject/);
      await kubectl.run(["delete", "namespace", MISSPELT]);
    });
  });

  describe("on pods that nothing switches on", () => {
    const warning = /have no effect, no filter is put in/;

    /** What a command says beside its result. With --warnings-as-errors, kubectl fails where it was warned. */
    const warned = (pod: Manifest) => create(pod, "--dry-run=server", "--warnings-as-errors");

    it("warn the author", async () => {
      await tried(authored(PLAIN));
      await refused(warned(authored(PLAIN)), warning);
    });

    it("don't warn where the pod or its namespace has a switch, or there is nothing to switch on", async () => {
      const optedOut = authored(PLAIN);
      optedOut.metadata.labels = { "wasmount.dev/inject": "false" };
      const without = authored(PLAIN);
      without.metadata.annotations = { "wasmount.dev/status": "{}" };
      for (const pod of [optedOut, without, injected(SWITCHED), injected(LOCKED)]) await warned(pod);
    });
  });
});
