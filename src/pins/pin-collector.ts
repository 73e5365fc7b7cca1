import { withDeadline } from "../kube/answer-deadline.ts";
import type { ApiServer } from "../kube/api-server.ts";
import { jsonOf } from "../kube/body.ts";

import { KubeError } from "../kube/error.ts";
import { METADATA_LIST, metadataKind, type ObjectMetadata } from "../kube/object-metadata.ts";
import { type Page, readPage } from "../kube/watched-kind.ts";
import { timeOf } from "./config-map.ts";
import { PIN_ANNOTATIONS, PIN_LABELS, recordName } from "./record.ts";

/** Times in milliseconds. */
export interface CollectorSettings {
  /** How long a record is kept after its last use, and after its owner was first seen without pods. */
  readonly keptMs: number;
  readonly pageItems: number;
  readonly pageBytes: number;
  /**
   * What one run does at most; the next one goes on from there, or from the beginning where it comes later than the five
   * minutes for which API servers can continue a list.
   */
  readonly pagesPerRun: number;
  readonly deletionsPerRun: number;
  /** How long one call may take. */
  readonly answerMs: number;
}

export const COLLECTOR_SETTINGS: CollectorSettings = {
  keptMs: 3_600_000,
  pageItems: 100,
  pageBytes: 16 * 1024 * 1024,
  pagesPerRun: 1_000,
  deletionsPerRun: 2_000,
  answerMs: 10_000,
};

export interface CollectorDependencies {
  readonly server: ApiServer;
  /** The operator's, where the records are. */
  readonly namespace: string;
  /** Whether an owner has pods; also true while nobody can tell. */
  readonly isOwnerLive: (namespace: string, ownerId: string) => boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly settings?: CollectorSettings;
}

/** What a run did. */
export interface Collection {
  readonly seen: number;
  readonly deleted: number;
  /** Names of objects that are labelled as records and are none: never deleted. The first ones. */
  readonly strange: readonly string[];
  /** Whether it reached the last record. */
  readonly complete: boolean;
}

const STRANGE_SHOWN = 10;

/**
 * Deletes records of pins that nobody will ask for again: those whose owner has no pods and had none for an hour, and
 * that weren't used for as long. A record that is used meanwhile has another version by then, and stays. Any number of
 * replicas may collect at once.
 */
export class PinCollector {
  readonly #given: CollectorDependencies;
  readonly #settings: CollectorSettings;
  /** Where the next run goes on; "" is the beginning. */
  #next = "";
  /** Since when owners are known to be without pods, by record: of the last whole pass, and of this one. */
  #abandoned = new Map<string, number>();
  #seenAbandoned = new Map<string, number>();

  constructor(given: CollectorDependencies) {
    this.#given = given;
    this.#settings = given.settings ?? COLLECTOR_SETTINGS;
  }

  /** Looks at the next records. Not to be called again before it ended. @throws KubeError */
  async run(signal: AbortSignal): Promise<Collection> {
    const { pagesPerRun, deletionsPerRun } = this.#settings;
    const strange: string[] = [];
    let seen = 0;
    let deleted = 0;
    for (let pages = 0; pages < pagesPerRun; pages += 1) {
      const page = await this.#page(signal);
      seen += page.items.length;
      strange.push(...page.items.filter(item => this.#isDue(item) === null).map(({ name }) => name));
      strange.splice(STRANGE_SHOWN);
      deleted += await this.#clear(page, deletionsPerRun - deleted, signal);
      // The next run looks at this page again.
      if (deleted === deletionsPerRun) break;
      this.#next = page.next;
      if (page.next === "") {
        this.#abandoned = this.#seenAbandoned;
        this.#seenAbandoned = new Map();
        return { seen, deleted, strange, complete: true };
      }
    }
    return { seen, deleted, strange, complete: false };
  }

  /** @param most how many may be deleted @returns how many were */
  async #clear({ items }: Page<ObjectMetadata>, most: number, signal: AbortSignal): Promise<number> {
    let deleted = 0;
    for (const item of items) {
      if (deleted === most) break;
      if (this.#isDue(item) && (await this.#delete(item, signal))) deleted += 1;
    }
    return deleted;
  }

  /** Whether a record is to be deleted now; null for what is no record. */
  #isDue({ name, labels, annotations }: ObjectMetadata): boolean | null {
    const { now, isOwnerLive } = this.#given;
    const namespace = labels[PIN_LABELS.namespace];
    const id = annotations[PIN_ANNOTATIONS.owner];
    const used = timeOf(annotations[PIN_ANNOTATIONS.used]);
    if (namespace === undefined || id === undefined || used === null) return null;
    if (name !== recordName({ namespace, id })) return null;
    if (isOwnerLive(namespace, id)) {
      this.#abandoned.delete(name);
      this.#seenAbandoned.delete(name);
      return false;
    }
    const since = this.#seenAbandoned.get(name) ?? this.#abandoned.get(name) ?? now();
    this.#seenAbandoned.set(name, since);
    return now() - Math.max(used, since) > this.#settings.keptMs;
  }

  async #page(signal: AbortSignal): Promise<Page<ObjectMetadata>> {
    const { pageItems, pageBytes, answerMs } = this.#settings;
    const query = new URLSearchParams({
      labelSelector: `${PIN_LABELS.record}=true`,
      limit: String(pageItems),
      ...(this.#next !== "" && { continue: this.#next }),
    });
    try {
      return await withDeadline(signal, answerMs, async inner => {
        const body = await this.#given.server.open(`${this.#path}?${query}`, METADATA_LIST, inner);
        return readPage(
          await jsonOf(body, pageBytes),
          metadataKind(key => Object.values<string>(PIN_ANNOTATIONS).includes(key)),
        );
      });
    } catch (error) {
      const continued = this.#next !== "";
      this.#next = "";
      if (continued && error instanceof KubeError && error.code === "Gone") return this.#page(signal);
      throw error;
    }
  }

  /** @returns whether it was deleted */
  async #delete({ name, resourceVersion }: ObjectMetadata, signal: AbortSignal): Promise<boolean> {
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { resourceVersion } };
    const path = `${this.#path}/${name}`;
    try {
      await withDeadline(signal, this.#settings.answerMs, inner =>
        this.#given.server.write({ method: "DELETE", path, body }, inner),
      );
      return true;
    } catch (error) {
      if (error instanceof KubeError && (error.code === "Conflict" || error.code === "NotFound")) return false;
      throw error;
    }
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#given.namespace}/configmaps`;
  }
}
