import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import type { ApiServer, Write } from "../../src/kube/api-server.ts";
import { KubeError } from "../../src/kube/error.ts";
import { ELECTION_SETTINGS, type ElectionSettings, LeaderElection } from "../../src/kube/leader-election.ts";

interface Waiter {
  readonly at: number;
  readonly resolve: () => void;
}

/** Time that passes only when a test says so. */
export class FakeClock {
  now = 1_000;
  #waiters = new Set<Waiter>();

  readonly sleep = (milliseconds: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const waiter = { at: this.now + milliseconds, resolve };
      this.#waiters.add(waiter);
      signal.addEventListener("abort", () => {
        this.#waiters.delete(waiter);
        reject(signal.reason as Error);
      });
    });

  /** @param step called whenever something happened */
  async pass(milliseconds: number, step: () => void = () => {}): Promise<void> {
    const end = this.now + milliseconds;
    await settled();
    for (;;) {
      const [due] = [...this.#waiters].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (due === undefined) break;
      this.now = Math.max(this.now, due.at);
      this.#waiters.delete(due);
      due.resolve();
      await settled();
      step();
    }
    this.now = end;
  }
}

export async function settled(): Promise<void> {
  for (let turns = 0; turns < 4; turns += 1) await new Promise(resolve => setImmediate(resolve));
}

/** What the network does to one call: how long it takes, and whether the call or its answer is lost on the way. */
export interface Fate {
  readonly toMs: number;
  readonly fromMs: number;
  readonly lost: "call" | "answer" | null;
}

const SMOOTH: Fate = { toMs: 1, fromMs: 1, lost: null };

/** The Leases of an API server: compare-and-set by resourceVersion, over a network that may do as it likes. */
export class LeaseServer {
  lease: Record<string, unknown> | null = null;
  readonly calls: string[] = [];
  readonly #clock: FakeClock;
  #version = 0;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  get holder(): string {
    return (this.lease?.["spec"] as { holderIdentity?: string } | undefined)?.holderIdentity ?? "";
  }

  /** @param fate of each call of this client */
  client(fate: () => Fate = () => SMOOTH): ApiServer {
    const through = async <Answer>(signal: AbortSignal, run: () => Answer): Promise<Answer> => {
      const { toMs, fromMs, lost } = fate();
      const never = () => new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(gone())));
      const gone = () => new KubeError("Unreachable", "lost");
      // A call that was sent arrives, whether its sender waits for it or not.
      await this.#clock.sleep(toMs, new AbortController().signal);
      if (lost === "call") return never();
      const answer = run();
      await this.#clock.sleep(fromMs, new AbortController().signal);
      if (lost === "answer") return never();
      if (signal.aborted) throw gone();
      return answer;
    };
    return {
      open: (path, _accept, signal) => through(signal, () => this.#read(path)),
      write: (write, signal) => through(signal, () => this.#write(write)),
    };
  }

  #read(path: string): IncomingMessage {
    this.calls.push(`GET ${path}`);
    if (this.lease === null) throw new KubeError("NotFound", "HTTP 404");
    return Readable.from([Buffer.from(JSON.stringify(this.lease))]) as IncomingMessage;
  }

  #write({ method, path, body }: Write): unknown {
    this.calls.push(`${method} ${path}`);
    const object = structuredClone(body) as Record<string, unknown> & { metadata: Record<string, unknown> };
    if (method === "POST" && this.lease !== null) throw new KubeError("Conflict", "HTTP 409");
    if (method === "PUT") {
      if (this.lease === null) throw new KubeError("NotFound", "HTTP 404");
      const { resourceVersion } = this.lease["metadata"] as Record<string, unknown>;
      if (object.metadata["resourceVersion"] !== resourceVersion) throw new KubeError("Conflict", "HTTP 409");
    }
    this.#version += 1;
    object.metadata["resourceVersion"] = String(this.#version);
    this.lease = object;
    return structuredClone(object);
  }
}

/** One process that takes part in an election, with what became of it. */
export class Candidate {
  readonly election: LeaderElection;
  readonly events: string[] = [];
  /** Terms whose signal is not aborted: what it does as a leader. */
  working = 0;
  #finish: (() => void) | null = null;

  constructor(
    name: string,
    clock: FakeClock,
    server: ApiServer,
    {
      random = () => 0.5,
      settings = {},
      skew = 0,
    }: { random?: () => number; settings?: Partial<ElectionSettings>; skew?: number } = {},
  ) {
    this.election = new LeaderElection({
      server,
      place: { namespace: "wasmount-system", name: "wasmount-controller" },
      identity: name,
      lead: signal =>
        new Promise(resolve => {
          this.working += 1;
          this.#finish = resolve;
          signal.addEventListener("abort", () => {
            this.working -= 1;
            resolve();
          });
        }),
      reports: {
        began: () => this.events.push("began"),
        ended: why => this.events.push(`ended: ${why}`),
        failed: () => this.events.push("failed"),
      },
      settings: { ...ELECTION_SETTINGS, ...settings },
      monotonic: () => clock.now + skew,
      // Nobody's wall clock is compared with anybody's: they may be years apart.
      wall: () => clock.now + skew * 1_000_000,
      random,
      sleep: clock.sleep,
    });
  }

  /** Its work ends by itself. */
  finish(): void {
    this.#finish?.();
  }
}
