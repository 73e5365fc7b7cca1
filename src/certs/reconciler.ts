import { withDeadline } from "../kube/answer-deadline.ts";
import type { LevelState } from "../kube/level-loop.ts";
import type { Secret, SecretStore } from "../kube/secret.ts";
import type { Certificates, Leaf, ServerNames } from "./certificates.ts";
import { authoritySecret, readHeldAuthority } from "./held-authority.ts";
import { type Facts, type HeldAuthority, isEverywhere, nextStep, type Step, type WriteReason } from "./lifecycle.ts";
import { REGISTRATION_KINDS, type Registration, type RegistrationKind, type Registrations } from "./registrations.ts";
import type { CertificateTerms } from "./terms.ts";

/** What is renewed. */
export type RenewedKind = "serving" | "authority";
/** How an attempt to write ended. `Conflict`: another replica, or somebody else, wrote first. */
export type WriteResult = "Written" | "Conflict" | "Failed";

/** Told of what is done. */
export interface CertificateObserver {
  /** A leaf was signed, or was not; the Secret was given another authority, or was not. */
  renewed(kind: RenewedKind, result: WriteResult): void;
  patched(registration: RegistrationKind, result: WriteResult): void;
  /** The Secret was written. */
  wrote(reason: WriteReason, detail: string): void;
  serving(leaf: Leaf): void;
}

export interface ReconcilerDependencies {
  readonly secrets: SecretStore;
  readonly registrations: Registrations;
  readonly certificates: Certificates;
  readonly names: ServerNames;
  readonly terms: CertificateTerms;
  readonly observer: CertificateObserver;
  /** Milliseconds since 1970, and of a clock that never goes back. */
  readonly wall: () => number;
  readonly monotonic: () => number;
}

/** What one call of the API server may take, in milliseconds. */
const CALL_MS = 10_000;
/** Steps of one run. A start takes five. */
const STEPS = 12;

/**
 * Brings Secret, registrations and this replica's leaf to where they should be, one step at a time, each from what was just
 * read. There is no leader: every write names the version that it is about, and where two replicas do the same, one does it.
 */
export class CertificateReconciler {
  readonly #given: ReconcilerDependencies;
  #leaf: Leaf | null = null;
  #authorityEnds: number | null = null;
  #registrations: readonly Registration[] | null = null;
  /** Since when the registrations are known to name an authority everywhere, and when they last did, on the monotonic clock. */
  #trusted: { readonly id: string; readonly since: number; readonly seen: number } | null = null;
  #wasReady = false;

  constructor(given: ReconcilerDependencies) {
    this.#given = given;
  }

  /** What this replica serves. */
  get leaf(): Leaf | null {
    return this.#leaf;
  }

  /** When the authority ends that signs now, in milliseconds since 1970; null where none is known. */
  get authorityEnds(): number | null {
    return this.#authorityEnds;
  }

  /**
   * Why API servers can't be expected to believe this replica now, or null while they can. A registration that was deleted
   * is no reason any more once it was ready: then nobody calls by it, and those who call by the other one should be answered.
   */
  notReady(): string | null {
    const problem = this.#problem();
    if (problem === null) this.#wasReady = true;
    return problem;
  }

  /** @throws KubeError */
  async run(signal: AbortSignal): Promise<LevelState> {
    for (let steps = 0; steps < STEPS; steps += 1) {
      const now = this.#given.wall();
      const { secret, facts } = await this.#look(now, signal);
      const step = nextStep(facts, this.#given.terms);
      if (step.kind === "rest" && !this.#isSettled(now)) return { waitMs: this.#given.terms.firstSettleMs };
      if (step.kind === "rest") return steps === 0 ? "there" : "moving";
      if (step.kind === "settle") return { waitMs: step.waitMs };
      if (!(await this.#take(step, secret, now, signal))) return "moving";
    }
    return "moving";
  }

  /** The registrations first: see {@link Facts}. */
  async #look(
    now: number,
    signal: AbortSignal,
  ): Promise<{ readonly secret: Secret | null; readonly facts: Facts<Registration> }> {
    const { secrets, registrations, certificates } = this.#given;
    const found = await withDeadline(signal, CALL_MS, registrations.read);
    this.#registrations = found;
    const secret = await withDeadline(signal, CALL_MS, secrets.read);
    const held = secret === null ? null : readHeldAuthority(secret, certificates);
    const trustedMs = this.#noteTrust(held, found);
    return { secret, facts: { now, registrations: found, secret: held, leaf: this.#leaf, trustedMs } };
  }

  #noteTrust(held: HeldAuthority | null, registrations: readonly Registration[]): number {
    const current = held === null || "problem" in held.current ? null : held.current;
    this.#authorityEnds = current?.notAfter ?? this.#authorityEnds;
    if (current === null || !isEverywhere(current, registrations)) {
      this.#trusted = null;
      return 0;
    }
    const seen = this.#given.monotonic();
    const since = this.#trusted?.id === current.id ? this.#trusted.since : seen;
    this.#trusted = { id: current.id, since, seen };
    return seen - since;
  }

  /** @returns whether it was done, so that it is worth looking what comes next */
  async #take(
    step: Exclude<Step<Registration>, { kind: "rest" | "settle" }>,
    secret: Secret | null,
    now: number,
    signal: AbortSignal,
  ) {
    switch (step.kind) {
      case "sign":
        return this.#sign(step, now);
      case "write":
        return this.#write(step, secret, now, signal);
      case "apply":
        return this.#apply(step, now, signal);
    }
  }

  async #sign({ authority }: Extract<Step, { kind: "sign" }>, now: number): Promise<boolean> {
    const { certificates, names, terms, observer } = this.#given;
    try {
      const leaf = await certificates.issueLeaf(authority, names, terms.leafMs, now);
      if (this.#isLate(now)) return false;
      // One that served nothing that is believed begins anew, and gives API servers time.
      if (this.#leaf === null || this.#leaf.notAfter <= now || this.#isDistrusted(this.#leaf)) this.#wasReady = false;
      this.#leaf = leaf;
      observer.renewed("serving", "Written");
      observer.serving(leaf);
      return true;
    } catch (error) {
      observer.renewed("serving", "Failed");
      throw error;
    }
  }

  async #write(
    { reason, authority, old, oldUntil, detail }: Extract<Step, { kind: "write" }>,
    secret: Secret | null,
    now: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { secrets, certificates, terms, observer } = this.#given;
    try {
      const next = authority ?? (await certificates.createAuthority(terms.authorityMs, now));
      if (this.#isLate(now)) return false;
      const content = authoritySecret(next, old, oldUntil, authority === null);
      const isWritten = await withDeadline(signal, CALL_MS, stop => secrets.write(secret, content, stop));
      if (authority === null) observer.renewed("authority", isWritten ? "Written" : "Conflict");
      if (isWritten) observer.wrote(reason, detail);
      return isWritten;
    } catch (error) {
      if (authority === null) observer.renewed("authority", "Failed");
      throw error;
    }
  }

  async #apply(
    { registration, bundle }: Extract<Step<Registration>, { kind: "apply" }>,
    now: number,
    signal: AbortSignal,
  ) {
    const { registrations, observer } = this.#given;
    if (this.#isLate(now)) return false;
    try {
      const isApplied = await withDeadline(signal, CALL_MS, stop => registrations.apply(registration, bundle, stop));
      observer.patched(registration.kind, isApplied ? "Written" : "Conflict");
      return isApplied;
    } catch (error) {
      observer.patched(registration.kind, "Failed");
      throw error;
    }
  }

  /** Whether so much time went by since the clock was looked at that what was decided then no longer holds. */
  #isLate(now: number): boolean {
    return Math.abs(this.#given.wall() - now) > this.#given.terms.hasteMs;
  }

  #problem(): string | null {
    const leaf = this.#leaf;
    const now = this.#given.wall();
    if (this.#registrations === null) return "the registrations were not read yet";
    const { nameOf } = this.#given.registrations;
    const missing = REGISTRATION_KINDS.find(kind => !this.#registrations?.some(found => found.kind === kind));
    if (missing !== undefined && !this.#wasReady)
      return `${nameOf(missing)} is missing: install the chart, or apply manifests/install.yaml`;
    if (leaf === null) return "there is no serving certificate yet";
    if (leaf.notAfter <= now) return `the serving certificate ended ${new Date(leaf.notAfter).toISOString()}`;
    const distrusting = this.#registrations.find(found => !isEverywhere(leaf.issuer, [found]));
    if (distrusting !== undefined)
      return `${nameOf(distrusting.kind)} does not trust the authority of this replica's certificate`;
    return this.#wasReady || this.#isSettled(now) ? null : "API servers are given time to learn whom to trust";
  }

  #isDistrusted({ issuer }: Leaf): boolean {
    return this.#registrations !== null && !isEverywhere(issuer, this.#registrations);
  }

  /** A replica that comes later need not wait for what API servers have known for long. */
  #isSettled(now: number): boolean {
    const { terms } = this.#given;
    if (this.#trusted !== null && this.#trusted.seen - this.#trusted.since >= terms.firstSettleMs) return true;
    return (
      this.#registrations?.every(({ appliedAt }) => appliedAt !== null && now - appliedAt >= terms.knownMs) ?? false
    );
  }
}
