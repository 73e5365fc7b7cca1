import { LRUCache } from "lru-cache";

/** So many at once, and then one for every so many milliseconds. */
export interface BucketSize {
  readonly burst: number;
  readonly refillMs: number;
}

interface Bucket {
  readonly tokens: number;
  readonly at: number;
}

/** Token buckets by key, of which only the busiest are held: one that was forgotten is full again. */
export class TokenBuckets {
  readonly #size: BucketSize;
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(size: BucketSize, most: number) {
    this.#size = size;
    this.#buckets = new LRUCache({ max: most });
  }

  /** Whether there is a token. @param now milliseconds of a clock that never goes back */
  has(key: string, now: number): boolean {
    return this.#tokens(key, now) >= 1;
  }

  take(key: string, now: number): void {
    this.#buckets.set(key, { tokens: this.#tokens(key, now) - 1, at: now });
  }

  #tokens(key: string, now: number): number {
    const { burst, refillMs } = this.#size;
    const bucket = this.#buckets.get(key);
    return bucket === undefined ? burst : Math.min(burst, bucket.tokens + (now - bucket.at) / refillMs);
  }
}
