import { withDeadline } from "./answer-deadline.ts";
import type { ApiServer } from "./api-server.ts";
import { type Backoff, waitAfterFailures } from "./backoff.ts";
import { jsonOf, linesOf } from "./body.ts";
import { KubeError } from "./error.ts";
import { HeldObjects, type Holding } from "./held-objects.ts";
import { type Page, readEvent, readPage, type Watched, type WatchedKind } from "./watched-kind.ts";

/** Why a list or a watch ended. `Ended` is the API server's own orderly end. */
export const interruptions = [
  "Ended",
  "Gone",
  "Malformed",
  "NotFound",
  "Refused",
  "Silent",
  "TooLarge",
  "Unreachable",
] as const;
export type Interruption = (typeof interruptions)[number];

/** Limits and patience of a watch. Times in milliseconds. */
export interface WatchSettings {
  /** How long the API server is asked to keep a watch open. Bookmarks come every minute only, and before this end. */
  readonly watchMs: number;
  /** A watch that says nothing for this long is replaced. More than {@link watchMs}. */
  readonly silenceMs: number;
  /** How long the head of an answer, or one page of a list, may take. */
  readonly answerMs: number;
  /** A list older than this is made anew at the next occasion, so that nothing that was missed is missed for ever. */
  readonly relistMs: number;
  /** A watch that lasted this long was a good one: failures before it no longer count. */
  readonly steadyMs: number;
  readonly backoff: Backoff;
  /** Items a page, and what a page and a watch event may take: etcd holds objects of at most 1.5 MiB. */
  readonly pageItems: number;
  readonly pageBytes: number;
  readonly eventBytes: number;
  /** Objects in all. */
  readonly items: number;
}

export const WATCH_SETTINGS: WatchSettings = {
  watchMs: 40_000,
  silenceMs: 50_000,
  answerMs: 10_000,
  relistMs: 600_000,
  steadyMs: 10_000,
  backoff: { baseMs: 250, maxMs: 30_000 },
  pageItems: 32,
  pageBytes: 64 * 1024 * 1024,
  eventBytes: 4 * 1024 * 1024,
  items: 100_000,
};

/** After so many failures in a row the version to go on from is under suspicion itself. */
const FAILURES_BEFORE_RELIST = 4;

export interface WatchDependencies<Held extends Watched> extends Holding<Held> {
  readonly server: ApiServer;
  /** The collection, such as `/api/v1/namespaces`. */
  readonly path: string;
  /** Objects without these labels are left out by the API server, as if there were none. */
  readonly labelSelector?: string;
  /** The same by fields, such as `metadata.name=wasmount`: rights on one object are enough to watch it so. */
  readonly fieldSelector?: string;
  readonly kind: WatchedKind<Held>;
  readonly settings: WatchSettings;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Resolves after so many milliseconds, rejects when the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly interrupted: (reason: Interruption) => void;
}

/**
 * What is to be known of a collection's objects, held current by a list and the watch that goes on from it (Kubernetes API
 * concepts, "Efficient detection of changes"). Only one call is ever in flight, and calls that fail are spaced by an
 * exponential back-off.
 */
export class CollectionWatch<Held extends Watched> {
  readonly #given: WatchDependencies<Held>;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  readonly #items: HeldObjects<Held>;
  /** The version to go on from; null where only a list can tell. */
  #version: string | null = null;
  #listedAt: number | null = null;
  #contactAt: number | null = null;
  #openedAt: number | null = null;
  #last: Interruption | null = null;
  #unknown = false;

  constructor(given: WatchDependencies<Held>) {
    this.#given = given;
    this.#items = new HeldObjects<Held>(given);
    this.#running = this.#run();
  }

  /** Whether a list was ever complete. */
  get synced(): boolean {
    return this.#listedAt !== null;
  }

  /** Whether a watch is open now: while it isn't, changes are being missed. */
  get open(): boolean {
    return this.#openedAt !== null;
  }

  /** Milliseconds since the API server last confirmed what is held; null where it never did. */
  get contactAge(): number | null {
    return this.#contactAt === null ? null : this.#given.now() - this.#contactAt;
  }

  /** How the last list or watch ended. */
  get lastInterruption(): Interruption | null {
    return this.#last;
  }

  /** Whether the API server says that it has no such collection: from the list that it says so to, to the next one that it has. */
  get unknown(): boolean {
    return this.#unknown;
  }

  /** @param name "namespace/name" for an object that is in one */
  get(name: string): Held | undefined {
    return this.#items.get(name);
  }

  all(): Iterable<Held> {
    return this.#items.all();
  }

  /** Ends the call in flight, and everything else. */
  async close(): Promise<void> {
    this.#ending.abort(new Error("closed"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { random, sleep, settings, interrupted } = this.#given;
    const { signal } = this.#ending;
    let failures = 0;
    while (!signal.aborted) {
      const { reason, steady } = await this.#turn();
      if (signal.aborted) return;
      this.#last = reason;
      interrupted(reason);
      if (steady) failures = 0;
      if (reason === "Ended" && steady) continue;
      failures += 1;
      if (failures % FAILURES_BEFORE_RELIST === 0) this.#version = null;
      await sleep(waitAfterFailures(failures, settings.backoff, random), signal).catch(() => {});
    }
  }

  /** Lists where that is due, watches until that ends, and tells why it did. */
  async #turn(): Promise<{ readonly reason: Interruption; readonly steady: boolean }> {
    const { now, settings } = this.#given;
    let openedAt: number | null = null;
    let reason: Interruption = "Ended";
    try {
      if (this.#version === null || this.#isOld()) await this.#listed();
      await this.#follow(() => {
        openedAt = this.#openedAt;
      });
    } catch (error) {
      reason = interruptionOf(error);
      // What can't be read from this version on won't be readable the next time either.
      if (RELISTING.has(reason)) this.#version = null;
    }
    this.#openedAt = null;
    return { reason, steady: openedAt !== null && now() - openedAt >= settings.steadyMs };
  }

  #isOld(): boolean {
    return this.#listedAt === null || this.#given.now() - this.#listedAt >= this.#given.settings.relistMs;
  }

  async #listed(): Promise<void> {
    try {
      await this.#list();
      this.#unknown = false;
    } catch (error) {
      if (interruptionOf(error) === "NotFound") this.#unknown = true;
      throw error;
    }
  }

  async #list(): Promise<void> {
    const { now, settings } = this.#given;
    const items = new Map<string, Held>();
    let next = "";
    let page: Page<Held>;
    do {
      page = await this.#page(next);
      if (page.next !== "" && page.items.length === 0)
        throw new KubeError("Malformed", "an empty page that is not the last");
      this.#items.collect(page.items, items);
      if (items.size > settings.items) throw new KubeError("TooLarge", `more than ${settings.items} objects`);
      next = page.next;
    } while (next !== "");
    this.#items.replace(items);
    this.#version = page.resourceVersion;
    this.#listedAt = now();
    this.#contactAt = now();
  }

  async #page(next: string): Promise<Page<Held>> {
    const { server, path, kind, settings } = this.#given;
    const query = new URLSearchParams({
      ...this.#selection(),
      limit: String(settings.pageItems),
      ...(next === "" ? {} : { continue: next }),
    });
    return withDeadline(this.#ending.signal, settings.answerMs, async signal => {
      const body = await server.open(`${path}?${query}`, kind.accept.list, signal);
      return readPage(await jsonOf(body, settings.pageBytes), kind);
    });
  }

  async #follow(opened: () => void): Promise<void> {
    const { server, path, kind, settings } = this.#given;
    const query = new URLSearchParams({
      ...this.#selection(),
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: this.#version ?? "",
      timeoutSeconds: String(Math.ceil(settings.watchMs / 1000)),
    });
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, this.#ending.signal]);
    const silent = () => stop.abort(new KubeError("Silent", "the watch is silent"));
    let silence = setTimeout(silent, settings.answerMs);
    try {
      const body = await server.open(`${path}?${query}`, kind.accept.watch, signal);
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(silent, settings.silenceMs);
        this.#contactAt = this.#given.now();
      };
      heard();
      this.#openedAt = this.#given.now();
      opened();
      for await (const line of linesOf(body, settings.eventBytes)) {
        this.#apply(line);
        heard();
      }
    } catch (error) {
      throw stop.signal.aborted ? stop.signal.reason : error;
    } finally {
      clearTimeout(silence);
      stop.abort();
    }
  }

  #apply(line: string): void {
    const event = readEvent(line, this.#given.kind);
    if (event.type === "set") this.#items.set(event.item);
    if (event.type === "deleted") this.#items.delete(event.item);
    if (this.#items.size > this.#given.settings.items) throw new KubeError("TooLarge", "too many objects");
    this.#version = event.resourceVersion;
  }

  #selection(): Record<string, string> {
    const { labelSelector, fieldSelector } = this.#given;
    return {
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    };
  }
}

/**
 * Why what a watch holds can't be relied on, or null where it can.
 * @param what is watched, in the plural
 * @param staleMs how long ago the API server may have confirmed it
 */
export function doubtAbout(
  what: string,
  watch: Pick<CollectionWatch<Watched>, "synced" | "contactAge" | "lastInterruption">,
  staleMs: number,
): string | null {
  const why = watch.lastInterruption === null ? "" : ` (last: ${watch.lastInterruption})`;
  if (!watch.synced) return `${what} are not listed yet${why}`;
  const age = watch.contactAge ?? Infinity;
  if (age <= staleMs) return null;
  return `no word about ${what} from the API server for ${Math.round(age / 1000)} s${why}`;
}

/** After these, what is held may be of another collection, or can't be gone on from. */
const RELISTING: ReadonlySet<Interruption> = new Set(["Gone", "Malformed", "NotFound", "TooLarge"]);

function interruptionOf(error: unknown): Interruption {
  const code = error instanceof KubeError ? error.code : "Unreachable";
  return interruptions.find(reason => reason === code) ?? "Refused";
}
