import assert from "node:assert/strict";
import fc from "fast-check";
import type { RegistryErrorCode } from "../../src/oci/error.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { isUnasked } from "../../src/trust/judging.ts";
import type { Rule } from "../../src/trust/rule.ts";
import { rulesHash } from "../../src/trust/rules.ts";
import { VERDICT_SETTINGS, Verdicts } from "../../src/trust/verdicts.ts";
import { imageBytes, MemoryEvidence } from "./memory-evidence.ts";
import { authority, type KeyPair, p256, ruleBy } from "./samples.ts";

const REPOSITORY = "registry.example/team/filter";
const patient = { signal: new AbortController().signal };
const key = p256();
const other = p256();

describe("verdicts at admission", () => {
  let clock: number;
  let source: MemoryEvidence;
  let verdicts: Verdicts;
  let digest: string;
  const rule = ruleBy([authority(key)]);

  beforeEach(() => {
    // To the cache, 0 is no time.
    clock = 1;
    source = new MemoryEvidence();
    verdicts = verdictsOf(source);
    digest = source.add(imageBytes("a"));
  });

  function verdictsOf(from: MemoryEvidence): Verdicts {
    return new Verdicts({
      source: from,
      unmatched: "Deny",
      unreadable: error => ({
        unreadable: isUnasked(error) ? error.code : error.message,
        deferrable: error.code === "Unauthorized",
      }),
      settings: VERDICT_SETTINGS,
      now: () => clock,
    });
  }

  function ask(rules: readonly Rule[] = [rule], reference = `${REPOSITORY}:1`, of = verdicts, pinned = digest) {
    const image = { reference: parseReference(reference), digest: pinned };
    return of.judge(image, { rules, hash: rulesHash(rules) }, patient);
  }

  it("are made once, for all who ask at a time and for those after them", async () => {
    source.sign(digest, REPOSITORY, key);
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const asking = [ask(), ask(), ask()];
    gate.resolve();
    assert.deepEqual(
      (await Promise.all(asking)).map(({ allowed }) => allowed),
      [true, true, true],
    );
    const { asked } = source;
    source.failing = "Server";
    assert.ok((await ask()).allowed);
    assert.equal(source.asked, asked);
  });

  it("are made anew for another digest, other rules, and another name of the image", async () => {
    source.sign(digest, REPOSITORY, key);
    assert.ok((await ask()).allowed);
    const unsigned = source.add(imageBytes("b"));
    assert.equal((await ask([rule], `${REPOSITORY}:1`, verdicts, unsigned)).allowed, false);
    assert.equal((await ask([ruleBy([authority(other)])])).allowed, false, "another key");
    assert.equal((await ask([{ ...rule, requireDigest: true }])).allowed, false);
    assert.equal((await ask([rule], "registry.example/other/filter:1")).allowed, false, "another repository");
    assert.ok((await ask([{ ...rule, requireDigest: true }], `${REPOSITORY}@${digest}`)).allowed);
    const tagged = [{ ...rule, allowedTagPattern: "1*" }];
    assert.ok((await ask(tagged)).allowed);
    assert.equal((await ask(tagged, `${REPOSITORY}:2`)).allowed, false);
  });

  it("that are good count for ten minutes, those that are not for five seconds", async () => {
    assert.equal((await ask()).allowed, false);
    source.sign(digest, REPOSITORY, key);
    clock += VERDICT_SETTINGS.failedMs;
    assert.equal((await ask()).allowed, false);
    clock += 1;
    assert.ok((await ask()).allowed);
    source.unsign(digest);
    clock += VERDICT_SETTINGS.goodMs;
    assert.ok((await ask()).allowed);
    clock += 1;
    assert.equal((await ask()).allowed, false);
  });

  it("are not held where the registry could not be asked", async () => {
    source.sign(digest, REPOSITORY, key);
    for (const onRegistryError of ["Deny", "Defer", "Warn"] as const) {
      source.failing = "Server";
      const rules = [{ ...rule, onRegistryError }];
      const { allowed, deferred, warnings } = await ask(rules);
      assert.deepEqual(
        [allowed, deferred.length, warnings.length],
        { Deny: [false, 0, 0], Defer: [true, 1, 0], Warn: [true, 0, 1] }[onRegistryError],
      );
      source.failing = null;
      const { policies } = await ask(rules);
      assert.equal(policies[0]?.outcome, "Passed");
    }
  });

  it("are left to the fetcher where the pod may have what the operator lacks", async () => {
    source.failing = "Unauthorized";
    const { allowed, deferred } = await ask();
    assert.deepEqual([allowed, deferred.length], [true, 1]);
  });

  it("are not waited for longer than who asks can, and serve those who ask later", async () => {
    source.sign(digest, REPOSITORY, key);
    const gate = Promise.withResolvers<void>();
    source.gate = gate.promise;
    const image = { reference: parseReference(`${REPOSITORY}:1`), digest };
    const hurried = await verdicts.judge(
      image,
      { rules: [rule], hash: rulesHash([rule]) },
      { signal: AbortSignal.abort() },
    );
    assert.match(hurried.denial ?? "", /can't be read: no answer came in time/);
    const later = ask();
    gate.resolve();
    assert.ok((await later).allowed);
    assert.equal(source.asked, 3, "one question: the image, cosign's tag, and the referrer");
  });

  it("that fail by a mistake of ours fail those who wait, and nobody else", async () => {
    source.manifest = () => Promise.reject(new TypeError("a mistake of ours"));
    const image = { reference: parseReference(`${REPOSITORY}:1`), digest };
    const unheard: unknown[] = [];
    const hear = (error: unknown) => void unheard.push(error);
    process.on("unhandledRejection", hear);
    try {
      const gone = { signal: AbortSignal.abort() };
      assert.equal((await verdicts.judge(image, { rules: [rule], hash: rulesHash([rule]) }, gone)).allowed, false);
      await new Promise(setImmediate);
      assert.deepEqual(unheard, []);
      await assert.rejects(ask(), TypeError);
    } finally {
      process.off("unhandledRejection", hear);
    }
  });

  it("are never allowed where a fresh one would be denied, within the time that answers may be old", async () => {
    async function isRight(world: World, cached: Verdicts, { image, rules, named }: Question): Promise<boolean> {
      const pinned = world.digests[image] ?? "";
      const reference = named ? `${REPOSITORY}@${pinned}` : `${REPOSITORY}:1`;
      const { allowed } = await ask(RULES[rules], reference, cached, pinned);
      if (!allowed) return true;
      const then = world.since(clock - VERDICT_SETTINGS.goodMs).map(verdictsOf);
      const fresh = await Promise.all(then.map(one => ask(RULES[rules], reference, one, pinned)));
      return fresh.some(verdict => verdict.allowed);
    }

    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
        clock = 1;
        const world = new World(() => clock);
        const cached = verdictsOf(world.source);
        for (const one of steps) {
          if (one.do === "wait") clock += one.ms;
          if (one.do !== "ask") world.change(one);
          else assert.ok(await isRight(world, cached, one), "at no moment within the bound it would have been");
        }
      }),
      { numRuns: 300 },
    );
  });
});

const RULES = [
  [ruleBy([authority(key)])],
  [ruleBy([authority(other)])],
  [ruleBy([authority(key), authority(other, { name: "other" })], { minimum: 2 })],
  [ruleBy([authority(key)]), ruleBy([authority(other)], { policy: "NamespacedWasmPolicy/team/own" })],
  [ruleBy([authority(key)], { onRegistryError: "Warn" })],
  [ruleBy([authority(key)], { requireDigest: true })],
];

const step = fc.oneof(
  fc.record({
    do: fc.constant("ask" as const),
    image: fc.nat(1),
    rules: fc.nat(RULES.length - 1),
    named: fc.boolean(),
  }),
  fc.record({ do: fc.constant("sign" as const), image: fc.nat(1), by: fc.constantFrom(key, other) }),
  fc.record({ do: fc.constant("unsign" as const), image: fc.nat(1) }),
  fc.record({ do: fc.constant("fail" as const), how: fc.constantFrom("Server" as const, "Timeout" as const, null) }),
  fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1_000, 6_000, 200_000, 601_000) }),
);
type Step = typeof step extends fc.Arbitrary<infer Kind> ? Kind : never;
type Question = Extract<Step, { readonly do: "ask" }>;
type Change = Exclude<Step, Question>;

/** Who signed which of two images, and how the registry fails. */
interface State {
  readonly at: number;
  readonly signers: readonly (readonly KeyPair[])[];
  readonly failing: RegistryErrorCode | null;
}

/** A registry, and all that it ever was. */
class World {
  readonly source = new MemoryEvidence();
  readonly digests = this.#imagesIn(this.source);
  readonly #now: () => number;
  readonly #states: State[] = [{ at: 0, signers: [[], []], failing: null }];

  constructor(now: () => number) {
    this.#now = now;
  }

  change(change: Change): void {
    const latest = this.#states.at(-1) ?? assert.fail();
    const next = { ...latest, at: this.#now() };
    const withSigners = (change: (signers: readonly KeyPair[]) => readonly KeyPair[], image: number) =>
      latest.signers.map((signers, index) => (index === image ? change(signers) : signers));
    switch (change.do) {
      case "wait":
        return;
      case "fail":
        this.source.failing = change.how;
        this.#states.push({ ...next, failing: change.how });
        return;
      case "sign":
        this.source.sign(this.digests[change.image] ?? "", REPOSITORY, change.by);
        this.#states.push({ ...next, signers: withSigners(signers => [...signers, change.by], change.image) });
        return;
      case "unsign":
        this.source.unsign(this.digests[change.image] ?? "");
        this.#states.push({ ...next, signers: withSigners(() => [], change.image) });
    }
  }

  /** The registry as it was at each moment since then, and as it was then. */
  since(time: number): readonly MemoryEvidence[] {
    const ended = (index: number) => this.#states[index + 1]?.at ?? Infinity;
    return this.#states
      .filter((_state, index) => ended(index) >= time)
      .map(({ signers, failing }) => {
        const source = new MemoryEvidence();
        const digests = this.#imagesIn(source);
        for (const [image, pairs] of signers.entries()) {
          for (const pair of pairs) source.sign(digests[image] ?? "", REPOSITORY, pair);
        }
        source.failing = failing;
        return source;
      });
  }

  #imagesIn(source: MemoryEvidence): readonly string[] {
    return ["a", "b"].map(name => source.add(imageBytes(name)));
  }
}
