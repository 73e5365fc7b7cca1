import { LRUCache } from "lru-cache";
import type { RegistryError } from "../oci/error.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { EvidenceSource } from "./collection.ts";
import { evaluate, type Unreadable } from "./evaluation.ts";
import { judgePinnedImage, type PinnedImage } from "./judging.ts";
import type { Rule } from "./rule.ts";
import type { Unmatched, Verdict } from "./verdict.ts";

/** Times in milliseconds. */
export interface VerdictSettings {
  /** How many verdicts are held. */
  readonly held: number;
  /** How long good signatures count without another look: what is taken off a registry meanwhile still vouches. */
  readonly goodMs: number;
  /** The same for signatures that fail: who signs an image and tries again waits no longer. */
  readonly failedMs: number;
  /** What one image may take. */
  readonly budgetMs: number;
}

export const VERDICT_SETTINGS: VerdictSettings = { held: 4096, goodMs: 600_000, failedMs: 5_000, budgetMs: 2_000 };

export interface VerdictDependencies {
  readonly source: EvidenceSource;
  readonly unmatched: Unmatched;
  /** Words for an image's author about a registry that could not be asked. */
  readonly unreadable: (error: RegistryError, reference: Reference) => Unreadable;
  readonly settings: VerdictSettings;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Until when somebody waits. The signal is asked for only where there is something to wait for. */
export interface Late {
  readonly signal: AbortSignal;
}

/** What rules demand of an image, and what they are told apart by: trust material included. */
export interface HashedRules {
  readonly rules: readonly Rule[];
  readonly hash: string;
}

/**
 * Verdicts at admission, made once for each image, digest and set of rules, whoever asks. All who ask see what one
 * registry client sees: where credentials differ, there is another one of these.
 *
 * A verdict is held only where all its answers came: what a registry could not be asked about is asked again. Nothing that
 * rules depend on is remembered beside them: a policy, key or trusted root that changes makes another key.
 */
export class Verdicts {
  readonly #given: VerdictDependencies;
  readonly #held: LRUCache<string, Verdict>;
  readonly #asking = new Map<string, Promise<Verdict>>();

  constructor(given: VerdictDependencies) {
    this.#given = given;
    const { settings, now } = given;
    this.#held = new LRUCache({ max: settings.held, ttl: settings.goodMs, ttlResolution: 0, perf: { now } });
  }

  /**
   * @param image a digest that is settled
   * @param late when whoever asks can wait no longer: for them, the registry did not answer. The question goes on.
   */
  async judge(image: PinnedImage, demands: HashedRules, late: Late): Promise<Verdict> {
    const options = { unmatched: this.#given.unmatched, stage: "Admission" } as const;
    const unasked = () => evaluate(demands.rules, unjudged(image), () => LATE, options);
    if (demands.rules.length === 0) return unasked();
    const key = keyOf(image, demands);
    const held = this.#held.get(key);
    if (held !== undefined) return held;
    let answer = this.#asking.get(key);
    if (answer === undefined) {
      answer = this.#ask(key, image, demands).finally(() => this.#asking.delete(key));
      // All who asked may have gone: an error that nobody hears must not end the process.
      answer.catch(() => {});
      this.#asking.set(key, answer);
    }
    return (await before(late.signal, answer)) ?? unasked();
  }

  async #ask(key: string, image: PinnedImage, demands: HashedRules): Promise<Verdict> {
    const { settings } = this.#given;
    const verdict = await this.#judge(image, demands, AbortSignal.timeout(settings.budgetMs));
    const outcomes = verdict.policies.map(({ outcome }) => outcome);
    if (!outcomes.includes("Unknown")) {
      this.#held.set(key, verdict, { ttl: outcomes.includes("Failed") ? settings.failedMs : settings.goodMs });
    }
    return verdict;
  }

  #judge(image: PinnedImage, { rules }: HashedRules, signal: AbortSignal): Promise<Verdict> {
    const { source, unmatched, unreadable } = this.#given;
    const words = (error: RegistryError) => unreadable(error, image.reference);
    return judgePinnedImage(source, rules, image, { unmatched, stage: "Admission", unreadable: words, signal });
  }
}

const LATE: Unreadable = { unreadable: "no answer came in time", deferrable: false };

function unjudged({ reference, digest }: PinnedImage) {
  const { registry, repository, tag } = reference;
  return { registry, repository, tag, byDigest: reference.digest !== null, digests: [digest] };
}

/** References have one spelling, without spaces. How the image was named counts: policies may ask for a digest or a tag. */
function keyOf({ reference, digest }: PinnedImage, { hash }: HashedRules): string {
  return `${formatReference(reference)} ${digest} ${hash}`;
}

/** What comes of some work, or null where a signal is aborted first. */
async function before<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value | null> {
  if (signal.aborted) return null;
  const { promise: never, resolve } = Promise.withResolvers<null>();
  const give = () => resolve(null);
  signal.addEventListener("abort", give, { once: true });
  try {
    return await Promise.race([work, never]);
  } finally {
    signal.removeEventListener("abort", give);
  }
}
