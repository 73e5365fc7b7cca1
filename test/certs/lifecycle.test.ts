import assert from "node:assert/strict";
import fc from "fast-check";
import { REGISTRATION_KINDS } from "../../src/certs/registrations.ts";
import { CERTIFICATE_TERMS, overlapMs } from "../../src/certs/terms.ts";
import { Simulation } from "./simulation.ts";

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.parse("2026-01-01T00:00:00Z");
/** Less than what a replica waits before it is ready, or changes. */
const LAG_MS = 4 * SECOND;
/** Random histories that are gone through. */
const RUNS = Number(process.env["WASMOUNT_LIFECYCLE_RUNS"] ?? 40);

function simulation(): Simulation {
  return new Simulation({ terms: CERTIFICATE_TERMS, lagMs: LAG_MS, now: START });
}

async function installed(replicas = 3): Promise<Simulation> {
  const running = simulation();
  for (const kind of REGISTRATION_KINDS) running.register(kind);
  for (let started = 0; started < replicas; started += 1) running.start();
  await running.settle();
  return running;
}

function assertServing(running: Simulation): void {
  assert.equal(running.violation(), null);
  for (const { name, reconciler } of running.replicas) {
    assert.equal(reconciler.notReady(), null, name);
    const [current] = bundle(running).split("\n");
    assert.equal(reconciler.leaf?.issuer.pem, `${current}\n`, name);
  }
}

/** The bundle of all entries, which is one. */
function bundle(running: Simulation): string {
  const all = REGISTRATION_KINDS.flatMap(kind => running.bundlesOf(kind));
  assert.equal(new Set(all).size, 1, "all entries trust the same");
  return all[0] ?? "";
}

const authorities = (running: Simulation) => bundle(running).trim().split("\n").length;

describe("certificates of replicas", () => {
  it("begin with one authority, whether registrations or replicas are there first", async () => {
    assertServing(await installed());
    const running = simulation();
    for (let started = 0; started < 3; started += 1) running.start();
    await running.settle();
    for (const { reconciler } of running.replicas) {
      assert.match(reconciler.notReady() ?? "", /MutatingWebhookConfiguration is missing/);
    }
    running.register("MutatingWebhookConfiguration");
    await running.settle();
    for (const { reconciler } of running.replicas) {
      assert.match(reconciler.notReady() ?? "", /ValidatingWebhookConfiguration is missing/);
    }
    running.register("ValidatingWebhookConfiguration");
    await running.settle();
    assertServing(running);
    assert.deepEqual(running.writes, ["Missing"]);
  });

  it("are renewed for ten years, each in time, with two authorities at most", async function () {
    this.timeout(60_000);
    const running = await installed();
    const end = START + 10 * 365 * DAY;
    const ends = new Set<number>();
    while (running.now < end) {
      running.now += 5 * DAY;
      assert.equal(running.violation(), null);
      for (const { reconciler } of running.replicas) {
        assert.ok((reconciler.leaf?.notAfter ?? 0) > running.now + 4 * DAY, "a leaf is renewed with days left");
        assert.ok((reconciler.authorityEnds ?? 0) > running.now + 100 * DAY, "an authority with months left");
        ends.add(reconciler.leaf?.notAfter ?? 0);
      }
      await running.settle();
      assertServing(running);
      assert.ok(authorities(running) <= 2);
    }
    const count = (reason: string) => running.writes.filter(written => written === reason).length;
    assert.deepEqual([count("Missing"), count("Due"), count("Over"), count("Dropped")], [1, 14, 14, 14]);
    assert.equal(running.writes.length, 43, "and nothing else was ever written");
    assert.ok(ends.size > 10 * 18);
  });

  it("keep a replaced authority until its last leaf has ended, and a day longer", async () => {
    const running = await installed();
    running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/rotate": "" });
    const replaced = running.now;
    await running.settle();
    assert.equal(authorities(running), 2);
    running.now = replaced + overlapMs(CERTIFICATE_TERMS) - HOUR;
    await running.settle();
    assert.equal(authorities(running), 2);
    running.now = replaced + overlapMs(CERTIFICATE_TERMS) + HOUR;
    await running.settle();
    assert.equal(authorities(running), 1);
    assert.equal(running.secret?.data["old-ca.crt"], undefined);
    assertServing(running);
  });

  it("recover after a machine, or all of them, slept for weeks or for years", async () => {
    for (const slept of [20 * DAY, 31 * DAY, 250 * DAY, 3 * 365 * DAY]) {
      const running = await installed();
      running.now += slept;
      await running.settle();
      assertServing(running);
    }
  });

  it("go on to be served while the API server is away, and are renewed when it is back", async () => {
    const running = await installed();
    running.isUp = false;
    for (let days = 0; days < 29; days += 1) {
      running.now += DAY;
      for (const replica of running.replicas) running.run(replica);
      while (running.waiting > 0) await running.proceed(0);
      assert.equal(running.violation(), null);
      for (const { reconciler } of running.replicas) assert.equal(reconciler.notReady(), null);
    }
    running.now += 2 * DAY;
    for (const { reconciler } of running.replicas) assert.match(reconciler.notReady() ?? "", /certificate ended/);
    running.isUp = true;
    await running.settle();
    assertServing(running);
  });

  for (const [harm, what] of Object.entries<(running: Simulation) => void>({
    "is deleted": running => {
      running.secret = null;
    },
    "is junk": running => running.putSecret({ "tls.crt": "junk", other: "junk" }),
    "is empty": running => running.putSecret({}),
    "holds a key of another authority": running =>
      running.putSecret({ ...running.secret?.data, "tls.key": "KEY ca77" }),
    "holds an authority that has ended": running =>
      running.putSecret({ "tls.crt": `AUTHORITY x 0 ${running.now - DAY}\n`, "tls.key": "KEY x" }),
    "holds an authority of the future": running =>
      running.putSecret({
        "tls.crt": `AUTHORITY x ${running.now + DAY} ${running.now + 9 * DAY}\n`,
        "tls.key": "KEY x",
      }),
    "holds somebody else's good authority": running =>
      running.putSecret({
        "tls.crt": `AUTHORITY x ${running.now - DAY} ${running.now + 900 * DAY}\n`,
        "tls.key": "KEY x",
      }),
  })) {
    it(`are believed all the while when the Secret ${harm}`, async () => {
      const running = await installed();
      what(running);
      const first = running.replicas[0]?.reconciler.leaf?.issuer.pem ?? "";
      await running.settle();
      assertServing(running);
      assert.ok(bundle(running).includes(first), "until the last leaf of before has ended");
      assert.notEqual(running.replicas[0]?.reconciler.leaf?.issuer.pem, first);
    });
  }

  it("are told to registrations that come again, or were given another bundle", async () => {
    const running = await installed();
    running.unregister("ValidatingWebhookConfiguration");
    await running.settle();
    for (const { reconciler } of running.replicas)
      assert.equal(reconciler.notReady(), null, "for the one that is left");
    for (const text of ["", "AUTHORITY gitops 0 9999999999999\n", "junk"]) {
      running.register("ValidatingWebhookConfiguration", text);
      await running.settle();
      assertServing(running);
    }
    assert.ok(bundle(running).includes("gitops"), "whoever it was may still serve a leaf of it");
  });

  it("forget replaced authorities at once where the Secret says that their time is over", async () => {
    const running = await installed();
    running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/rotate": "" });
    await running.settle();
    assert.equal(authorities(running), 2);
    running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/old-ca-until": "2026-01-01T00:00:00Z" });
    await running.settle();
    assert.equal(authorities(running), 1);
    assertServing(running);
  });

  it("trust nobody for longer than it takes, whatever the Secret says", async () => {
    const running = await installed();
    running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/rotate": "" });
    await running.settle();
    for (const until of ["2126-01-01T00:00:00Z", "for ever", ""]) {
      running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/old-ca-until": until });
      await running.settle();
      const written = Date.parse(running.secret?.annotations["wasmount.dev/old-ca-until"] ?? "");
      assert.ok(written <= running.now + overlapMs(CERTIFICATE_TERMS));
    }
  });

  it("do not suffer from a replica that was stopped in the middle of telling the registrations", async () => {
    const running = await installed(1);
    // Something to tell, so that the one that is stopped is about to.
    running.register("MutatingWebhookConfiguration", "junk");
    const stopped = running.start();
    running.run(stopped);
    await running.proceedUntil(stopped, "apply");
    running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/rotate": "" });
    await running.settle(stopped);
    assert.equal(running.violation(), null);
    assert.equal(running.writes.at(-1), "Requested");
    await running.proceed(0);
    assert.equal(running.violation(), null);
    await running.settle();
    assertServing(running);
  });

  it("outlive no authority that was replaced by a replica that was stopped while it made the next one", async () => {
    const running = await installed(2);
    const [slow, other] = running.replicas;
    if (slow === undefined || other === undefined) return assert.fail();
    running.putSecret(running.secret?.data ?? {}, { "wasmount.dev/rotate": "" });
    running.run(slow);
    await running.proceedUntil(slow, "work");
    running.now += 21 * DAY;
    // It renews its leaf by the old authority, and is stopped in turn.
    running.run(other);
    await running.proceedUntil(other, "write");
    await running.settle(other);
    assert.equal(slow.reconciler.leaf?.issuer.id === other.reconciler.leaf?.issuer.id, false);
    running.now += 20 * DAY;
    await running.settle(other);
    assert.equal(running.violation(), null, "the leaf of the one that is stopped is good for ten days more");
    await running.settle();
    assertServing(running);
  });

  it("are changed one after the other, however often another authority is asked for", async () => {
    const running = await installed();
    const [one] = running.replicas;
    for (let asked = 0; asked < 20; asked += 1) {
      running.putSecret(running.secret?.data ?? {}, { ...running.secret?.annotations, "wasmount.dev/rotate": "" });
      if (one) running.run(one);
      while (running.waiting > 0) await running.proceed(0);
      assert.equal(running.violation(), null);
    }
    assert.equal(running.writes.filter(reason => reason === "Requested").length, 1);
    await running.settle();
    assertServing(running);
  });

  const happenings = {
    proceed: (running: Simulation, which: number) => running.proceed(which),
    /** Much happens within a moment. */
    async burst(running: Simulation, which: number) {
      for (let calls = 0; calls < 40; calls += 1) {
        if (running.waiting === 0) for (const replica of running.replicas) running.run(replica);
        await running.proceed(which * 31 + calls * 7);
        assert.equal(running.violation(), null);
      }
    },
    crash: (running: Simulation, which: number) => running.crash(which),
    run(running: Simulation, which: number) {
      const replica = running.replicas[which % running.replicas.length];
      if (replica) running.run(replica);
    },
    pass(running: Simulation, milliseconds: number) {
      running.now += milliseconds;
    },
    rotate(running: Simulation) {
      running.putSecret(running.secret?.data ?? {}, { ...running.secret?.annotations, "wasmount.dev/rotate": "" });
    },
    delete(running: Simulation) {
      if (running.isHarmed()) running.secret = null;
    },
    junk(running: Simulation) {
      if (running.isHarmed()) running.putSecret({ "tls.crt": "junk" });
    },
    /** Puts back what the Secret was some versions ago; once: two of them may bring back an authority, and then an end of it that is past. */
    restore(running: Simulation, which: number) {
      const backup = running.secrets[which % running.secrets.length];
      if (backup && !running.isRestored) running.putSecret(backup.data, backup.annotations);
      running.isRestored = true;
    },
  };
  type Event = readonly [keyof typeof happenings, number];
  const some = (weight: number, event: Event[0], value = fc.nat(1_000) as fc.Arbitrary<number>) => ({
    weight,
    arbitrary: fc.tuple(fc.constant(event), value) as fc.Arbitrary<Event>,
  });
  const instants = fc.constantFrom(SECOND, 6 * SECOND, 31 * SECOND, 50 * SECOND);
  const times = fc.constantFrom(2 * MINUTE, HOUR, DAY, 11 * DAY, 25 * DAY);
  const events = fc.array(
    fc.oneof(
      some(40, "proceed"),
      some(15, "burst"),
      some(12, "run"),
      some(10, "pass", instants),
      some(2, "pass", times),
      some(3, "crash"),
      some(3, "rotate"),
      some(1, "delete"),
      some(1, "junk"),
      some(1, "restore"),
    ),
    { minLength: 40, maxLength: 150, size: "max" },
  );

  it("are believed by every API server at every moment, whatever order things happen in, and whoever crashes", async function () {
    this.timeout(RUNS * 2_000);
    const skews = fc.tuple(...[0, 1, 2].map(() => fc.integer({ min: -2 * MINUTE, max: 2 * MINUTE })));
    await fc.assert(
      fc.asyncProperty(events, skews, async (happening, clocks) => {
        const running = simulation();
        for (const kind of REGISTRATION_KINDS) running.register(kind);
        for (const skew of clocks) running.start(skew);
        await running.settle();
        for (const [event, value] of happening) {
          await happenings[event](running, value);
          assert.equal(running.violation(), null);
        }
        await running.settle();
        assertServing(running);
      }),
      { numRuns: RUNS },
    );
  });
});
