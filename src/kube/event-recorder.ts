import { LRUCache } from "lru-cache";
import { aborted } from "../abort.ts";
import { withDeadline } from "./answer-deadline.ts";
import type { ApiServer } from "./api-server.ts";
import { type Backoff, waitAfterFailures } from "./backoff.ts";

import { KubeError } from "./error.ts";
import { type EventContent, type EventReporter, eventObject, eventSeries } from "./event.ts";
import { type BucketSize, TokenBuckets } from "./token-buckets.ts";

/** Why an Event was not written. */
export type EventDrop =
  /** Its object, its namespace or all together have had too many. */
  | "RateLimited"
  /** Too many wait to be written. */
  | "QueueFull"
  /** The API server does not take it. */
  | "Refused"
  /** The API server could not be reached, or asked for patience too often. */
  | "Unreachable";

/** Times in milliseconds. */
export interface RecorderSettings {
  /** New Events about one object, in one namespace, and in all. */
  readonly perObject: BucketSize;
  readonly perNamespace: BucketSize;
  readonly total: BucketSize;
  /** An Event that happens again within this time is counted, and not written anew. */
  readonly seriesMs: number;
  /** How often its count is written at most. */
  readonly countMs: number;
  /** Events that are known, so that others can be seen to be the same. */
  readonly known: number;
  /** Events that wait to be written. */
  readonly queue: number;
  readonly attempts: number;
  readonly backoff: Backoff;
  /** What one write may take. */
  readonly writeMs: number;
  /** What writing what is left may take in the end. */
  readonly flushMs: number;
}

/** The bounds per object are those of client-go's recorder (tools/record, EventSourceObjectSpamFilter). */
export const RECORDER_SETTINGS: RecorderSettings = {
  perObject: { burst: 25, refillMs: 300_000 },
  perNamespace: { burst: 100, refillMs: 1_000 },
  total: { burst: 500, refillMs: 50 },
  seriesMs: 600_000,
  countMs: 30_000,
  known: 4_096,
  queue: 1_000,
  // Some two minutes: an API server whose store of Events was lost refuses new ones for one (k8s.io/apiserver, leases are reused).
  attempts: 12,
  backoff: { baseMs: 500, maxMs: 30_000 },
  writeMs: 5_000,
  flushMs: 3_000,
};

export interface RecorderDependencies {
  readonly server: Pick<ApiServer, "write">;
  readonly reporter: EventReporter;
  readonly dropped: (reason: EventDrop) => void;
  readonly settings?: RecorderSettings;
  /** Milliseconds of a clock that never goes back, and since 1970. */
  readonly monotonic: () => number;
  readonly wall: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Up to 32 of a-z and 0-9, another one each time. */
  readonly uniqueSuffix: () => string;
  /** Rejects when aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<unknown>;
}

/** What of an Event is not for its recorder to choose, so that recorders which follow each other write one Event. */
export interface Telling {
  /** Of the Event's name, in place of a random one: up to 32 of a-z and 0-9. One that exists by then is this one. */
  readonly suffix?: string;
  /** How often it happened, where that is known better than by counting: 1 or more. */
  readonly count?: number;
}

/** Something that happened, once or more often. */
interface Occurrence {
  readonly key: string;
  readonly content: EventContent;
  readonly suffix: string;
  /** Milliseconds since 1970 of the first and the last time. */
  readonly first: number;
  last: number;
  count: number;
  /** The Event's path; null until it is written. */
  path: string | null;
  /** When it may be written next, on the monotonic clock. */
  due: number;
  /** How often in a row it could not be. */
  failures: number;
}

/**
 * Writes Events, one at a time and in the background. Equal Events become one with a count; objects, namespaces and the
 * whole have limits. Nothing here ever throws or waits: what can't be written is counted.
 */
export class EventRecorder {
  readonly #given: RecorderDependencies;
  readonly #settings: RecorderSettings;
  readonly #known: LRUCache<string, Occurrence>;
  readonly #waiting = new Map<string, Occurrence>();
  readonly #objects: TokenBuckets;
  readonly #namespaces: TokenBuckets;
  readonly #total: TokenBuckets;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #closing = false;
  #wake = new AbortController();

  constructor(given: RecorderDependencies) {
    const { settings = RECORDER_SETTINGS, monotonic } = given;
    this.#given = given;
    this.#settings = settings;
    this.#known = new LRUCache({
      max: settings.known,
      ttl: settings.seriesMs,
      ttlResolution: 0,
      perf: { now: monotonic },
    });
    this.#objects = new TokenBuckets(settings.perObject, settings.known);
    this.#namespaces = new TokenBuckets(settings.perNamespace, settings.known);
    this.#total = new TokenBuckets(settings.total, 1);
    this.#running = this.#run();
  }

  /** Takes note of something that happened. */
  record(content: EventContent, { suffix, count = 1 }: Telling = {}): void {
    if (this.#closing) return;
    const { regarding, type, reason, action, note } = content;
    const subject = JSON.stringify([regarding.namespace, regarding.kind, regarding.name, regarding.uid ?? ""]);
    const key = JSON.stringify([subject, type, reason, action, note]);
    const known = this.#known.get(key);
    if (known === undefined) this.#begin(key, subject, content, suffix ?? this.#given.uniqueSuffix(), count);
    else this.#repeat(known, count);
  }

  /** Writes what waits, for a bounded time, and ends. Counts of what is known already are given up. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const [key, { path }] of this.#waiting) if (path !== null) this.#waiting.delete(key);
    this.#wake.abort();
    const { sleep, dropped } = this.#given;
    await Promise.race([this.#running, sleep(this.#settings.flushMs, this.#ending.signal).catch(() => {})]);
    this.#ending.abort(new Error("closed"));
    await this.#running;
    for (let left = this.#waiting.size; left > 0; left -= 1) dropped("Unreachable");
  }

  #begin(key: string, subject: string, content: EventContent, suffix: string, count: number): void {
    const { monotonic, wall, dropped } = this.#given;
    const now = monotonic();
    const buckets = [
      [this.#objects, subject],
      [this.#namespaces, content.regarding.namespace],
      [this.#total, ""],
    ] as const;
    if (buckets.some(([bucket, name]) => !bucket.has(name, now))) {
      dropped("RateLimited");
      return;
    }
    if (this.#waiting.size >= this.#settings.queue) {
      dropped("QueueFull");
      return;
    }
    for (const [bucket, name] of buckets) bucket.take(name, now);
    const time = wall();
    const occurrence = { key, content, suffix, first: time, last: time, count, path: null, due: now, failures: 0 };
    this.#known.set(key, occurrence);
    this.#await(occurrence);
  }

  #repeat(occurrence: Occurrence, count: number): void {
    occurrence.count = Math.max(occurrence.count + 1, count);
    occurrence.last = this.#given.wall();
    if (this.#waiting.has(occurrence.key)) return;
    if (this.#waiting.size >= this.#settings.queue) return;
    this.#await(occurrence);
  }

  #await(occurrence: Occurrence): void {
    this.#waiting.set(occurrence.key, occurrence);
    this.#wake.abort();
  }

  async #run(): Promise<void> {
    const { monotonic, sleep } = this.#given;
    while (!this.#ending.signal.aborted) {
      const next = this.#next();
      if (next === null && this.#closing) return;
      const wait = next === null ? null : next.due - monotonic();
      if (next !== null && wait !== null && wait <= 0) {
        this.#waiting.delete(next.key);
        await this.#write(next);
      } else {
        this.#wake = new AbortController();
        const signal = AbortSignal.any([this.#wake.signal, this.#ending.signal]);
        await (wait === null ? aborted(signal) : sleep(wait, signal).catch(() => {}));
      }
    }
  }

  #next(): Occurrence | null {
    let next: Occurrence | null = null;
    for (const occurrence of this.#waiting.values()) {
      if (next === null || occurrence.due < next.due) next = occurrence;
    }
    return next;
  }

  async #write(occurrence: Occurrence): Promise<void> {
    const { monotonic, random, dropped } = this.#given;
    const { attempts, backoff, countMs } = this.#settings;
    occurrence.due = monotonic() + countMs;
    try {
      await this.#send(occurrence);
      occurrence.failures = 0;
    } catch (error) {
      const drop = dropOf(error);
      occurrence.failures += 1;
      if (drop !== "Refused" && occurrence.failures < attempts && !this.#ending.signal.aborted) {
        // Others have their turn meanwhile: it may be this one alone that fails.
        occurrence.due = monotonic() + waitAfterFailures(occurrence.failures, backoff, random);
        this.#await(occurrence);
        return;
      }
      // Forgotten, so that it is tried again when it happens again.
      if (occurrence.path === null) this.#known.delete(occurrence.key);
      occurrence.failures = 0;
      dropped(drop);
    }
  }

  async #send(occurrence: Occurrence): Promise<void> {
    const { content, suffix, first, count } = occurrence;
    const written = occurrence.path !== null;
    if (occurrence.path !== null && (await this.#count(occurrence, occurrence.path))) return;
    // Events live for an hour. What goes on is told anew.
    occurrence.path = null;
    const collection = `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(content.regarding.namespace)}/events`;
    const event = eventObject(content, this.#given.reporter, suffix, first) as {
      readonly metadata: { readonly name: string };
    };
    const path = `${collection}/${event.metadata.name}`;
    await this.#call({ method: "POST", path: collection, body: event }).catch(error => {
      // Told already: by another recorder, or by this one, which did not hear of it.
      if (!(error instanceof KubeError && error.code === "Conflict")) throw error;
    });
    occurrence.path = path;
    if (count > 1 && !written) await this.#count(occurrence, path);
  }

  /** @returns false where the Event is gone */
  async #count({ count, last }: Occurrence, path: string): Promise<boolean> {
    try {
      const contentType = "application/merge-patch+json";
      await this.#call({ method: "PATCH", path, body: eventSeries(Math.max(count, 2), last), contentType });
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.code === "NotFound") return false;
      throw error;
    }
  }

  async #call(write: Parameters<ApiServer["write"]>[0]): Promise<void> {
    const { server } = this.#given;
    await withDeadline(this.#ending.signal, this.#settings.writeMs, signal => server.write(write, signal));
  }
}

function dropOf(error: unknown): EventDrop {
  const code = error instanceof KubeError ? error.code : "Unreachable";
  return code === "Unreachable" || code === "TooManyRequests" ? "Unreachable" : "Refused";
}
