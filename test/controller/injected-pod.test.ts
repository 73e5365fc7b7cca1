import assert from "node:assert/strict";
import fc from "fast-check";
import { Fleet } from "../../src/controller/fleet.ts";
import { eventsOf } from "../../src/controller/fleet-events.ts";
import { type InjectedPod, injectedPodKind } from "../../src/controller/injected-pod.ts";
import { planVouching } from "../../src/controller/vouched-plan.ts";
import { DIGESTS, environment, keys, type StoredPod, storedPod, summary, terminated } from "./pods.ts";

const kind = injectedPodKind(planVouching(() => keys));
const read = (pod: StoredPod) => kind.read(storedPod(pod));
const counts = (...pods: readonly InjectedPod[]) => {
  const fleet = new Fleet();
  for (const pod of pods) fleet.changed(undefined, pod);
  return fleet.counts;
};
const filters = (pod: StoredPod) => counts(read(pod)).filters;
const told = (pod: StoredPod) => eventsOf(read(pod)).map(({ content }) => `${content.reason}: ${content.note}`);

describe("an injected pod", () => {
  it("is held as little more than its plan and how its fetcher ended", () => {
    assert.deepEqual(read({ fetcher: { restartCount: 2, state: terminated(0, summary(DIGESTS)) } }), {
      name: "shop-1",
      namespace: "shop",
      resourceVersion: "",
      uid: "uid-shop-1",
      plan: {
        filters: [
          { name: "headers", digest: DIGESTS[0] },
          { name: "auth", digest: DIGESTS[1] },
        ],
      },
      done: false,
      state: "mounted",
      last: {
        run: 2,
        finishedAt: Date.parse("2026-01-02T03:04:05Z"),
        outcome: "Mounted",
        problem: "",
        inPlace: 2,
        bytes: 10,
        seconds: 0.5,
      },
    });
  });

  it("shares its plan with others of its owner", () => {
    assert.equal(read({ name: "one" }).plan, read({ name: "two" }).plan);
  });

  describe("is pending while its fetcher", () => {
    const pending: readonly [string, object | undefined][] = [
      ["waits for a node", undefined],
      ["waits for its image", { state: { waiting: { reason: "ImagePullBackOff" } } }],
      ["runs", { state: { running: {} } }],
      ["runs again after its node's restart", { state: { running: {} }, lastState: terminated(0), restartCount: 1 }],
    ];
    for (const [title, fetcher] of pending) {
      it(title, () => {
        assert.deepEqual(filters({ fetcher }), { wanted: 2, mounted: 0, failed: 0, pending: 2 });
      });
    }
  });

  describe("has failed while its fetcher", () => {
    const failed: readonly [string, object][] = [
      ["ended badly", { state: terminated(3) }],
      ["waits for another try", { state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: terminated(4) }],
      ["tries again", { state: { running: {} }, lastState: terminated(4) }],
      ["was killed", { state: { terminated: { exitCode: 137, reason: "OOMKilled" } } }],
    ];
    for (const [title, fetcher] of failed) {
      it(title, () => {
        assert.deepEqual(filters({ fetcher }), { wanted: 2, mounted: 0, failed: 2, pending: 0 });
      });
    }
  });

  it("is mounted once its fetcher ended well, whatever came before", () => {
    const all = { wanted: 2, mounted: 2, failed: 0, pending: 0 };
    assert.deepEqual(filters({ fetcher: { state: terminated(0) } }), all);
    assert.deepEqual(filters({ fetcher: { state: terminated(0, summary(DIGESTS)), lastState: terminated(3) } }), all);
  });

  it("differs where what is mounted is not what its plan names", () => {
    const half = { wanted: 2, mounted: 1, failed: 1, pending: 0 };
    const other = `sha256:${"c".repeat(64)}`;
    const missing = read({ fetcher: { state: terminated(0, summary([DIGESTS[0]])) } });
    const another = read({ fetcher: { state: terminated(0, summary([DIGESTS[0], other])) } });
    assert.deepEqual(counts(missing).filters, half);
    assert.deepEqual(counts(another).pods, { injected: 1, differing: 1, unverified: 0 });
    const open = `wasmount-fetch: Open: does nothing: auth (away)\n${summary([DIGESTS[0]])}`;
    assert.deepEqual(filters({ fetcher: { state: terminated(0, open) } }), half);
    // Nothing says which: none may be taken for mounted.
    const cut = "wasmount-fetch: Open: does nothing: auth (away)";
    assert.deepEqual(filters({ fetcher: { state: terminated(0, cut) } }), { ...half, mounted: 0, failed: 2 });
    const noop = { state: terminated(0, summary(DIGESTS, "none")) };
    assert.deepEqual(filters({ fetcher: noop }), { ...half, mounted: 0, failed: 2 });
  });

  it("counts no more once all its containers have ended", () => {
    for (const phase of ["Succeeded", "Failed"]) {
      const none = { wanted: 0, mounted: 0, failed: 0, pending: 0 };
      assert.deepEqual(filters({ phase, fetcher: { state: terminated(0) } }), none);
    }
  });

  describe("is nobody's that wasmount knows of", () => {
    const strangers: readonly [string, StoredPod][] = [
      ["without a plan", { env: [] }],
      ["without an environment", { env: null }],
      ["with a plan that nobody signed", { env: environment({ signed: false }) }],
      ["with a plan of another owner", { owner: "rs-2" }],
      ["with a plan of another namespace", { env: environment({ namespace: "other" }) }],
      [
        "with a plan that was changed",
        { env: [{ name: "WASMOUNT_PLAN_0", value: "eA==" }, ...environment().slice(1)] },
      ],
      ["with a value from elsewhere", { env: environment().map(({ name }) => ({ name, valueFrom: {} })) }],
    ];
    for (const [title, pod] of strangers) {
      it(title, () => {
        const found = read({ ...pod, fetcher: { state: terminated(3, "wasmount-fetch: Evil: text") } });
        assert.equal(found.plan, null);
        assert.deepEqual(eventsOf(found), []);
        assert.deepEqual(counts(found), {
          filters: { wanted: 0, mounted: 0, failed: 0, pending: 0 },
          pods: { injected: 0, differing: 0, unverified: 1 },
        });
      });
    }
  });

  it("needs no signature where plans are not signed", () => {
    const unsigned = injectedPodKind(planVouching(() => new Map()));
    assert.equal(unsigned.read(storedPod({ env: environment({ signed: false }) })).plan?.filters.length, 2);
  });

  it("needs a plan for its namespace also where plans are not signed", () => {
    const unsigned = injectedPodKind(planVouching(() => new Map()));
    const pod = storedPod({ env: environment({ signed: false }) });
    assert.equal(unsigned.read({ ...pod, metadata: { ...pod.metadata, namespace: "other" } }).plan, null);
  });

  it("goes by the keys of the moment", () => {
    let current = keys;
    const changing = injectedPodKind(planVouching(() => current));
    assert.notEqual(changing.read(storedPod()).plan, null);
    current = new Map([["0000000000000000", [...keys.values()][0]!]]);
    assert.equal(changing.read(storedPod()).plan, null);
  });

  it("is told about with digests, bytes and seconds", () => {
    const note = `2 filters (10 bytes in 0.5 s): headers@${DIGESTS[0]}, auth@${DIGESTS[1]}`;
    assert.deepEqual(told({ fetcher: { state: terminated(0, summary(DIGESTS)) } }), [`FilterMounted: ${note}`]);
  });

  it("is told about with the fetcher's own line, and no other text", () => {
    const line = "wasmount-fetch: Unauthorized: registry.example/x: no credentials";
    assert.deepEqual(told({ fetcher: { state: terminated(3, `password=x\n${line}`) } }), [
      "FilterFetchFailed: Unauthorized: registry.example/x: no credentials (exit code 3)",
    ]);
    assert.deepEqual(told({ fetcher: { state: terminated(1, "Error: token abc\n  at x.ts") } }), [
      "FilterFetchFailed: Error, without a word from the fetcher (exit code 1)",
    ]);
    const killed = { terminated: { exitCode: 137, reason: "OOMKilled", message: "" } };
    assert.deepEqual(told({ fetcher: { state: killed } }), [
      "FilterFetchFailed: OOMKilled, without a word from the fetcher (exit code 137)",
    ]);
  });

  it("is told about in both ways where one filter does nothing", () => {
    const open = `wasmount-fetch: Open: does nothing: auth (away)\n${summary([DIGESTS[0]])}`;
    assert.deepEqual(told({ fetcher: { state: terminated(0, open) } }), [
      "FilterMounted: 1 of 2 filters (10 bytes in 0.5 s): see the fetcher's log",
      "FilterFetchFailed: Open: does nothing: auth (away)",
    ]);
  });

  it("shows no secrets that slipped into an address, no control characters, and not all of a long text", () => {
    const text = `https://robot:secret@r.example/v2/x?X-Amz-Signature=secret went wrong \u001b[31m${"x".repeat(2_000)}`;
    const [note = ""] = told({ fetcher: { state: terminated(3, `wasmount-fetch: Refused: ${text}`) } });
    assert.match(note, /^FilterFetchFailed: Refused: https:\/\/…@r\.example\/v2\/x\?… went wrong \\u\{1b\}\[31mx+… \(/);
    assert.ok(note.length < 600);
  });

  it("whose fetcher was told to end with it is no news", () => {
    assert.deepEqual(
      told({ fetcher: { state: terminated(143, "wasmount-fetch: Cancelled: the pod was told to end") } }),
      [],
    );
  });

  it("has Events with names of their own: one for what is mounted, one for each failure", () => {
    const suffix = (pod: StoredPod) => eventsOf(read(pod)).map(({ telling }) => telling.suffix);
    const mounted = { fetcher: { state: terminated(0) } };
    const [first] = suffix(mounted);
    assert.match(first ?? "", /^[0-9a-f]{16}$/);
    assert.deepEqual(suffix({ fetcher: { state: terminated(0, "", "2026-01-03T00:00:00Z"), restartCount: 1 } }), [
      first,
    ]);
    assert.notDeepEqual(suffix({ ...mounted, uid: "another" }), [first]);
    const failures = ["A", "B"].map(code =>
      suffix({ fetcher: { state: terminated(3, `wasmount-fetch: ${code}: x`) } }),
    );
    assert.equal(new Set([first, ...failures.flat()]).size, 3);
  });

  it("is read whatever its status and its environment say", () => {
    const anything = fc.jsonValue({ maxDepth: 4 });
    fc.assert(
      fc.property(anything, anything, anything, (state, lastState, env) => {
        const pod = read({ fetcher: { state, lastState, restartCount: state } as object, env });
        assert.ok((pod.last?.problem.length ?? 0) < 600);
        eventsOf(pod);
        kind.read({ ...storedPod(), status: state, spec: env });
      }),
    );
  });
});
