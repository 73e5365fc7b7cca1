import type { ApiServer } from "./api-server.ts";
import { type Backoff, waitAfterFailures } from "./backoff.ts";
import { jsonOf } from "./body.ts";
import { KubeError } from "./error.ts";
import { heldLease, type Lease, type LeasePlace, leaseCollection, newLease, readLease } from "./lease.ts";

/** Times in milliseconds. */
export interface ElectionSettings {
  /** How long a Lease that nobody renews is left to its holder. */
  readonly leaseMs: number;
  /** How long after its last renewal was sent a leader may go on. The rest of `leaseMs` is for its work to end in. */
  readonly renewMs: number;
  /** How often a leader renews, and how often the others look. */
  readonly retryMs: number;
  /** The others wait longer by up to this part, so that they don't all come at once. */
  readonly jitter: number;
  /** What one call may take. */
  readonly callMs: number;
  /** Of one that is no leader, where calls fail. */
  readonly backoff: Backoff;
}

/**
 * client-go's (tools/leaderelection; the defaults of component-base): five tries to renew before a leader gives up, and
 * five seconds between that and the moment when another may begin.
 */
export const ELECTION_SETTINGS: ElectionSettings = {
  leaseMs: 15_000,
  renewMs: 10_000,
  retryMs: 2_000,
  jitter: 1.2,
  callMs: 5_000,
  backoff: { baseMs: 2_000, maxMs: 30_000 },
};

export interface ElectionDependencies {
  readonly server: ApiServer;
  readonly place: LeasePlace;
  /** Another one for each process, also where it runs in the same pod as one before it. */
  readonly identity: string;
  /**
   * What the leader does. It ends soon after the signal is aborted, and until then goes on for as long as it likes: where
   * it ends or throws before, the Lease is given up.
   */
  readonly lead: (signal: AbortSignal) => Promise<void>;
  readonly reports: ElectionReports;
  readonly settings?: ElectionSettings;
  /** Milliseconds of a clock that never goes back, and since 1970. */
  readonly monotonic: () => number;
  readonly wall: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Rejects when aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<unknown>;
}

export interface ElectionReports {
  began(): void;
  ended(why: string): void;
  /** A call failed; others follow. */
  failed(error: unknown): void;
}

/** What came of trying to hold the Lease. `sentAt` is when the write was sent that did it. */
type Attempt =
  | { readonly kind: "held"; readonly lease: Lease; readonly sentAt: number }
  | { readonly kind: "others" }
  | { readonly kind: "failed"; readonly error: unknown };

/** What was last seen of the Lease, and when it was seen to change. */
interface Sight {
  readonly lease: Lease;
  readonly at: number;
}

/**
 * Holds an election by a Lease, as client-go does: who writes the Lease first leads, for as long as its renewals arrive.
 *
 * No clock is compared with another machine's. Whoever does not lead watches the Lease change and takes it once it stood
 * still for its whole duration by its own clock. A leader counts from before it sent a renewal, the others from after they
 * saw it: so a leader that can't renew is told to stop (`renewMs`) before any other may begin (`leaseMs`), as long as
 * clocks run at about one pace. It is no fence: a process that is frozen in the middle of a write may finish it when
 * another leads. What leaders do has to be harmless twice.
 */
export class LeaderElection {
  readonly #given: ElectionDependencies;
  readonly #settings: ElectionSettings;
  readonly #path: string;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #seen: Sight | null = null;
  /** Until when it leads; null while it does not. */
  #until: number | null = null;

  constructor(given: ElectionDependencies) {
    this.#given = given;
    this.#settings = given.settings ?? ELECTION_SETTINGS;
    this.#path = leaseCollection(given.place.namespace);
    this.#running = this.#run();
  }

  get leading(): boolean {
    return this.#until !== null && this.#given.monotonic() < this.#until;
  }

  /** Ends what a leader does, and then gives the Lease up, so that another need not wait for its end. */
  async close(): Promise<void> {
    this.#ending.abort(new Error("closed"));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { random, reports } = this.#given;
    const { retryMs, jitter, backoff } = this.#settings;
    let failures = 0;
    while (!this.#ending.signal.aborted) {
      const attempt = await this.#attempt(this.#settings.callMs, this.#ending.signal);
      if (attempt.kind === "held") {
        failures = 0;
        await this.#term(attempt.lease, attempt.sentAt);
        // Not at once: what ended a term might end the next one as soon.
        await this.#pause(retryMs * (1 + random() * jitter));
      } else if (attempt.kind === "others") {
        failures = 0;
        await this.#pause(retryMs * (1 + random() * jitter));
      } else if (!this.#ending.signal.aborted) {
        reports.failed(attempt.error);
        failures += 1;
        await this.#pause(waitAfterFailures(failures, backoff, random));
      }
    }
  }

  /** Leads until it can't, or is to end. */
  async #term(held: Lease, sentAt: number): Promise<void> {
    const { lead, reports } = this.#given;
    this.#until = sentAt + this.#settings.renewMs;
    const stop = new AbortController();
    reports.began();
    const work = lead(stop.signal).then(
      () => "its work ended",
      error => {
        reports.failed(error);
        return "its work failed";
      },
    );
    const workEnded = new AbortController();
    work.then(() => workEnded.abort());
    const resigning = AbortSignal.any([this.#ending.signal, workEnded.signal]);
    const { lease, why } = await this.#renewing(held, resigning);
    this.#until = null;
    stop.abort(new Error("leads no longer"));
    const end = await work;
    if (lease !== null) await this.#release(lease);
    reports.ended(why ?? (this.#ending.signal.aborted ? "closed" : end));
  }

  /**
   * Renews for as long as it can.
   * @returns the Lease that is held still, where it is given up by choice; and why it is not, where it is lost
   */
  async #renewing(first: Lease, resigning: AbortSignal): Promise<{ lease: Lease | null; why: string | null }> {
    const { monotonic, sleep, reports } = this.#given;
    const { retryMs, renewMs, callMs } = this.#settings;
    let lease = first;
    for (;;) {
      const left = () => (this.#until ?? 0) - monotonic();
      await sleep(Math.min(retryMs, Math.max(0, left())), resigning).catch(() => {});
      if (resigning.aborted) return { lease, why: null };
      if (left() <= 0) return { lease: null, why: `it could not be renewed for ${renewMs} ms` };
      const attempt = await this.#renew(lease, Math.min(callMs, left()), resigning);
      if (resigning.aborted) return { lease: attempt.kind === "held" ? attempt.lease : lease, why: null };
      if (attempt.kind === "others") return { lease: null, why: "another holds it" };
      if (attempt.kind === "held") {
        lease = attempt.lease;
        this.#until = attempt.sentAt + renewMs;
      } else reports.failed(attempt.error);
    }
  }

  /** Writes what is known to be held; where that is not as it is thought to be, looks. */
  async #renew(lease: Lease, milliseconds: number, signal: AbortSignal): Promise<Attempt> {
    return this.#within(milliseconds, signal, async inner => {
      try {
        return await this.#put(lease, null, inner);
      } catch (error) {
        if (codeOf(error) !== "Conflict" && codeOf(error) !== "NotFound") throw error;
        return this.#take(inner);
      }
    });
  }

  #attempt(milliseconds: number, signal: AbortSignal): Promise<Attempt> {
    return this.#within(milliseconds, signal, inner => this.#take(inner));
  }

  /** Takes the Lease if it is there to be taken, or held already. */
  async #take(signal: AbortSignal): Promise<Attempt> {
    const { identity } = this.#given;
    const lease = await this.#get(signal);
    try {
      if (lease === null) return this.#isHeldByOthers() ? { kind: "others" } : await this.#create(signal);
      this.#see(lease);
      if (lease.holder !== identity && this.#isHeldByOthers()) return { kind: "others" };
      return await this.#put(lease, lease.holder === identity ? null : this.#given.wall(), signal);
    } catch (error) {
      // Somebody else was first.
      if (codeOf(error) === "Conflict") return { kind: "others" };
      throw error;
    }
  }

  /** Whether somebody else held what was last seen, and may still. Also of a Lease that was deleted meanwhile. */
  #isHeldByOthers(): boolean {
    if (this.#seen === null) return false;
    const { lease, at } = this.#seen;
    const held = lease.holder !== "" && lease.holder !== this.#given.identity;
    return held && this.#given.monotonic() - at < lease.durationMs;
  }

  #see(lease: Lease): void {
    if (this.#seen?.lease.content === lease.content) return;
    this.#seen = { lease, at: this.#given.monotonic() };
  }

  async #get(signal: AbortSignal): Promise<Lease | null> {
    const { server, place } = this.#given;
    try {
      const path = `${this.#path}/${encodeURIComponent(place.name)}`;
      return this.#read(await jsonOf(await server.open(path, "application/json", signal), LEASE_BYTES));
    } catch (error) {
      if (codeOf(error) === "NotFound") return null;
      throw error;
    }
  }

  async #create(signal: AbortSignal): Promise<Attempt> {
    const { server, place, wall, monotonic } = this.#given;
    const sentAt = monotonic();
    const body = newLease(place, { ...this.#holding(), acquiredAt: wall() });
    return this.#held(await server.write({ method: "POST", path: this.#path, body }, signal), sentAt);
  }

  /** @param acquiredAt null for a renewal */
  async #put(lease: Lease, acquiredAt: number | null, signal: AbortSignal): Promise<Attempt> {
    const { monotonic } = this.#given;
    const sentAt = monotonic();
    const answer = await this.#write(heldLease(lease, { ...this.#holding(), acquiredAt }), signal);
    return this.#held(answer, sentAt);
  }

  #write(body: object, signal: AbortSignal): Promise<unknown> {
    const { server, place } = this.#given;
    return server.write({ method: "PUT", path: `${this.#path}/${encodeURIComponent(place.name)}`, body }, signal);
  }

  /** For the next one to begin at once. Where it can't be written, the next one waits. */
  async #release(lease: Lease): Promise<void> {
    const { identity, reports } = this.#given;
    const released = await this.#within(this.#settings.retryMs, new AbortController().signal, async signal => {
      try {
        return await this.#vacate(lease, signal);
      } catch (error) {
        if (codeOf(error) !== "Conflict") throw error;
        // A renewal may have been written whose answer was not waited for.
        const now = await this.#get(signal);
        return now?.holder === identity ? this.#vacate(now, signal) : { kind: "others" };
      }
    });
    if (released.kind === "failed") reports.failed(released.error);
  }

  async #vacate(lease: Lease, signal: AbortSignal): Promise<Attempt> {
    const vacancy = { holder: "", durationMs: 1_000, renewedAt: this.#given.wall(), acquiredAt: null };
    await this.#write(heldLease(lease, vacancy), signal);
    return { kind: "others" };
  }

  #holding() {
    const { identity, wall } = this.#given;
    return { holder: identity, durationMs: this.#settings.leaseMs, renewedAt: wall() };
  }

  #held(answer: unknown, sentAt: number): Attempt {
    const lease = this.#read(answer);
    this.#see(lease);
    return { kind: "held", lease, sentAt };
  }

  #read(value: unknown): Lease {
    return readLease(value, this.#settings.leaseMs);
  }

  /** Runs an attempt that fails, at the latest, after so many milliseconds of the given clock. */
  async #within(
    milliseconds: number,
    outer: AbortSignal,
    attempt: (signal: AbortSignal) => Promise<Attempt>,
  ): Promise<Attempt> {
    const done = new AbortController();
    const error = new KubeError("Unreachable", `no answer within ${Math.round(milliseconds)} ms`);
    const late = this.#given.sleep(milliseconds, AbortSignal.any([outer, done.signal])).then(
      (): Attempt => ({ kind: "failed", error }),
      (): Attempt => ({ kind: "failed", error: new KubeError("Unreachable", "given up") }),
    );
    const trying = attempt(AbortSignal.any([outer, done.signal])).catch(
      (failure): Attempt => ({ kind: "failed", error: failure }),
    );
    try {
      return await Promise.race([trying, late]);
    } finally {
      done.abort(error);
    }
  }

  async #pause(milliseconds: number): Promise<void> {
    await this.#given.sleep(milliseconds, this.#ending.signal).catch(() => {});
  }
}

const LEASE_BYTES = 256 * 1024;

function codeOf(error: unknown): string {
  return error instanceof KubeError ? error.code : "";
}
