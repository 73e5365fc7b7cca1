import { setImmediate as flush } from "node:timers/promises";
import type { Authority, AuthorityCertificate, Certificates, Leaf } from "../../src/certs/certificates.ts";
import { CertificateReconciler } from "../../src/certs/reconciler.ts";
import { REGISTRATION_KINDS, type Registration, type RegistrationKind } from "../../src/certs/registrations.ts";
import type { CertificateTerms } from "../../src/certs/terms.ts";
import { KubeError } from "../../src/kube/error.ts";
import type { LevelState } from "../../src/kube/level-loop.ts";
import type { Secret, SecretContent } from "../../src/kube/secret.ts";

const SECOND = 1_000;
/** How long a call may be under way before it has its effect: client and server both give up. */
const CALL_MS = 60 * SECOND;
/** Entries of each registration. */
const ENTRIES = ["locked", "pod"];

/** Authorities and leaves without cryptography, so that thousands of years can be gone through. */
export function paperCertificates(): Certificates {
  let made = 0;
  const written = (authority: Omit<AuthorityCertificate, "pem">): AuthorityCertificate => ({
    ...authority,
    pem: `AUTHORITY ${authority.id} ${authority.notBefore} ${authority.notAfter}\n`,
  });
  const readAuthorities = (text: string) =>
    [...text.matchAll(/^AUTHORITY (\w+) (\d+) (\d+)$/gm)].map(([, id = "", notBefore, notAfter]) =>
      written({ id, notBefore: Number(notBefore), notAfter: Number(notAfter) }),
    );
  return {
    async createAuthority(lifetimeMs, now): Promise<Authority> {
      made += 1;
      const id = `ca${made}`;
      return { ...written({ id, notBefore: now - 300 * SECOND, notAfter: now + lifetimeMs }), privateKey: `KEY ${id}` };
    },
    async issueLeaf({ privateKey: _, ...issuer }, _names, lifetimeMs, now): Promise<Leaf> {
      made += 1;
      const notAfter = Math.min(now + lifetimeMs, issuer.notAfter);
      return { certificate: `leaf${made}`, privateKey: "", issuer, notBefore: now - 300 * SECOND, notAfter };
    },
    readAuthorities,
    readAuthority(certificate, privateKey) {
      const [authority] = readAuthorities(certificate);
      if (authority === undefined) return { problem: "its certificate can't be read" };
      return privateKey === `KEY ${authority.id}`
        ? { ...authority, privateKey }
        : { problem: "its key is another one's" };
    },
  };
}

interface Version {
  readonly resourceVersion: number;
  readonly bundles: Readonly<Record<string, string>>;
  readonly at: number;
  readonly appliedAt: number | null;
}

interface StoredSecret {
  readonly resourceVersion: number;
  readonly data: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A call of a replica that waits to have its effect, or its answer. */
interface Waiting {
  readonly replica: Replica;
  /** What is asked for; an answer, or something that takes time without a call. */
  readonly what: "read" | "write" | "apply" | "answer" | "work";
  readonly go: (crash: boolean) => void;
}

export interface Replica {
  readonly name: string;
  readonly reconciler: CertificateReconciler;
  /** What its clock is ahead of true time, in milliseconds. */
  readonly skew: number;
  /** Its last run has ended: with this. */
  state: LevelState | "failed" | null;
  wasReady: boolean;
}

/**
 * Replicas and an API server, of which one thing happens at a time, in any order that the caller wants: every call waits to
 * have its effect, and again for its answer to arrive. A replica that crashes in between is replaced by one without memory.
 */
export class Simulation {
  readonly replicas: Replica[] = [];
  secret: StoredSecret | null = null;
  /** All that it ever was. */
  readonly secrets: StoredSecret[] = [];
  /** Reasons for which the Secret was written. */
  readonly writes: string[] = [];
  /** Whether a backup of the Secret was put back. */
  isRestored = false;
  #harm = 0;
  /** Milliseconds. */
  now: number;
  /** Whether the API server answers. */
  isUp = true;
  readonly #certificates = paperCertificates();
  readonly #terms: CertificateTerms;
  readonly #lagMs: number;
  readonly #histories = new Map<RegistrationKind, Version[]>();
  #waiting: Waiting[] = [];
  #versions = 0;
  #started = 0;

  constructor({
    terms,
    lagMs,
    now,
  }: { readonly terms: CertificateTerms; readonly lagMs: number; readonly now: number }) {
    this.#terms = terms;
    this.#lagMs = lagMs;
    this.now = now;
  }

  start(skew = 0): Replica {
    this.#started += 1;
    const gate = (what: Waiting["what"]) =>
      new Promise<void>((resolve, reject) => {
        const go = (crash: boolean) => (crash ? reject(new KubeError("Unreachable", "crashed")) : resolve());
        this.#waiting.push({ replica, what, go });
      });
    const call = async <Answer>(what: Waiting["what"], effect: () => Answer): Promise<Answer> => {
      const asked = this.now;
      await gate(what);
      if (!this.isUp || this.now - asked > CALL_MS) throw new KubeError("Unreachable", "no answer");
      const answer = effect();
      await gate("answer");
      return answer;
    };
    const reconciler = new CertificateReconciler({
      secrets: {
        name: "the Secret",
        read: () => call("read", () => this.#readSecret()),
        write: (before, content) => call("write", () => this.#writeSecret(before, content)),
      },
      registrations: {
        nameOf: kind => kind,
        read: async () =>
          (await Promise.all(REGISTRATION_KINDS.map(kind => call("read", () => this.#readRegistration(kind))))).flat(),
        apply: (registration, bundle) => call("apply", () => this.#apply(registration, bundle)),
      },
      certificates: {
        ...this.#certificates,
        // Keys take a while to be made, in which a process may be stopped.
        createAuthority: async (...asked) => {
          await gate("work");
          return this.#certificates.createAuthority(...asked);
        },
        issueLeaf: async (...asked) => {
          await gate("work");
          return this.#certificates.issueLeaf(...asked);
        },
      },
      names: ["wasmount.svc"],
      terms: this.#terms,
      observer: {
        renewed: () => {},
        patched: () => {},
        serving: () => {},
        wrote: reason => this.writes.push(reason),
      },
      wall: () => this.now + skew,
      monotonic: () => this.now,
    });
    const replica: Replica = { name: `replica ${this.#started}`, reconciler, skew, state: "moving", wasReady: false };
    this.replicas.push(replica);
    return replica;
  }

  /** Has a replica look, if it is not at it. */
  run(replica: Replica): void {
    if (replica.state === null) return;
    replica.state = null;
    const ended = (state: Replica["state"]) => {
      replica.state = state;
    };
    replica.reconciler.run(new AbortController().signal).then(ended, () => ended("failed"));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Lets one of the calls that wait go on. @param which any number */
  async proceed(which: number): Promise<void> {
    const [waiting] = this.#waiting.splice(which % Math.max(1, this.#waiting.length), 1);
    waiting?.go(false);
    await flush();
    this.#note();
  }

  /** Ends a replica where it is, and starts another one in its place. */
  async crash(which: number): Promise<void> {
    const [replica] = this.replicas.splice(which % this.replicas.length, 1);
    const theirs = this.#waiting.filter(waiting => waiting.replica === replica);
    this.#waiting = this.#waiting.filter(waiting => waiting.replica !== replica);
    for (const { go } of theirs) go(true);
    this.start(replica?.skew);
    await flush();
  }

  /** Lets one replica go on until it is about to call the API server for something. */
  async proceedUntil(replica: Replica, what: Waiting["what"]): Promise<void> {
    for (;;) {
      const theirs = this.#waiting.findIndex(waiting => waiting.replica === replica);
      if (theirs < 0) throw new Error(`${replica.name} never called for ${what}`);
      if (this.#waiting[theirs]?.what === what) return;
      await this.proceed(theirs);
    }
  }

  /** Lets all replicas look as often as they want to, with time in between, until they rest; but for one that is stopped. */
  async settle(stopped?: Replica): Promise<void> {
    const moving = this.replicas.filter(replica => replica !== stopped);
    for (let round = 0; round < 60; round += 1) {
      for (const replica of moving) this.run(replica);
      for (;;) {
        const next = this.#waiting.findIndex(({ replica }) => replica !== stopped);
        if (next < 0) break;
        await this.proceed(next);
      }
      this.now += 10 * SECOND;
      this.#note();
      if (moving.every(({ state }) => state === "there")) return;
    }
    throw new Error(`never at rest: ${JSON.stringify(this.replicas.map(({ name, state }) => [name, state]))}`);
  }

  // What people and other controllers do.

  /** Whether the Secret may be harmed once more: so many authorities in so little time are more than are remembered. */
  isHarmed(): boolean {
    this.#harm += 1;
    return this.#harm < this.#terms.oldAuthorities - 2;
  }

  putSecret(data: Readonly<Record<string, string>>, annotations: Readonly<Record<string, string>> = {}): void {
    this.#versions += 1;
    this.secret = { resourceVersion: this.#versions, data, annotations };
    this.secrets.push(this.secret);
  }

  register(kind: RegistrationKind, bundle = ""): void {
    const bundles = Object.fromEntries(ENTRIES.map(entry => [entry, bundle]));
    this.#store(kind, { bundles, appliedAt: null }, true);
  }

  unregister(kind: RegistrationKind): void {
    this.#histories.delete(kind);
  }

  bundlesOf(kind: RegistrationKind): readonly string[] {
    return Object.values(this.#histories.get(kind)?.at(-1)?.bundles ?? {});
  }

  /** What is wrong now, in words; null where every leaf that is served is believed by every API server. */
  violation(): string | null {
    for (const { name, reconciler, wasReady, skew } of this.replicas) {
      const { leaf } = reconciler;
      // A replica that never was ready is not called. One whose clock is right but that was stopped for weeks can't serve.
      if (leaf === null || !wasReady || leaf.notAfter <= this.now + skew) continue;
      for (const [kind, history] of this.#histories) {
        for (const version of believed(history, this.now, this.#lagMs)) {
          const trusting = (bundle: string) =>
            this.#certificates.readAuthorities(bundle).some(({ id }) => id === leaf.issuer.id);
          if (Object.values(version.bundles).every(trusting)) continue;
          return `${name} serves a leaf of ${leaf.issuer.id}, and an API server may hold version ${version.resourceVersion} of ${kind}: ${JSON.stringify(version.bundles)}`;
        }
      }
    }
    return null;
  }

  #note(): void {
    for (const replica of this.replicas) {
      const { reconciler, skew } = replica;
      if ((reconciler.leaf?.notAfter ?? 0) <= this.now + skew) replica.wasReady = false;
      replica.wasReady ||= reconciler.notReady() === null;
    }
  }

  #readSecret(): Secret | null {
    if (this.secret === null) return null;
    const { resourceVersion, data, annotations } = this.secret;
    const common = { name: "ca", namespace: "own", type: "Opaque", metadata: {} };
    return { ...common, data, annotations, resourceVersion: String(resourceVersion) };
  }

  #writeSecret(before: Secret | null, { data, annotations }: SecretContent): boolean {
    if ((before?.resourceVersion ?? null) !== (this.secret === null ? null : String(this.secret.resourceVersion)))
      return false;
    const merged = Object.entries({ ...before?.annotations, ...annotations });
    this.putSecret(data, Object.fromEntries(merged.filter((entry): entry is [string, string] => entry[1] !== null)));
    return true;
  }

  #readRegistration(kind: RegistrationKind): readonly Registration[] {
    const version = this.#histories.get(kind)?.at(-1);
    if (version === undefined) return [];
    const { bundles, resourceVersion, appliedAt } = version;
    const entries = Object.entries(bundles).map(([name, bundle]) => ({
      name,
      bundle,
      authorities: this.#certificates.readAuthorities(bundle),
    }));
    return [{ kind, resourceVersion: String(resourceVersion), entries, appliedAt }];
  }

  #apply({ kind, resourceVersion, entries }: Registration, bundle: string): boolean {
    if (String(this.#histories.get(kind)?.at(-1)?.resourceVersion) !== resourceVersion) return false;
    const bundles = Object.fromEntries(entries.map(({ name }) => [name, bundle]));
    this.#store(kind, { bundles, appliedAt: this.now }, false);
    return true;
  }

  #store(kind: RegistrationKind, version: Pick<Version, "bundles" | "appliedAt">, anew: boolean): void {
    this.#versions += 1;
    const history = anew ? [] : (this.#histories.get(kind) ?? []);
    history.push({ ...version, resourceVersion: this.#versions, at: this.now });
    this.#histories.set(kind, history);
  }
}

/** The versions that an API server may hold which is behind by so much time, or by the last write. */
function believed(history: readonly Version[], now: number, lagMs: number): readonly Version[] {
  return history.filter((_, index) => {
    const next = history[index + 1];
    return next === undefined || now - next.at < lagMs;
  });
}
