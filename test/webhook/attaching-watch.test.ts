import assert from "node:assert/strict";
import type { Interruption } from "../../src/kube/collection-watch.ts";
import { metadataKind, type ObjectMetadata } from "../../src/kube/object-metadata.ts";
import { type AttachingWatch, attachingWatch } from "../../src/webhook/attaching-watch.ts";
import { SLOT_SETTINGS } from "../../src/webhook/slot-watch.ts";
import {
  type Answer,
  cut,
  event,
  hold,
  list,
  type Script,
  ScriptedApi,
  status,
  untilTrue,
} from "../kube/scripted-api.ts";

const PATH = "/apis/mesh.example/v1/filters";
const NAME = "mesh/slot";

const object = {
  kind: "PartialObjectMetadata",
  metadata: { name: "slot", namespace: "mesh", resourceVersion: "1", labels: {}, annotations: {} },
};

describe("objects of a mesh that attach filters", function () {
  this.timeout(30_000);
  const settings = { ...SLOT_SETTINGS, backoff: { baseMs: 10, maxMs: 20 }, steadyMs: 1_000_000 };
  let api: ScriptedApi;
  let watch: AttachingWatch<ObjectMetadata> | undefined;
  let interruptions: Interruption[];

  afterEach(async () => {
    await watch?.close();
    watch = undefined;
    api.close();
  });

  async function start(script: Script): Promise<AttachingWatch<ObjectMetadata>> {
    interruptions = [];
    api = new ScriptedApi(PATH, script);
    watch = attachingWatch(await api.open(), {
      plural: "filters",
      path: PATH,
      kind: metadataKind(() => true),
      settings,
      interrupted: reason => interruptions.push(reason),
    });
    return watch;
  }

  const untilTold = (holds: () => boolean) => untilTrue(holds, () => `interruptions: ${interruptions.join(", ")}`);
  const times = (reason: Interruption) => interruptions.filter(one => one === reason).length;

  it("can't be told before the first answer, and are none where the API server knows no such kind", async () => {
    const early = await start({ lists: [() => {}] });
    assert.throws(() => early.get(NAME), { code: "Unreachable" });
    assert.match(early.notReady() ?? "", /not listed yet/);
    assert.equal(early.synced(), false);
    await early.close();
    api.close();
    const none = await start({ lists: [status(404)] });
    await untilTold(() => none.synced());
    assert.deepEqual(
      [none.get(NAME), none.isUnknown(), none.listed(), none.notReady()],
      [undefined, true, false, null],
    );
    assert.equal(none.contactSeconds(), null);
  });

  for (const [what, after] of [
    ["answers no more", status(503)],
    ["is silent", () => {}],
  ] as readonly [string, Answer][]) {
    it(`stay none where the API server ${what} after it knew no such kind`, async () => {
      const found = await start({ lists: [list(1, [object]), status(404), after], watches: [cut(), status(404)] });
      await untilTold(() => found.synced() && found.get(NAME) !== undefined);
      await untilTold(() => found.isUnknown());
      const asked = api.lists.length;
      await untilTold(() => api.lists.length > asked);
      for (let look = 0; look < 20; look += 1) {
        assert.equal(found.get(NAME), undefined);
        await new Promise(resolve => setTimeout(resolve, 10));
      }
    });
  }

  it("are those of the new definition where the old one is gone, whatever the old one's had", async () => {
    const found = await start({
      lists: [list(1, [object]), status(404), list(5, [])],
      watches: [cut(), status(404), hold()],
    });
    await untilTold(() => found.synced() && found.get(NAME) !== undefined);
    const seen: boolean[] = [];
    await untilTold(() => {
      const isThere = found.get(NAME) !== undefined;
      if (seen.at(-1) !== isThere) seen.push(isThere);
      return api.lists.length >= 3 && !found.isUnknown();
    });
    assert.deepEqual(seen, [true, false]);
  });

  it("are kept for one watch that is refused with 404 by a replica of the API server that lags", async () => {
    const found = await start({ lists: [list(1, [object])], watches: [cut(), status(404), hold()] });
    await untilTold(() => times("NotFound") === 1 && api.watches.length === 3);
    assert.equal(found.isUnknown(), false);
    assert.notEqual(found.get(NAME), undefined);
  });

  it("are told again as soon as they are listed", async () => {
    const found = await start({ lists: [status(404), list(1, [object])], watches: [hold(event("BOOKMARK", object))] });
    await untilTold(() => found.synced() && found.get(NAME) !== undefined);
    assert.equal(found.listed(), true);
  });
});
