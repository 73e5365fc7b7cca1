import assert from "node:assert/strict";
import { clusterUnavailable } from "../environment/cluster/cluster.ts";
import {
  authored,
  type GuardedCluster,
  injected,
  MODULE,
  namespaceOf,
  openGuarded,
} from "../environment/guarded-cluster.ts";
import { shippedGuards } from "../environment/guards.ts";
import { shippedConfiguration } from "../environment/installation.ts";
import { unavailable } from "../environment/requirement.ts";
import type { Manifest } from "../environment/stage.ts";

const PLAIN = "integration-guards-new";
const SWITCHED = `${PLAIN}-switched`;
const INHERITING = `${PLAIN}-inheriting`;
const LOCKED = `${PLAIN}-locked`;
const MISSPELT = `${PLAIN}-misspelt`;

describe("guards of new pods and of namespaces", function () {
  this.timeout(15 * 60_000);
  let cluster: GuardedCluster | undefined;
  let kubectl: GuardedCluster["kubectl"];
  let create: GuardedCluster["create"];

  before(async function () {
    const reason = await clusterUnavailable({ node: false });
    if (reason !== null) unavailable(this, reason);
    cluster = await openGuarded(PLAIN, [
      namespaceOf(PLAIN, PLAIN),
      namespaceOf(PLAIN, SWITCHED, { "wasmount.dev/inject": "true" }),
      namespaceOf(PLAIN, INHERITING, { "wasmount.dev/inject": "true" }, { "wasmount.dev/module.headers": MODULE }),
      namespaceOf(PLAIN, LOCKED, { "wasmount.dev/locked": "true" }, { "wasmount.dev/module.headers": MODULE }),
      namespaceOf(PLAIN, MISSPELT, { "wasmount.dev/inject": "yes" }),
    ]);
    ({ kubectl, create } = cluster);
  });

  after(() => cluster?.close());

  const tried = (manifest: Manifest) => create(manifest, "--dry-run=server");

  async function refused(action: Promise<string>, message: RegExp): Promise<void> {
    await assert.rejects(action, { message });
  }

  describe("on new pods while no webhook is registered", () => {
    const missing = /its first init container is not wasmount-fetch/;
    const unlabelled = /label wasmount\.dev\/injected is missing/;

    it("refuse one that its namespace switches on", () => refused(tried(authored(SWITCHED)), missing));

    it("refuse one that its own label switches on, or nearly", async () => {
      const pod = authored(PLAIN);
      pod.metadata.labels = { "wasmount.dev/inject": "true" };
      await refused(tried(pod), missing);
      pod.metadata.labels = { "wasmount.dev/inject": "True" };
      await refused(tried(pod), /are "true" or "false", and one of the pod or its namespace is neither/);
    });

    it("refuse one whose fetcher comes second", async () => {
      const pod = injected(SWITCHED, "injected");
      pod.spec.initContainers.unshift({ name: "network", image: "registry.example/network:1" });
      await refused(tried(pod), missing);
    });

    it("refuse one that the policies on updates would not know", async () => {
      const pod = injected(SWITCHED, "injected");
      pod.metadata.labels = {};
      await refused(tried(pod), unlabelled);
    });

    it("refuse one whose filters are its locked namespace's, opted out or not", async () => {
      const pod = authored(LOCKED);
      pod.metadata.annotations = {};
      await refused(tried(pod), missing);
      pod.metadata.labels = { "wasmount.dev/inject": "false" };
      await refused(tried(pod), /can't opt out by label wasmount\.dev\/inject=false/);
      pod.metadata.labels = {};
      pod.metadata.annotations = { "wasmount.dev/module.headers": "none" };
      await refused(tried(pod), /can't have annotations wasmount\.dev\//);
    });

    it("refuse one whose fetcher runs another image than wasmount's", async () => {
      const pod = injected(SWITCHED, "injected");
      pod.spec.initContainers[0].image = "registry.example/wasmount:2";
      await refused(tried(pod), /wasmount-fetch does not run wasmount's image/);
    });

    it("refuse one that looks injected where there is nothing to inject", async () => {
      const message = /the pod gets no filters, but has a container wasmount-fetch or label wasmount\.dev\/injected/;
      const none = { "wasmount.dev/module.headers": "none" };
      const whole = injected(INHERITING, "injected");
      const labelled = authored(INHERITING);
      labelled.metadata.labels = { "wasmount.dev/injected": "true" };
      const fetching = authored(INHERITING);
      fetching.spec.initContainers = injected(INHERITING, "injected").spec.initContainers.slice(0, 1);
      delete fetching.spec.initContainers[0].volumeMounts;
      for (const pod of [whole, labelled, fetching]) {
        pod.metadata.annotations = none;
        await refused(tried(pod), message);
      }
    });

    it("let in one that was injected", async () => {
      await tried(injected(SWITCHED, "injected"));
      const fixed = injected(LOCKED, "injected");
      fixed.metadata.annotations = { "wasmount.dev/status": "{}" };
      await tried(fixed);
    });

    it("let in one that opts out", async () => {
      const pod = authored(SWITCHED);
      pod.metadata.labels = { "wasmount.dev/inject": "false" };
      await tried(pod);
    });

    it("let in one that removes its namespace's filters, where that is not locked", async () => {
      const pod = authored(INHERITING);
      pod.metadata.annotations = {};
      await refused(tried(pod), missing);
      pod.metadata.annotations = { "wasmount.dev/module.headers": "none" };
      await tried(pod);
    });

    it("let in one without filters", async () => {
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

  it("know the fetcher's image of the configuration that they ship with", async () => {
    const images = (await shippedGuards())
      .flatMap(({ spec }) => spec.variables ?? [])
      .filter(({ name }: Manifest) => name === "images");
    const { fetcher } = await shippedConfiguration();
    assert.deepEqual(images, [{ name: "images", expression: JSON.stringify([fetcher.image]) }]);
  });

  describe("on namespaces", () => {
    for (const switched of ["inject", "locked"]) {
      const message = new RegExp(`label wasmount\\.dev/${switched} on a namespace is`);
      const label = (value: string) => ({ [`wasmount.dev/${switched}`]: value });

      it(`refuse a new one with ${switched}=yes`, () =>
        refused(tried(namespaceOf(PLAIN, "new", label("yes"))), message));

      it(`take ${switched}=true and ${switched}=false`, async () => {
        for (const value of ["true", "false"]) await tried(namespaceOf(PLAIN, "new", label(value)));
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
      for (const pod of [optedOut, without, injected(SWITCHED, "injected")]) await warned(pod);
      // Refused, and for that no warning that nothing is switched on.
      await assert.rejects(warned(authored(LOCKED)), ({ message }: Error) => !warning.test(message));
    });
  });
});
