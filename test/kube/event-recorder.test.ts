import assert from "node:assert/strict";
import type { Write } from "../../src/kube/api-server.ts";
import { KubeError, type KubeErrorCode } from "../../src/kube/error.ts";
import type { EventContent } from "../../src/kube/event.ts";
import {
  type EventDrop,
  EventRecorder,
  RECORDER_SETTINGS,
  type RecorderSettings,
  type Telling,
} from "../../src/kube/event-recorder.ts";

interface Waiter {
  readonly at: number;
  readonly resolve: () => void;
}

/** A recorder whose time passes only when a test says so, on an API server that answers as the test says. */
class Stage {
  readonly writes: Write[] = [];
  readonly drops: EventDrop[] = [];
  readonly recorder: EventRecorder;
  /** What becomes of the next writes; after them, they succeed. */
  failures: KubeErrorCode[] = [];
  hanging = false;
  /** Not 0, which the cache takes for "never". */
  #now = 1_000;
  #waiters: Waiter[] = [];
  #names = 0;

  constructor(settings: Partial<RecorderSettings> = {}) {
    this.recorder = new EventRecorder({
      server: { write: (write, signal) => this.#answer(write, signal) },
      reporter: { controller: "wasmount.dev/webhook", instance: "test" },
      dropped: reason => this.drops.push(reason),
      settings: { ...RECORDER_SETTINGS, ...settings },
      monotonic: () => this.#now,
      wall: () => this.#now,
      random: () => 0.5,
      uniqueSuffix: () => {
        this.#names += 1;
        return String(this.#names);
      },
      sleep: (milliseconds, signal) => this.#sleep(milliseconds, signal),
    });
  }

  record(note: string, name = "shop", namespace = "web", telling: Telling = {}): void {
    const regarding = { apiVersion: "apps/v1", kind: "ReplicaSet", name, namespace, uid: name };
    const content: EventContent = { regarding, type: "Warning", reason: "BadValue", action: "Deny", note };
    this.recorder.record(content, telling);
  }

  /** Lets time pass, in steps, and everything happen that is due in it. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settled();
    for (;;) {
      const due = this.#waiters.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      this.#waiters = this.#waiters.filter(waiter => waiter !== due);
      due.resolve();
      await settled();
    }
    this.#now = end;
  }

  of(method: Write["method"]): Write[] {
    return this.writes.filter(write => write.method === method);
  }

  async #answer(write: Write, signal: AbortSignal): Promise<unknown> {
    if (this.hanging) {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    }
    this.writes.push(write);
    const failure = this.failures.shift();
    if (failure !== undefined) throw new KubeError(failure, failure);
    return {};
  }

  #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      this.#waiters.push({ at: this.#now + milliseconds, resolve });
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  }
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 5; turns += 1) await new Promise(resolve => setImmediate(resolve));
}

const HOUR = 3_600_000;

describe("event recorder", () => {
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage();
  });

  afterEach(async () => {
    const closing = stage.recorder.close();
    await stage.pass(HOUR);
    await closing;
  });

  it("writes an Event once it has returned", async () => {
    stage.record("why");
    assert.deepEqual(stage.writes, [], "whoever records does not wait");
    await stage.pass(0);
    assert.deepEqual(
      stage.writes.map(({ method, path }) => [method, path]),
      [["POST", "/apis/events.k8s.io/v1/namespaces/web/events"]],
    );
  });

  it("makes one Event of a crash-looping workload's thousands, and counts", async () => {
    for (let pods = 0; pods < 10_000; pods += 1) {
      stage.record("why");
      await (pods % 100 === 0 && stage.pass(600));
    }
    await stage.pass(60_000);
    assert.equal(stage.of("POST").length, 1);
    const counts = stage.of("PATCH").map(({ body }) => (body as { series: { count: number } }).series.count);
    assert.ok(counts.length > 0 && counts.length <= 4, `${counts.length} counts in two minutes`);
    assert.equal(counts.at(-1), 10_000);
    assert.deepEqual(stage.drops, []);
    assert.equal(stage.of("PATCH")[0]?.path, "/apis/events.k8s.io/v1/namespaces/web/events/shop.1");
    assert.equal(stage.of("PATCH")[0]?.contentType, "application/merge-patch+json");
  });

  it("limits what is told about one object", async () => {
    for (let note = 0; note < 1_000; note += 1) stage.record(`note ${note}`);
    await stage.pass(1_000);
    assert.equal(stage.of("POST").length, 25);
    assert.deepEqual(new Set(stage.drops), new Set(["RateLimited"]));
    assert.equal(stage.drops.length, 975);
    await stage.pass(300_000);
    stage.record("later");
    await stage.pass(0);
    assert.equal(stage.of("POST").length, 26, "five minutes later there is room for one");
  });

  it("limits what is told in one namespace, and leaves room for others", async () => {
    for (let name = 0; name < 1_000; name += 1) stage.record("why", `made-up-${name}`);
    stage.record("why", "shop", "elsewhere");
    await stage.pass(500);
    const paths = stage.of("POST").map(({ path }) => path.split("/")[5]);
    assert.deepEqual([paths.filter(name => name === "web").length, paths.includes("elsewhere")], [100, true]);
  });

  it("limits what is told in all", async () => {
    for (let namespace = 0; namespace < 1_000; namespace += 1) stage.record("why", "shop", `n${namespace}`);
    await stage.pass(20);
    assert.equal(stage.of("POST").length, 500);
    assert.equal(stage.drops.length, 500);
  });

  it("holds a bounded number while the API server does not answer", async () => {
    await stage.recorder.close();
    stage = new Stage({ queue: 10 });
    stage.hanging = true;
    for (let name = 0; name < 50; name += 1) stage.record("why", `shop-${name}`);
    await stage.pass(0);
    assert.equal(stage.drops.filter(drop => drop === "QueueFull").length, 40);
  });

  it("tries again where the API server is away or asks for patience, and then gives up", async () => {
    stage.failures = ["Unreachable", "TooManyRequests"];
    stage.record("why");
    await stage.pass(10_000);
    assert.equal(stage.of("POST").length, 3);
    assert.deepEqual(stage.drops, []);
    const { attempts } = RECORDER_SETTINGS;
    stage.failures = Array(attempts).fill("Unreachable");
    stage.record("again");
    await stage.pass(100_000);
    assert.deepEqual(stage.drops, [], "it is tried for longer than an API server takes to get over a lost store");
    await stage.pass(100_000);
    assert.deepEqual(stage.drops, ["Unreachable"]);
    stage.record("again");
    await stage.pass(1_000);
    assert.equal(stage.of("POST").length, 3 + attempts + 1, "what was given up is told when it happens again");
  });

  it("writes others while it waits to try one again", async () => {
    stage.failures = ["Unreachable", "Unreachable"];
    stage.record("why");
    await stage.pass(600);
    stage.record("why", "other");
    await stage.pass(0);
    const names = stage.of("POST").map(({ body }) => (body as { regarding: { name: string } }).regarding.name);
    assert.deepEqual(names, ["shop", "shop", "other"]);
    await stage.pass(60_000);
    assert.equal(stage.of("POST").length, 4);
    assert.deepEqual(stage.drops, []);
  });

  it("gives up at once what is refused", async () => {
    stage.failures = ["Refused"];
    stage.record("why");
    await stage.pass(60_000);
    assert.equal(stage.writes.length, 1);
    assert.deepEqual(stage.drops, ["Refused"]);
  });

  it("begins anew where its Event has ended meanwhile", async () => {
    stage.record("why");
    await stage.pass(0);
    stage.failures = ["NotFound"];
    stage.record("why");
    await stage.pass(60_000);
    assert.deepEqual(
      stage.writes.map(({ method }) => method),
      ["POST", "PATCH", "POST"],
    );
  });

  it("takes an Event that is there under the name it is to have for its own, and counts on from what is known", async () => {
    stage.record("why", "shop", "web", { suffix: "abc", count: 7 });
    stage.failures = ["Conflict"];
    await stage.pass(60_000);
    const [post, patch] = stage.writes;
    const name = "/apis/events.k8s.io/v1/namespaces/web/events/shop.abc";
    assert.match(JSON.stringify(post?.body), /"name":"shop\.abc"/);
    assert.deepEqual([patch?.method, patch?.path], ["PATCH", name]);
    assert.match(JSON.stringify(patch?.body), /"count":7,/);
    stage.record("why", "shop", "web", { suffix: "abc", count: 9 });
    await stage.pass(60_000);
    assert.match(JSON.stringify(stage.writes[2]?.body), /"count":9,/);
    assert.deepEqual([stage.writes.length, stage.drops.length], [3, 0]);
  });

  it("writes one that is told once, and was told before, no second time", async () => {
    stage.record("why", "shop", "web", { suffix: "abc" });
    stage.failures = ["Conflict"];
    await stage.pass(60_000);
    assert.equal(stage.writes.length, 1);
    assert.deepEqual(stage.drops, []);
  });

  it("begins anew what happens again much later", async () => {
    stage.record("why");
    await stage.pass(HOUR);
    stage.record("why");
    await stage.pass(0);
    assert.equal(stage.of("POST").length, 2);
  });

  it("writes what waits before it ends, and records nothing afterwards", async () => {
    stage.record("one");
    stage.record("two", "other");
    const closing = stage.recorder.close();
    stage.record("three", "third");
    await stage.pass(0);
    await closing;
    assert.equal(stage.of("POST").length, 2);
  });

  it("ends in bounded time whatever the API server does", async () => {
    stage.hanging = true;
    stage.record("one");
    stage.record("two", "other");
    const closing = stage.recorder.close();
    await stage.pass(RECORDER_SETTINGS.flushMs);
    await closing;
    assert.deepEqual(stage.drops, ["Unreachable", "Unreachable"]);
  });
});
