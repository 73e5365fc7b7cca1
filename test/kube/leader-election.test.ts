import assert from "node:assert/strict";
import { Candidate, FakeClock, type Fate, LeaseServer } from "./lease-world.ts";

const LEASE = { leaseMs: 15_000, renewMs: 10_000 };

describe("an election by a Lease", () => {
  let clock: FakeClock;
  let server: LeaseServer;
  let candidates: Candidate[];

  beforeEach(() => {
    clock = new FakeClock();
    server = new LeaseServer(clock);
    candidates = [];
  });

  afterEach(async () => {
    const closing = Promise.all(candidates.map(({ election }) => election.close()));
    await clock.pass(60_000);
    await closing;
  });

  function join(name: string, ...more: [fate?: () => Fate, options?: { random?: () => number; skew?: number }]) {
    const [fate, options] = more;
    const candidate = new Candidate(name, clock, server.client(fate), options);
    candidates.push(candidate);
    return candidate;
  }

  const spec = () => server.lease?.["spec"] as Record<string, unknown>;

  it("is won by the first, who makes the Lease and goes on renewing it", async () => {
    const a = join("a");
    await clock.pass(100);
    const b = join("b");
    await clock.pass(120_000);
    assert.deepEqual([a.election.leading, b.election.leading], [true, false]);
    assert.deepEqual([a.working, b.working], [1, 0]);
    assert.equal(spec()["holderIdentity"], "a");
    assert.equal(spec()["leaseDurationSeconds"], 15);
    assert.match(String(spec()["renewTime"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    assert.deepEqual(a.events, ["began"]);
  });

  it("costs who does not lead one read every two seconds or more, and no write", async () => {
    join("a");
    await clock.pass(100);
    server.calls.length = 0;
    const calls: string[] = [];
    const quiet = server.client();
    candidates.push(
      new Candidate("b", clock, {
        open: (...args) => {
          calls.push("read");
          return quiet.open(...args);
        },
        write: (...args) => {
          calls.push("write");
          return quiet.write(...args);
        },
      }),
    );
    await clock.pass(60_000);
    assert.ok(calls.length <= 31 && calls.length >= 10, `${calls.length} calls in a minute`);
    assert.ok(!calls.includes("write"));
  });

  it("passes on at once from one who ends, whose work has ended by then", async () => {
    const a = join("a");
    await clock.pass(100);
    const b = join("b");
    await clock.pass(1_000);
    const closing = a.election.close();
    await clock.pass(10);
    await closing;
    assert.equal(a.working, 0);
    assert.equal(server.holder, "");
    await clock.pass(5_000);
    assert.ok(b.election.leading);
    assert.equal(spec()["leaseTransitions"], 1);
    assert.deepEqual(a.events, ["began", "ended: closed"]);
  });

  it("passes on after the Lease's time from one who vanishes", async () => {
    let gone = false;
    const a = join("a", () => ({ toMs: 1, fromMs: 1, lost: gone ? "call" : null }));
    await clock.pass(100);
    const b = join("b");
    await clock.pass(10_000);
    gone = true;
    await clock.pass(LEASE.renewMs + 1_000);
    assert.deepEqual([a.working, b.working], [0, 0], "the leader stops before another may begin");
    await clock.pass(LEASE.leaseMs);
    assert.deepEqual([a.election.leading, b.election.leading], [false, true]);
    gone = false;
    await clock.pass(60_000);
    assert.deepEqual([a.working, b.working], [0, 1], "who comes back waits");
  });

  it("is not held up by a wall clock that is years off", async () => {
    const a = join("a", undefined, { skew: 100_000 });
    await clock.pass(100);
    const b = join("b", undefined, { skew: -50_000 });
    await clock.pass(60_000);
    assert.deepEqual([a.working, b.working], [1, 0]);
  });

  it("stops a leader at once who finds the Lease in other hands", async () => {
    const a = join("a");
    await clock.pass(100);
    const { metadata } = server.lease as { metadata: Record<string, unknown> };
    server.lease = {
      ...server.lease,
      metadata: { ...metadata, resourceVersion: "900" },
      spec: { ...spec(), holderIdentity: "x" },
    };
    await clock.pass(2_100);
    assert.equal(a.working, 0);
    assert.deepEqual(a.events, ["began", "ended: another holds it"]);
  });

  it("goes on for a leader whose Lease somebody labelled", async () => {
    const a = join("a");
    await clock.pass(100);
    const { metadata } = server.lease as { metadata: Record<string, unknown> };
    server.lease = { ...server.lease, metadata: { ...metadata, labels: { team: "x" }, resourceVersion: "900" } };
    await clock.pass(30_000);
    assert.deepEqual(a.events, ["began"]);
    const kept = server.lease as { metadata: { labels?: object } };
    assert.deepEqual(kept.metadata.labels, { team: "x" });
  });

  it("goes on for a leader whose Lease was deleted, whoever looks first", async () => {
    const a = join("a");
    await clock.pass(100);
    const b = join("b");
    await clock.pass(10_000);
    for (let times = 0; times < 20; times += 1) {
      server.lease = null;
      await clock.pass(3_700, () => assert.equal(b.working, 0));
    }
    assert.deepEqual(a.events, ["began"]);
  });

  it("outlives answers that are lost: a leader finds its own name in the Lease", async () => {
    let calls = 0;
    const a = join("a", () => {
      calls += 1;
      return { toMs: 1, fromMs: 1, lost: calls % 7 === 0 ? "answer" : null };
    });
    await clock.pass(300_000);
    assert.equal(a.events.filter(event => event === "began").length, 1);
    assert.ok(a.election.leading);
  });

  it("asks less and less often while nobody answers, and leads soon after", async () => {
    let down = true;
    let calls = 0;
    const a = join("a", () => {
      calls += 1;
      return { toMs: 1, fromMs: 1, lost: down ? "call" : null };
    });
    await clock.pass(300_000);
    assert.ok(calls <= 20, `${calls} calls in five minutes`);
    down = false;
    await clock.pass(40_000);
    assert.ok(a.election.leading);
  });

  it("waits ten minutes, and no longer, for a Lease that claims to hold for years", async () => {
    server.lease = {
      metadata: { name: "wasmount-controller", resourceVersion: "7" },
      spec: { holderIdentity: "x", leaseDurationSeconds: 1_000_000_000 },
    };
    const a = join("a");
    await clock.pass(590_000);
    assert.equal(a.working, 0);
    await clock.pass(20_000);
    assert.equal(a.working, 1);
  });

  it("gives the Lease up when the work ends by itself, and takes it again later", async () => {
    const a = join("a");
    await clock.pass(100);
    a.finish();
    await clock.pass(10);
    assert.equal(server.holder, "");
    await clock.pass(10_000);
    assert.deepEqual(a.events, ["began", "ended: its work ended", "began"]);
  });

  /** Anything that can happen to calls, for a while each, and for each candidate on its own. */
  async function spells(seed: number): Promise<{ readonly most: number; readonly leaders: number }> {
    const random = generator(seed);
    const troubles = NAMES.map(() => 0);
    const join = (name: string, index: number) => {
      const fate = () => fateOf(random, troubles[index] ?? 0);
      return new Candidate(name, clock, server.client(fate), { random, skew: random() * 1e6 });
    };
    candidates = NAMES.map(join);
    let most = 0;
    const look = () => {
      most = Math.max(most, sumOf(candidates.map(({ working }) => working)));
    };
    for (let spell = 0; spell < 8; spell += 1) {
      for (const index of NAMES.keys()) troubles[index] = random() < 0.5 ? random() : 0;
      await clock.pass(5_000 + random() * 40_000, look);
    }
    troubles.fill(0);
    await clock.pass(90_000, look);
    return { most, leaders: candidates.filter(({ election }) => election.leading).length };
  }

  it("never has two leaders at work, whatever becomes of calls, and never stays without one", async function () {
    this.timeout(120_000);
    for (let seed = 1; seed <= 8; seed += 1) {
      clock = new FakeClock();
      server = new LeaseServer(clock);
      assert.deepEqual({ seed, ...(await spells(seed)) }, { seed, most: 1, leaders: 1 });
      const closing = Promise.all(candidates.map(({ election }) => election.close()));
      await clock.pass(60_000);
      await closing;
    }
    candidates = [];
  });
});

const NAMES = ["a", "b", "c"];

/** @param trouble from none, 0, to losing every call, 1 */
function fateOf(random: () => number, trouble: number): Fate {
  const slowest = trouble > 0 ? 4_000 : 50;
  const roll = random();
  const lost = roll < trouble ? (["call", "answer"] as const)[Math.floor(random() * 2)] : null;
  return { toMs: random() * slowest, fromMs: random() * slowest, lost: lost ?? null };
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
