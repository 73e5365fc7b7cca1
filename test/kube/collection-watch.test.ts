import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { apiServer } from "../../src/kube/api-server.ts";
import { CollectionWatch, type Interruption } from "../../src/kube/collection-watch.ts";
import {
  NAMESPACE_CACHE_SETTINGS,
  type NamespaceCache,
  type NamespaceCacheSettings,
  namespaceCache,
} from "../../src/kube/namespace-cache.ts";
import { metadataKind } from "../../src/kube/object-metadata.ts";
import {
  type Answer,
  cut,
  event,
  hold,
  list as listOf,
  type Script,
  ScriptedApi,
  status,
  untilTrue,
} from "./scripted-api.ts";

const PATH = "/api/v1/namespaces";

const object = (name: string, version: number, labels = {}) => ({
  kind: "PartialObjectMetadata",
  metadata: { name, resourceVersion: String(version), labels, annotations: { "wasmount.dev/a": "1", other: "2" } },
});
const list = (version: number, names: readonly string[], next = "") =>
  listOf(
    version,
    names.map(name => object(name, version)),
    next,
  );

describe("namespaces watched on an API server that misbehaves", function () {
  this.timeout(60_000);
  const quick: NamespaceCacheSettings = {
    ...NAMESPACE_CACHE_SETTINGS,
    backoff: { baseMs: 10, maxMs: 40 },
    steadyMs: 1_000_000,
  };
  let api: ScriptedApi;
  let cache: NamespaceCache | undefined;
  let interruptions: Interruption[];

  beforeEach(() => {
    interruptions = [];
  });

  afterEach(async () => {
    await cache?.close();
    cache = undefined;
    api.close();
  });

  async function start(script: Script, settings: NamespaceCacheSettings = quick): Promise<NamespaceCache> {
    api = new ScriptedApi(PATH, script);
    cache = namespaceCache(await api.open(), {
      keep: key => key.startsWith("wasmount.dev/"),
      interrupted: reason => interruptions.push(reason),
      settings,
    });
    return cache;
  }

  const eventually = (holds: () => boolean | Promise<boolean>) =>
    untilTrue(holds, () => `interruptions: ${interruptions.join(", ")}; ${api.asked.length} calls`);
  const watches = () => api.watches;
  const lists = () => api.lists;
  const label = async (source: NamespaceCache, name: string) => (await source.get(name))?.labels["seen"];

  it("reads all pages before it is ready, and goes on from the list's version", async () => {
    const pages: Answer = (response, url) =>
      url.searchParams.get("continue") === "more"
        ? list(7, ["b"])(response, url)
        : list(7, ["a"], "more")(response, url);
    const source = await start({ lists: [pages], watches: [hold()] });
    assert.match(source.notReady() ?? "", /not listed yet/);
    // That a watch was asked for does not mean that its answer is read: until then, get() asks for what is not there.
    await eventually(async () => (await source.get("b")) !== null);
    assert.equal(source.notReady(), null);
    assert.deepEqual((await source.get("b"))?.annotations, { "wasmount.dev/a": "1" });
    assert.equal(watches()[0]?.searchParams.get("resourceVersion"), "7");
    assert.equal(watches()[0]?.searchParams.get("allowWatchBookmarks"), "true");
  });

  it("goes on after a connection cut in the middle of a line, from the last whole event", async () => {
    const half = event("MODIFIED", object("a", 9, { seen: "half" })).slice(0, -20);
    const source = await start({
      lists: [list(7, ["a"])],
      watches: [
        cut(event("MODIFIED", object("a", 8, { seen: "whole" })), half),
        hold(event("MODIFIED", object("a", 9, { seen: "again" }))),
      ],
    });
    await eventually(async () => (await label(source, "a").catch(() => "")) === "again");
    assert.deepEqual(
      watches().map(url => url.searchParams.get("resourceVersion")),
      ["7", "8"],
    );
    assert.deepEqual(interruptions, ["Unreachable"]);
    assert.equal(lists().length, 1);
  });

  it("goes on from a bookmark", async () => {
    const bookmark = event("BOOKMARK", { metadata: { resourceVersion: "50" } });
    await start({ lists: [list(7, ["a"])], watches: [cut(bookmark), hold()] });
    await eventually(() => watches().length === 2);
    assert.equal(watches()[1]?.searchParams.get("resourceVersion"), "50");
  });

  for (const [how, gone] of [
    ["an answer", status(410)],
    ["an event", cut(event("ERROR", { kind: "Status", code: 410 }))],
  ] as const) {
    it(`lists anew after 410 as ${how}, and forgets what was deleted meanwhile`, async () => {
      const source = await start({
        lists: [list(7, ["a", "b"]), list(90, ["a"])],
        watches: [gone, hold()],
        reads: [status(404)],
      });
      await eventually(() => watches().length === 2);
      assert.deepEqual(interruptions, ["Gone"]);
      assert.equal(watches()[1]?.searchParams.get("resourceVersion"), "90");
      assert.equal(await source.get("b"), null);
    });
  }

  it("forgets a deleted namespace", async () => {
    const source = await start({
      lists: [list(7, ["a", "b"])],
      watches: [
        hold(event("DELETED", object("b", 8)), event("MODIFIED", object("a", 9, { seen: "after the deletion" }))),
      ],
      reads: [status(404)],
    });
    await eventually(async () => (await label(source, "a")) === "after the deletion");
    assert.equal(await source.get("b"), null);
  });

  it("gives up a line without an end, and lists anew", async () => {
    const endless: Answer = response => {
      response.flushHeaders();
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(1000)));
        if (!response.destroyed) response.once("drain", more);
      };
      more();
    };
    await start({ lists: [list(7, ["a"])], watches: [endless, hold()] }, { ...quick, eventBytes: 10_000 });
    await eventually(() => watches().length === 2);
    assert.deepEqual(interruptions, ["TooLarge"]);
    assert.equal(lists().length, 2);
  });

  for (const [what, line] of [
    ["no JSON", "{]\n"],
    ["no event", "[]\n"],
    ["an unknown type", event("SHOUTED", object("a", 8))],
    ["a label that is no text", event("MODIFIED", { metadata: { name: "a", resourceVersion: "8", labels: { l: 1 } } })],
    ["version 0", event("BOOKMARK", { metadata: { resourceVersion: "0" } })],
  ] as const) {
    it(`takes ${what} for no event, and lists anew`, async () => {
      await start({ lists: [list(7, ["a"])], watches: [hold(line), hold()] });
      await eventually(() => watches().length === 2);
      assert.deepEqual(interruptions, ["Malformed"]);
      assert.equal(lists().length, 2);
    });
  }

  it("refuses more namespaces than it may hold, whole list or event", async () => {
    const source = await start(
      { lists: [list(7, ["a", "b", "c"]), list(8, ["a", "b"])], watches: [hold(event("ADDED", object("c", 9)))] },
      { ...quick, items: 2 },
    );
    await eventually(() => interruptions.length === 2);
    assert.deepEqual(interruptions, ["TooLarge", "TooLarge"]);
    assert.equal(source.synced(), true);
  });

  it("replaces a watch that says nothing", async () => {
    await start({ lists: [list(7, ["a"])], watches: [hold()] }, { ...quick, silenceMs: 30 });
    await eventually(() => watches().length >= 3);
    assert.equal(interruptions[0], "Silent");
  });

  it("does not wait for an answer that never comes", async () => {
    await start({ lists: [hold(), list(7, ["a"])], watches: [() => {}, hold()] }, { ...quick, answerMs: 200 });
    await eventually(() => watches().length === 2);
    // On a busy machine an answer that does come may be too late as well, once or twice.
    assert.equal(interruptions[0], "Unreachable");
    assert.ok(interruptions.includes("Silent"), interruptions.join());
  });

  for (const [what, script] of [
    ["lists refused with 500", { lists: [status(500)] }],
    ["watches refused with 500", { lists: [list(7, ["a"])], watches: [status(500)] }],
    ["watches that end at once", { lists: [list(7, ["a"])], watches: [(response: ServerResponse) => response.end()] }],
    ["watches that are reset", { lists: [list(7, ["a"])], watches: [cut()] }],
    ["410 for ever", { lists: [list(7, ["a"])], watches: [status(410)] }],
  ] as const) {
    it(`makes no storm of ${what}`, async () => {
      api = new ScriptedApi(PATH, script);
      const waits: number[] = [];
      const watch = new CollectionWatch({
        server: apiServer(await api.open()),
        path: PATH,
        kind: metadataKind(() => true),
        interrupted: reason => interruptions.push(reason),
        settings: { ...quick, backoff: { baseMs: 100, maxMs: 1_000 } },
        now: () => performance.now(),
        random: () => 0,
        sleep: async (milliseconds, signal) => {
          waits.push(milliseconds);
          if (waits.length === 6) await new Promise(resolve => signal.addEventListener("abort", resolve));
        },
      });
      await eventually(() => waits.length === 6);
      await watch.close();
      assert.deepEqual(waits, [50, 100, 200, 400, 500, 500]);
      // A turn between two waits asks for a list and a watch at most.
      assert.ok(api.asked.length <= 12, String(api.asked.length));
    });
  }

  it("lists anew where a version keeps failing", async () => {
    await start({ lists: [list(7, ["a"]), list(3, ["a"])], watches: [status(500)] });
    await eventually(() => lists().length === 2);
    const second = api.asked.indexOf(lists()[1] as URL);
    assert.equal(api.asked.slice(0, second).length, 5, "a list, and four watches from its version");
  });

  it("reads directly what it does not hold, once for all who ask at a time", async () => {
    const slow: Answer = response => {
      setTimeout(() => response.end(JSON.stringify(object("new", 9))), 30);
    };
    const source = await start({ lists: [list(7, ["a"])], watches: [hold()], reads: [slow] });
    await eventually(() => watches().length === 1 && source.synced());
    const answers = await Promise.all([source.get("new"), source.get("new"), source.get("new")]);
    assert.deepEqual(
      answers.map(answer => answer?.name),
      ["new", "new", "new"],
    );
    assert.equal(api.reads.length, 1);
  });

  it("asks for no name that can't be a namespace's", async () => {
    const source = await start({ lists: [list(7, ["a"])], watches: [hold()] });
    for (const name of ["..", "a/b", "A", "", "a?watch=true"]) assert.equal(await source.get(name), null);
    assert.deepEqual(api.reads, []);
  });

  it("reads directly while no watch is open, and answers from what it holds where that fails", async () => {
    const newer: Answer = response => {
      response.end(JSON.stringify(object("a", 9, { seen: "direct" })));
    };
    const source = await start({
      lists: [list(7, ["a"])],
      watches: [status(500)],
      reads: [newer, status(500)],
    });
    await eventually(() => interruptions.length > 0);
    assert.equal(await label(source, "a"), "direct");
    assert.equal((await source.get("a"))?.name, "a");
  });

  it("is not ready and answers nothing from what nobody confirmed for too long", async () => {
    const source = await start(
      { lists: [list(7, ["a"]), status(500)], watches: [status(500)], reads: [status(500)] },
      { ...quick, staleMs: 50 },
    );
    await eventually(() => interruptions.length > 0 && source.synced() && source.notReady() !== null);
    assert.match(source.notReady() ?? "", /no word about namespaces .*\(last: Unreachable\)/);
    await assert.rejects(source.get("a"), { code: "Unreachable", message: /can't read namespace a: HTTP 500/ });
  });

  it("does not wait for a direct read longer than it may", async () => {
    const source = await start(
      { lists: [list(7, [])], watches: [hold()], reads: [() => {}] },
      { ...quick, readMs: 40 },
    );
    await assert.rejects(source.get("a"), { code: "Unreachable", message: /no answer within 40 ms/ });
  });

  it("ends all it does when it is closed", async () => {
    const source = await start({ lists: [list(7, ["a"])], watches: [hold()], reads: [() => {}] });
    await eventually(() => watches().length === 1);
    const reading = assert.rejects(source.get("b"), { code: "Unreachable" });
    await eventually(() => api.reads.length === 1);
    await source.close();
    await reading;
    await api.drained();
    assert.equal(watches().length, 1);
    assert.deepEqual(interruptions, []);
  });
});
