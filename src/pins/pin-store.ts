import type { ApiServer, Write } from "../kube/api-server.ts";
import { jsonOf } from "../kube/body.ts";
import { KubeError } from "../kube/error.ts";
import { METADATA_LIST, metadataKind } from "../kube/object-metadata.ts";
import { readPage } from "../kube/watched-kind.ts";
import { recordFromConfigMap, recordToConfigMap } from "./config-map.ts";
import { PinError } from "./error.ts";
import { PIN_LABELS, type PinOwner, type PinRecord, recordName, shardOf } from "./record.ts";
import { Turns } from "./turns.ts";

/** 64 pins of at most a KiB each, and their managed fields. */
const RECORD_BYTES = 256 * 1024;
/** The metadata of one shard's records. */
const SHARD_BYTES = 4 * 1024 * 1024;

/**
 * Records that one shard of a namespace may have: 16,384 in a namespace at most, and since names spread evenly, 10,000
 * in practice. Who may create pods can make up owners; each costs the cluster one small object for an hour or two.
 */
export const RECORDS_PER_SHARD = 64;

/** The records of pins, in ConfigMaps of the operator's own namespace. */
export class PinStore {
  readonly #server: ApiServer;
  readonly #namespace: string;
  readonly #perShard: number;
  /** A shard is counted and added to by one at a time, or a burst of made-up owners would be counted as none. */
  readonly #shards = new Turns();

  constructor(server: ApiServer, namespace: string, recordsPerShard: number = RECORDS_PER_SHARD) {
    this.#server = server;
    this.#namespace = namespace;
    this.#perShard = recordsPerShard;
  }

  /** How messages call an owner's record. */
  whereIs(owner: PinOwner): string {
    return `ConfigMap ${recordName(owner)} in namespace ${this.#namespace}`;
  }

  /** An owner's record; null where there is none. @throws KubeError, PinError Corrupt, Foreign */
  async read(owner: PinOwner, signal: AbortSignal): Promise<PinRecord | null> {
    try {
      const body = await this.#server.open(`${this.#path}/${recordName(owner)}`, "application/json", signal);
      return recordFromConfigMap(await jsonOf(body, RECORD_BYTES), owner, this.whereIs(owner));
    } catch (error) {
      if (error instanceof KubeError && error.code === "NotFound") return null;
      throw error;
    }
  }

  /**
   * Writes a record, unless it is another one by now than was read.
   * @returns whether it is written
   * @throws KubeError, PinError TooMany
   */
  async write(record: PinRecord, signal: AbortSignal): Promise<boolean> {
    if (record.version !== null) return this.#replace(record, signal);
    const { owner } = record;
    return this.#shards.take(`${owner.namespace} ${shardOf(owner)}`, async () => {
      await this.#refuseTooMany(owner, signal);
      return this.#send({ method: "POST", path: this.#path, body: recordToConfigMap(record, this.#namespace) }, signal);
    });
  }

  async #replace(record: PinRecord, signal: AbortSignal): Promise<boolean> {
    const path = `${this.#path}/${recordName(record.owner)}`;
    try {
      return await this.#send({ method: "PUT", path, body: recordToConfigMap(record, this.#namespace) }, signal);
    } catch (error) {
      // It was collected meanwhile.
      if (error instanceof KubeError && error.code === "NotFound") return false;
      throw error;
    }
  }

  async #send(write: Write, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#server.write({ ...write, path: `${write.path}?fieldManager=wasmount` }, signal);
      return true;
    } catch (error) {
      if (error instanceof KubeError && error.code === "Conflict") return false;
      throw error;
    }
  }

  /** Counts the shard, not the namespace: that stays small, and is answered by the API server from its memory. */
  async #refuseTooMany(owner: PinOwner, signal: AbortSignal): Promise<void> {
    const labels = { [PIN_LABELS.record]: "true", [PIN_LABELS.namespace]: owner.namespace };
    const selector = Object.entries({ ...labels, [PIN_LABELS.shard]: shardOf(owner) });
    const query = new URLSearchParams({
      labelSelector: selector.map(([key, value]) => `${key}=${value}`).join(","),
      limit: String(this.#perShard),
      resourceVersion: "0",
    });
    const body = await this.#server.open(`${this.#path}?${query}`, METADATA_LIST, signal);
    const { items } = readPage(
      await jsonOf(body, SHARD_BYTES),
      metadataKind(() => false),
    );
    if (items.length < this.#perShard) return;
    throw new PinError(
      "TooMany",
      `the pods of namespace ${owner.namespace} have too many controlling owners with pinned tags: ` +
        "those without pods are forgotten after an hour or two; until then, write digests (@sha256:…)",
    );
  }

  get #path(): string {
    return `/api/v1/namespaces/${this.#namespace}/configmaps`;
  }
}
