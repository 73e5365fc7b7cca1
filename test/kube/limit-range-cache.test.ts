import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { Deadline } from "../../src/kube/deadline.ts";
import {
  LIMIT_RANGE_CACHE_SETTINGS,
  type LimitRangeCache,
  type LimitRangeCacheSettings,
  limitRangeCache,
} from "../../src/kube/limit-range-cache.ts";
import { type Answer, event, hold, list, type Script, ScriptedApi, status, untilTrue } from "./scripted-api.ts";

const metadata = (namespace: string, name: string, version: number) => ({
  kind: "PartialObjectMetadata",
  metadata: { name, namespace, resourceVersion: String(version) },
});

/** The LimitRanges of a namespace, whole: one that allows so much memory. */
const limits =
  (memory: string): Answer =>
  response =>
    response.end(
      JSON.stringify({
        kind: "LimitRangeList",
        items: [{ metadata: { name: "most" }, spec: { limits: [{ type: "Container", max: { memory } }] } }],
      }),
    );

describe("LimitRanges held current", function () {
  this.timeout(60_000);
  const quick: LimitRangeCacheSettings = {
    ...LIMIT_RANGE_CACHE_SETTINGS,
    // No test waits for it to pass: it is for ever, or over at once.
    staleMs: Infinity,
    readMs: 30_000,
    steadyMs: 1_000_000,
    backoff: { baseMs: 10, maxMs: 40 },
  };
  let api: ScriptedApi;
  let cache: LimitRangeCache;

  afterEach(async () => {
    await cache.close();
    api.close();
  });

  async function start(script: Script, settings = quick): Promise<void> {
    api = new ScriptedApi("/api/v1/limitranges", script);
    cache = limitRangeCache(await api.open(), () => {}, settings);
  }

  const eventually = (holds: () => boolean | Promise<boolean>) =>
    untilTrue(holds, () => `${api.lists.length} lists, ${api.watches.length} watches, ${api.reads.length} reads`);
  const most = async (namespace: string) => (await cache.limitsOf(namespace)).map(({ max }) => max["memory"]);
  /** A namespace without LimitRanges is answered without a read once the watch is open. */
  async function watching(): Promise<void> {
    await eventually(async () => {
      const before = api.reads.length;
      await cache.limitsOf("none").catch(() => {});
      return api.reads.length === before;
    });
  }

  it("are read once for each version, and not at all where there are none", async () => {
    let watch: ServerResponse | undefined;
    await start({
      lists: [list(7, [metadata("shop", "most", 7)])],
      watches: [
        response => {
          watch = response;
          hold()(response, new URL("http://api"));
        },
      ],
      reads: [limits("1Gi"), limits("2Gi")],
    });
    await watching();
    const before = api.reads.length;
    assert.deepEqual(await most("none"), []);
    assert.equal(api.reads.length, before);
    assert.equal((await most("shop")).length, 1);
    const read = api.reads.length;
    await most("shop");
    assert.equal(api.reads.length, read, "from memory");
    watch?.write(event("MODIFIED", metadata("shop", "most", 8)));
    await eventually(async () => (await most("shop"))[0] === "2Gi");
  });

  it("are read once for all who ask at the same time", async () => {
    const waiting: ServerResponse[] = [];
    await start({ lists: [list(7, [metadata("shop", "most", 7)])], watches: [hold()], reads: [r => waiting.push(r)] });
    await eventually(() => cache.synced());
    const answers = [most("shop"), most("shop"), most("shop")];
    await eventually(() => waiting.length > 0);
    for (const response of waiting) limits("1Gi")(response, new URL("http://api"));
    assert.deepEqual(await Promise.all(answers), [["1Gi"], ["1Gi"], ["1Gi"]]);
    assert.equal(api.reads.length, 1);
  });

  it("are told from memory, as long as that is recent, while the API server answers 500", async () => {
    let watch: ServerResponse | undefined;
    await start({
      lists: [list(7, [metadata("shop", "most", 7)]), status(500)],
      watches: [
        response => {
          watch = response;
          hold()(response, new URL("http://api"));
        },
        status(500),
      ],
      reads: [limits("1Gi"), status(500)],
    });
    await eventually(() => watch !== undefined);
    assert.deepEqual(await most("shop"), ["1Gi"]);
    watch?.destroy();
    await eventually(() => api.watches.length > 1);
    assert.deepEqual(await most("shop"), ["1Gi"]);
    assert.deepEqual(await most("none"), [], "the last list had none");
    assert.equal(cache.notReady(), null);
  });

  it("are told as they were before a change that can't be read", async () => {
    let watch: ServerResponse | undefined;
    await start({
      lists: [list(7, [metadata("shop", "most", 7)])],
      watches: [
        response => {
          watch = response;
          hold()(response, new URL("http://api"));
        },
      ],
      reads: [limits("1Gi"), status(500)],
    });
    await eventually(() => watch !== undefined);
    assert.deepEqual(await most("shop"), ["1Gi"]);
    watch?.write(event("MODIFIED", metadata("shop", "most", 8)));
    await eventually(async () => {
      const before = api.reads.length;
      assert.deepEqual(await most("shop"), ["1Gi"]);
      return api.reads.length > before;
    });
  });

  it("can't be told, and the replica is not ready, once what is held is too old", async () => {
    await start(
      { lists: [list(7, [metadata("shop", "most", 7)])], watches: [hold()], reads: [limits("1Gi"), status(500)] },
      { ...quick, staleMs: -1 },
    );
    assert.match(cache.notReady() ?? "", /LimitRanges are not listed yet/);
    await eventually(() => cache.synced());
    assert.match(cache.notReady() ?? "", /no word about LimitRanges from the API server for \d+ s/);
    assert.deepEqual(await most("shop"), ["1Gi"]);
    await assert.rejects(most("shop"), /can't read the LimitRanges of namespace shop: HTTP 500/);
    await assert.rejects(most("none"), /namespace none: HTTP 500/);
  });

  it("are not waited for beyond the caller's deadline", async () => {
    await start({ lists: [r => r.flushHeaders()], reads: [() => {}] });
    await assert.rejects(cache.limitsOf("shop", new Deadline(10)), {
      code: "Deadline",
      message: "no time left for reading the LimitRanges of namespace shop: 10 ms are over",
    });
  });
});
