import { LRUCache } from "lru-cache";
import { unlessAborted } from "../abort.ts";
import { messageOf } from "../error.ts";
import type { Deadline } from "../kube/deadline.ts";
import { KubeError } from "../kube/error.ts";
import { ownerIdOf } from "../kube/owner-id.ts";
import type { Reference } from "../oci/reference.ts";
import type { ResolvedTag } from "../oci/tag-resolver.ts";
import { PinError } from "./error.ts";
import type { PinStore } from "./pin-store.ts";
import { type PinOwner, type PinRecord, pinKey, recordName, refuseFull, taggedName, withPin } from "./record.ts";
import { Turns } from "./turns.ts";

/** Times in milliseconds. */
export interface PinSettings {
  /** What one tag may take in all, registry and API server together. */
  readonly deadlineMs: number;
  /** How often a record is tried to be written that others write at the same time. */
  readonly attempts: number;
  /** How many digests are held in memory, and for how long. */
  readonly held: number;
  readonly heldMs: number;
  /**
   * A record that says to be last used longer ago is told of a new use. With {@link heldMs} far below the age at which
   * records are collected: no digest is ever given from memory whose record may be gone.
   */
  readonly touchMs: number;
}

export const PIN_SETTINGS: PinSettings = {
  deadlineMs: 2_000,
  attempts: 8,
  held: 10_000,
  heldMs: 60_000,
  touchMs: 600_000,
};

/** Milliseconds: since 1970, and of a clock that never goes back. */
export interface PinClock {
  readonly wall: () => number;
  readonly monotonic: () => number;
}

export interface PinDependencies {
  readonly store: Pick<PinStore, "read" | "write" | "whereIs">;
  /** Asks a registry, with what the namespace may ask it with. */
  readonly resolver: { resolve(reference: Reference, namespace: string): Promise<ResolvedTag> };
  readonly settings?: PinSettings;
  readonly clock?: PinClock;
}

/** The pod that asks. */
export interface PinRequest {
  readonly namespace: string;
  /** UID of its controlling owner and its revision (`rolloutOf`), which are its author's text; "" for a pod without one. */
  readonly owner: string;
  /** Reads pins and sets none. */
  readonly dryRun: boolean;
  /** Until when the pod can wait; without it, as long as one tag may take. */
  readonly deadline?: Deadline;
}

const CLOCK: PinClock = { wall: () => Date.now(), monotonic: () => performance.now() };

/**
 * Resolves tags so that the pods of one controlling owner all get the digest that the first of them got, whichever
 * replica is asked and wherever the tag has moved meanwhile. What decides is a record that the API server keeps and that
 * only a compare-and-set write changes: of two replicas that resolve at once, the one that comes second takes what the
 * first one wrote. Where the record can't be read or written, the tag is not resolved.
 *
 * A pod's author may name any owner. With the owner of somebody else's pods in the same namespace, a tag can be pinned
 * before they ask for it, yet only to what it means at that moment. Pins of other namespaces are out of reach of who
 * creates pods: the API server says which namespace a pod is in. They are not of who calls the webhook itself, and says
 * so in its place; who may do that is the server's affair (tls.clientCaFile, and the network's policy).
 */
export class PinnedTags {
  readonly #given: PinDependencies;
  readonly #settings: PinSettings;
  readonly #clock: PinClock;
  readonly #held: LRUCache<string, string>;
  readonly #asking = new Map<string, Promise<ResolvedTag>>();
  /** The filters of one pod arrive together: they take turns, rather than make each other's writes fail. */
  readonly #turns = new Turns();

  constructor(given: PinDependencies) {
    const { settings = PIN_SETTINGS, clock = CLOCK } = given;
    this.#given = given;
    this.#settings = settings;
    this.#clock = clock;
    const { held: max, heldMs: ttl } = settings;
    this.#held = new LRUCache({ max, ttl, ttlResolution: 0, perf: { now: clock.monotonic } });
  }

  async resolve(reference: Reference, { namespace, owner: uid, dryRun, deadline }: PinRequest): Promise<ResolvedTag> {
    if (reference.digest !== null) return { digest: reference.digest };
    if (uid === "") return inTime(reference, deadline, this.#given.resolver.resolve(reference, namespace));
    const owner = { namespace, id: ownerIdOf(uid) };
    const place = placeOf(owner, taggedName(reference));
    const digest = this.#held.get(place);
    if (digest !== undefined) return { digest };
    const question = `${dryRun ? "dry" : "wet"} ${place}`;
    let answer = this.#asking.get(question);
    if (answer === undefined) {
      answer = this.#ask(owner, reference, dryRun).finally(() => this.#asking.delete(question));
      this.#asking.set(question, answer);
    }
    return inTime(reference, deadline, answer);
  }

  async #ask(owner: PinOwner, reference: Reference, dryRun: boolean): Promise<ResolvedTag> {
    const signal = AbortSignal.timeout(this.#settings.deadlineMs);
    try {
      return await unlessAborted(signal, this.#find(owner, reference, dryRun, signal));
    } catch (error) {
      const late = signal.aborted && (error === signal.reason || error instanceof KubeError);
      return problemOf(late ? this.#late(reference, error) : error, this.#given.store.whereIs(owner));
    }
  }

  async #find(owner: PinOwner, reference: Reference, dryRun: boolean, signal: AbortSignal): Promise<ResolvedTag> {
    const { store, resolver } = this.#given;
    const name = taggedName(reference);
    const record = await store.read(owner, signal);
    const pinned = record?.pins.get(pinKey(name))?.digest;
    if (record && pinned !== undefined) {
      if (this.#isFresh(record)) return this.#hold(owner, name, pinned);
      return dryRun ? { digest: pinned } : this.#pin(owner, name, pinned, signal);
    }
    if (record) refuseFull(record);
    const resolved = await resolver.resolve(reference, owner.namespace);
    if ("problem" in resolved || dryRun) return resolved;
    return this.#pin(owner, name, resolved.digest, signal);
  }

  /** Pins a digest, or takes the one that somebody else has pinned by then. */
  #pin(owner: PinOwner, name: string, digest: string, signal: AbortSignal): Promise<ResolvedTag> {
    const { store } = this.#given;
    return this.#turns.take(recordName(owner), async () => {
      for (let attempt = 0; attempt < this.#settings.attempts; attempt += 1) {
        const record = await store.read(owner, signal);
        const pinned = record?.pins.get(pinKey(name))?.digest;
        if (record && pinned !== undefined && this.#isFresh(record)) return this.#hold(owner, name, pinned);
        const chosen = pinned ?? digest;
        const next = withPin(owner, record, { reference: name, digest: chosen }, this.#clock.wall());
        if (await store.write(next, signal)) return this.#hold(owner, name, chosen);
      }
      const why = `it was changed by others ${this.#settings.attempts} times while ${name} was being pinned`;
      throw new PinError("Contended", `${store.whereIs(owner)} can't be written: ${why}`);
    });
  }

  /** Whether a record can't be collected while a digest from it is held. Times to come are a wrong clock's. */
  #isFresh({ used }: PinRecord): boolean {
    return Math.abs(this.#clock.wall() - used) <= this.#settings.touchMs;
  }

  #hold(owner: PinOwner, name: string, digest: string): ResolvedTag {
    this.#held.set(placeOf(owner, name), digest);
    return { digest };
  }

  #late(reference: Reference, cause: unknown): PinError {
    const what = `no digest of ${taggedName(reference)} was resolved and pinned within ${this.#settings.deadlineMs} ms`;
    return new PinError("Deadline", what, { cause });
  }
}

function placeOf(owner: PinOwner, name: string): string {
  return `${recordName(owner)} ${name}`;
}

/** Other pods may wait for the same answer: it is not ended with the time of one. */
async function inTime(
  reference: Reference,
  deadline: Deadline | undefined,
  answer: Promise<ResolvedTag>,
): Promise<ResolvedTag> {
  if (deadline === undefined) return answer;
  const name = taggedName(reference);
  try {
    return await deadline.wait(`the digest of ${name}`, answer);
  } catch (error) {
    if (!(error instanceof KubeError && error.code === "Deadline")) throw error;
    return { problem: `no digest of ${name} came in time`, cause: `${error.code}: ${error.message}` };
  }
}

/** What an API server answers may tell of the operator's cluster: that is for the log alone. */
function problemOf(error: unknown, where: string): ResolvedTag {
  if (error instanceof PinError) {
    const inner = error.cause === undefined ? "" : ` (${messageOf(error.cause)})`;
    return { problem: error.message, cause: `${error.code}: ${error.message}${inner}; ${where}` };
  }
  if (error instanceof KubeError) {
    const problem = "can't read the pins of this pod's owner; the webhook's log says why";
    return { problem, cause: `${error.code}: ${error.message}; ${where}` };
  }
  throw error;
}
