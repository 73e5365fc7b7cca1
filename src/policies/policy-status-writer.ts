import type { ApiServer } from "../kube/api-server.ts";
import { KubeError } from "../kube/error.ts";
import type { PolicySet } from "./policy-set.ts";
import { newStatus } from "./policy-status.ts";
import { POLICY_API, POLICY_COLLECTIONS, type PolicyStatus, type WatchedPolicy } from "./watched-policy.ts";

export interface PolicyStatusWriterDependencies {
  readonly server: Pick<ApiServer, "write">;
  /** The cluster's policies as they are held. */
  readonly policies: () => readonly WatchedPolicy[];
  readonly set: () => PolicySet;
  readonly failed: (policy: string, error: unknown) => void;
  readonly wall: () => Date;
  /** Resolves after so many milliseconds, rejects when the signal is aborted. */
  readonly sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Changes come together. Milliseconds. */
const SETTLE_MS = 500;
const RETRY_MS = 30_000;
const WRITE_MS = 5_000;

/**
 * Keeps the statuses of policies true, by what this replica makes of them: for the one that leads. It writes only what is
 * not there already. A write names the version that it is about, so that of two at once, while one leader follows another,
 * one counts.
 */
export class PolicyStatusWriter {
  readonly #given: PolicyStatusWriterDependencies;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #woken = Promise.withResolvers<void>();

  constructor(given: PolicyStatusWriterDependencies) {
    this.#given = given;
    this.#running = this.#run();
  }

  /** Something changed. */
  wake(): void {
    this.#woken.resolve();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    this.wake();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { sleep } = this.#given;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#woken.promise;
      await sleep(SETTLE_MS, signal).catch(() => {});
      if (signal.aborted) return;
      this.#woken = Promise.withResolvers();
      if (!(await this.#writeAll())) this.#wakeLater();
    }
  }

  #wakeLater(): void {
    const { sleep } = this.#given;
    sleep(RETRY_MS, this.#ending.signal).then(
      () => this.wake(),
      () => {},
    );
  }

  /** @returns whether all was written that had to be */
  async #writeAll(): Promise<boolean> {
    const { policies, set, failed, wall } = this.#given;
    const compiled = new Map(set().policies.map(one => [one.name, one]));
    let complete = true;
    for (const policy of policies()) {
      const one = compiled.get(policy.found.name);
      const next = one === undefined ? null : newStatus(policy, one.rule, wall());
      if (next === null) continue;
      try {
        await this.#write(policy, next);
      } catch (error) {
        // Somebody else changed it, or it is gone: the watch tells.
        if (error instanceof KubeError && (error.code === "Conflict" || error.code === "NotFound")) continue;
        complete = false;
        failed(policy.found.name, error);
      }
    }
    return complete;
  }

  async #write({ kind, name, namespace, resourceVersion }: WatchedPolicy, status: PolicyStatus): Promise<void> {
    const place = namespace === "" ? "" : `/namespaces/${namespace}`;
    await this.#given.server.write(
      {
        method: "PATCH",
        path: `${POLICY_API}${place}/${POLICY_COLLECTIONS[kind]}/${name}/status`,
        body: { metadata: { resourceVersion }, status },
        contentType: "application/merge-patch+json",
      },
      AbortSignal.any([this.#ending.signal, AbortSignal.timeout(WRITE_MS)]),
    );
  }
}
