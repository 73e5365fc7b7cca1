import assert from "node:assert/strict";
import { KubeError } from "../../src/kube/error.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { COLLECTOR_SETTINGS, type CollectorSettings, PinCollector } from "../../src/pins/pin-collector.ts";
import { PinStore } from "../../src/pins/pin-store.ts";
import { PinnedTags } from "../../src/pins/pinned-tags.ts";
import { PIN_ANNOTATIONS, recordName } from "../../src/pins/record.ts";
import { MemoryApiServer } from "./memory-api-server.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const reference = parseReference("registry.example/a:1");
const never = new AbortController().signal;

describe("collection of pins", () => {
  let api: MemoryApiServer;
  let now: number;
  let live: Set<string>;
  let pins: PinnedTags;

  beforeEach(() => {
    api = new MemoryApiServer();
    now = Date.UTC(2026, 0, 1);
    live = new Set();
    pins = new PinnedTags({
      store: new PinStore(api, "wasmount-system"),
      resolver: { resolve: async () => ({ digest: `sha256:${"a".repeat(64)}` }) },
      clock: { wall: () => now, monotonic: () => now },
    });
  });

  const use = (owner: string, namespace = "shop") => pins.resolve(reference, { namespace, owner, dryRun: false });
  const nameOf = (owner: string, namespace = "shop") => recordName({ namespace, id: owner });
  const left = () => [...api.objects.keys()].sort();

  function collector(settings: Partial<CollectorSettings> = {}): PinCollector {
    return new PinCollector({
      server: api,
      namespace: "wasmount-system",
      isOwnerLive: (namespace, owner) => live.has(`${namespace}/${owner}`),
      now: () => now,
      settings: { ...COLLECTOR_SETTINGS, ...settings },
    });
  }

  it("deletes records whose owner had no pods for more than an hour, and no others", async () => {
    for (const owner of ["dead", "alive"]) await use(owner);
    await use("alive", "other");
    live.add("shop/alive");
    const collecting = collector();
    const none = { seen: 3, deleted: 0, strange: [], complete: true };
    assert.deepEqual(await collecting.run(never), none);
    now += HOUR;
    assert.deepEqual(await collecting.run(never), none);
    now += 1;
    assert.deepEqual(await collecting.run(never), { seen: 3, deleted: 2, strange: [], complete: true });
    assert.deepEqual(left(), [nameOf("alive")]);
  });

  it("counts the hour from when the last pod was seen to be gone, not from the last use", async () => {
    await use("u1");
    live.add("shop/u1");
    const collecting = collector();
    now += 10 * HOUR;
    await collecting.run(never);
    live.clear();
    now += MINUTE;
    assert.equal((await collecting.run(never)).deleted, 0);
    now += 59 * MINUTE;
    live.add("shop/u1");
    assert.equal((await collecting.run(never)).deleted, 0);
    live.clear();
    now += 2 * MINUTE;
    assert.equal((await collecting.run(never)).deleted, 0, "its pods came back in between");
    now += HOUR + 1;
    assert.equal((await collecting.run(never)).deleted, 1);
  });

  it("counts the hour from the last use where that is later", async () => {
    const collecting = collector();
    await use("u1");
    await collecting.run(never);
    now += 50 * MINUTE;
    await use("u1");
    now += 50 * MINUTE;
    assert.equal((await collecting.run(never)).deleted, 0);
    now += 11 * MINUTE;
    assert.equal((await collecting.run(never)).deleted, 1);
  });

  it("deletes nothing just after a start", async () => {
    await use("u1");
    now += 100 * HOUR;
    assert.equal((await collector().run(never)).deleted, 0);
  });

  it("leaves a record that is used while it is being deleted", async () => {
    await use("u1");
    const collecting = collector();
    await collecting.run(never);
    now += 2 * HOUR;
    api.disturb = async call => {
      if (!call.startsWith("DELETE ")) return;
      api.disturb = () => {};
      await use("u1");
    };
    assert.equal((await collecting.run(never)).deleted, 0);
    assert.deepEqual(left(), [nameOf("u1")]);
  });

  it("finds nothing wrong with a record that another replica deletes", async () => {
    await use("u1");
    const collecting = collector();
    await collecting.run(never);
    now += 2 * HOUR;
    api.disturb = call => {
      if (call.startsWith("DELETE ")) api.objects.delete(nameOf("u1"));
    };
    assert.deepEqual(await collecting.run(never), { seen: 1, deleted: 0, strange: [], complete: true });
  });

  it("names what is labelled as a record and is none, and leaves it", async () => {
    await use("u1");
    const spoilt = ["no owner", "no use", "another name"].map((what, index) => {
      const copy = api.existing(nameOf("u1"));
      copy.metadata.name = `strange-${index}`;
      if (what === "no owner") delete copy.metadata.annotations[PIN_ANNOTATIONS.owner];
      if (what === "no use") copy.metadata.annotations[PIN_ANNOTATIONS.used] = "yesterday";
      api.put(copy);
      return copy.metadata.name;
    });
    const collecting = collector();
    await collecting.run(never);
    now += 2 * HOUR;
    assert.deepEqual((await collecting.run(never)).strange, spoilt);
    assert.deepEqual(left(), spoilt);
  });

  it("does so much a run, and goes on from there in the next", async () => {
    const owners = Array.from({ length: 10 }, (_, index) => `u${index}`);
    for (const owner of owners) await use(owner);
    const collecting = collector({ pageItems: 2, pagesPerRun: 3, deletionsPerRun: 5 });
    assert.deepEqual(await collecting.run(never), { seen: 6, deleted: 0, strange: [], complete: false });
    assert.deepEqual(await collecting.run(never), { seen: 4, deleted: 0, strange: [], complete: true });
    now += HOUR + 1;
    const lists = () => api.calls.filter(call => call.includes("limit=2&")).length;
    const counted: number[] = [];
    while (api.objects.size > 0) {
      const listed = lists();
      counted.push((await collecting.run(never)).deleted);
      assert.ok(lists() - listed <= 3);
      assert.ok(counted.length < 10, "it does not get on");
    }
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      10,
    );
    assert.ok(Math.max(...counted) <= 5, counted.join());
  });

  it("looks again at a page of which it could not delete all", async () => {
    for (const owner of ["u1", "u2", "u3", "u4"]) await use(owner);
    const collecting = collector({ deletionsPerRun: 3 });
    await collecting.run(never);
    now += HOUR + 1;
    assert.deepEqual(await collecting.run(never), { seen: 4, deleted: 3, strange: [], complete: false });
    assert.deepEqual(await collecting.run(never), { seen: 1, deleted: 1, strange: [], complete: true });
  });

  it("gives a new hour to an owner that was seen with pods, however a pass goes", async () => {
    await use("u1");
    await use("u2");
    const [first, second] = ["u1", "u2"].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1)) as [string, string];
    const collecting = collector({ pageItems: 1, pagesPerRun: 1 });
    live.add(`shop/${second}`);
    await collecting.run(never);
    await collecting.run(never);
    now += 2 * HOUR;
    live.add(`shop/${first}`);
    await collecting.run(never);
    live.delete(`shop/${first}`);
    api.disturb = call => {
      if (!call.includes("continue=")) return;
      api.disturb = () => {};
      throw new KubeError("Gone", "HTTP 410");
    };
    assert.deepEqual(await collecting.run(never), { seen: 1, deleted: 0, strange: [], complete: false });
    assert.equal(api.objects.size, 2);
  });

  it("starts over where a list can't be continued any more", async () => {
    for (const owner of ["u1", "u2", "u3"]) await use(owner);
    const collecting = collector({ pageItems: 1, pagesPerRun: 2 });
    await collecting.run(never);
    api.disturb = call => {
      if (!call.includes("continue=")) return;
      api.disturb = () => {};
      throw new KubeError("Gone", "HTTP 410");
    };
    const again = { deleted: 0, strange: [] };
    assert.deepEqual(await collecting.run(never), { ...again, seen: 2, complete: false });
    assert.deepEqual(await collecting.run(never), { ...again, seen: 1, complete: true });
  });

  it("says where the API server can't be asked, and begins again", async () => {
    await use("u1");
    const collecting = collector();
    api.disturb = () => {
      throw new KubeError("Refused", "HTTP 403");
    };
    await assert.rejects(collecting.run(never), { code: "Refused" });
    api.disturb = () => {};
    assert.equal((await collecting.run(never)).seen, 1);
  });
});
