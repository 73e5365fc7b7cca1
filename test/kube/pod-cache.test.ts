import assert from "node:assert/strict";
import { ownerIdOf, rolloutOf } from "../../src/kube/owner-id.ts";
import { POD_CACHE_SETTINGS, type PodCache, type PodCacheSettings, podCache } from "../../src/kube/pod-cache.ts";
import { event, hold, list, type Script, ScriptedApi, status, untilTrue } from "./scripted-api.ts";

const SELECTOR = "wasmount.dev/injected=true";

const pod = (namespace: string, name: string, version: number, ...uids: readonly unknown[]) => ({
  kind: "PartialObjectMetadata",
  metadata: {
    name,
    namespace,
    resourceVersion: String(version),
    labels: { app: name },
    ownerReferences: uids.map((uid, index) => ({ uid, controller: index === uids.length - 1 })),
  },
});

describe("pods watched", function () {
  this.timeout(60_000);
  const quick: PodCacheSettings = {
    ...POD_CACHE_SETTINGS,
    backoff: { baseMs: 10, maxMs: 40 },
    steadyMs: 1_000_000,
  };
  let api: ScriptedApi;
  let cache: PodCache | undefined;
  let interruptions: string[];

  afterEach(async () => {
    await cache?.close();
    cache = undefined;
    api.close();
  });

  async function start(script: Script, settings = quick): Promise<PodCache> {
    interruptions = [];
    api = new ScriptedApi("/api/v1/pods", script);
    const kubeConfig = await api.open();
    const interrupted = (reason: string) => interruptions.push(reason);
    cache = podCache(kubeConfig, { labelSelector: SELECTOR, interrupted, settings });
    return cache;
  }

  const eventually = (holds: () => boolean) => untilTrue(holds, () => `interruptions: ${interruptions.join(", ")}`);

  it("are those with the label alone, on every page and in the watch", async () => {
    const pods = await start({
      lists: [list(7, [pod("a", "p", 7, "u1")], "more"), list(7, [pod("b", "p", 7, "u2")])],
      watches: [hold()],
    });
    await eventually(() => api.watches.length === 1);
    for (const url of api.asked) assert.equal(url.searchParams.get("labelSelector"), SELECTOR);
    assert.equal(api.lists.length, 2);
    assert.equal(pods.synced(), true);
    assert.notEqual(pods.contactSeconds(), null);
  });

  it("tell owners of equal pods in different namespaces apart", async () => {
    const pods = await start({
      lists: [list(7, [pod("a", "p", 7, "u1"), pod("b", "p", 7, "u2")])],
      watches: [hold()],
    });
    await eventually(pods.current);
    const live = ["a", "b"].map(namespace => ["u1", "u2"].map(uid => pods.isOwnerLive(namespace, uid)));
    assert.deepEqual(live, [
      [true, false],
      [false, true],
    ]);
  });

  it("keep an owner alive until the last of its pods is gone", async () => {
    const both = [pod("a", "p", 7, "u1"), pod("a", "q", 7, "u1"), pod("a", "old", 7, "u0")];
    const one = event("DELETED", pod("a", "p", 8, "u1"));
    const known = event("DELETED", pod("a", "old", 9, "u0"));
    const pods = await start({ lists: [list(7, both)], watches: [hold(one, one, known)] });
    await eventually(() => !pods.isOwnerLive("a", "u0"));
    assert.equal(pods.isOwnerLive("a", "u1"), true);
  });

  it("know an owner whose pod came, and one whose last pod went", async () => {
    const came = event("ADDED", pod("a", "new", 8, "u2"));
    const again = event("MODIFIED", pod("a", "new", 9, "u2"));
    const went = event("DELETED", pod("a", "p", 10, "u1"));
    const pods = await start({ lists: [list(7, [pod("a", "p", 7, "u1")])], watches: [hold(came, again, went)] });
    await eventually(() => !pods.isOwnerLive("a", "u1"));
    assert.equal(pods.isOwnerLive("a", "u2"), true);
  });

  it("are counted anew by a new list", async () => {
    const pods = await start({
      lists: [
        list(7, [pod("a", "p", 7, "u1"), pod("a", "q", 7, "u2")]),
        list(90, [pod("a", "q", 90, "u2"), pod("a", "r", 90, "u3")]),
      ],
      watches: [status(410), hold(event("DELETED", pod("a", "q", 91, "u2")), event("ADDED", pod("a", "s", 92, "u4")))],
    });
    await eventually(() => api.watches.length === 2 && !pods.isOwnerLive("a", "u2"));
    assert.equal(pods.isOwnerLive("a", "u1"), false);
    assert.equal(pods.isOwnerLive("a", "u3"), true);
  });

  it("count for the controlling owner, and for no other", async () => {
    const pods = await start({ lists: [list(7, [pod("a", "p", 7, "u1", "u2"), pod("a", "q", 7)])], watches: [hold()] });
    await eventually(pods.current);
    assert.deepEqual([pods.isOwnerLive("a", "u1"), pods.isOwnerLive("a", "u2")], [false, true]);
    assert.equal(pods.isOwnerLive("a", ""), false);
  });

  it("count for the revision that they are of", async () => {
    const one = pod("a", "p", 7, "u1");
    const labelled = { ...one, metadata: { ...one.metadata, labels: { "controller-revision-hash": "web-1" } } };
    const pods = await start({ lists: [list(7, [labelled])], watches: [hold()] });
    await eventually(pods.current);
    assert.deepEqual([pods.isOwnerLive("a", "u1"), pods.isOwnerLive("a", "u1/web-1")], [false, true]);
  });

  it("are held by a short form of whatever their author called their owner", async () => {
    const uid = `${"x".repeat(100_000)}\n`;
    const pods = await start({ lists: [list(7, [pod("a", "p", 7, uid)])], watches: [hold()] });
    await eventually(pods.current);
    assert.match(ownerIdOf(uid), /^sha256:[a-f0-9]{64}$/);
    assert.equal(pods.isOwnerLive("a", ownerIdOf(uid)), true);
    assert.equal(pods.isOwnerLive("a", uid), false);
  });

  it("take owners of another shape for no list", async () => {
    await start({ lists: [list(7, [pod("a", "p", 7, 5)]), list(7, [])], watches: [hold()] });
    await eventually(() => api.watches.length === 1);
    assert.deepEqual(interruptions, ["Malformed"]);
  });

  it("leave every owner alive before they are listed, and when nobody confirmed them for too long", async () => {
    const pods = await start({ lists: [status(500)] });
    assert.equal(pods.current(), false);
    assert.equal(pods.isOwnerLive("a", "u1"), true);
    await cache?.close();
    api.close();
    const stale = await start({ lists: [list(7, []), status(500)], watches: [status(500)] }, { ...quick, staleMs: 50 });
    await eventually(() => stale.synced() && !stale.current());
    assert.equal(stale.isOwnerLive("a", "u1"), true);
  });
});

describe("rollouts", () => {
  it("are their owner's, and its revision's where it has several", () => {
    assert.equal(rolloutOf("u", undefined), "u");
    assert.equal(rolloutOf("u", { "pod-template-hash": "x" }), "u");
    assert.equal(rolloutOf("u", { "controller-revision-hash": "web-1" }), "u/web-1");
    assert.equal(rolloutOf("", { "controller-revision-hash": "web-1" }), "", "nobody's pod is in no rollout");
  });
});

describe("owner ids", () => {
  it("are UIDs as they are, and hashes of what is no UID", () => {
    const uid = "0f3cbd8e-6f0c-4d1c-9d66-2c8e4f7f3a11";
    assert.equal(ownerIdOf(uid), uid);
    for (const text of ["", "a b", "a\n", "ü", "x".repeat(129)]) assert.match(ownerIdOf(text), /^sha256:[a-f0-9]{64}$/);
  });

  it("are different for a text and for the text that looks like its hash", () => {
    const id = ownerIdOf("a b");
    assert.notEqual(ownerIdOf(id), id);
  });
});
