import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { modulePath } from "../envoy/filter-file.ts";
import type { ContentStore, ContentWriter } from "../oci/content-store.ts";
import { hexOf } from "../oci/digest.ts";
import type { Volume } from "./volume.ts";

const CHUNK_BYTES = 256 * 1024;

/**
 * The volume as the place where evidence is kept: manifests and archives below blobs/, modules as the files that Envoy
 * loads. A fetcher that runs again in the same pod finds all of it and needs no registry.
 */
export class EvidenceStore implements ContentStore {
  readonly #volume: Volume;

  constructor(volume: Volume) {
    this.#volume = volume;
  }

  async open(digest: string): Promise<AsyncIterable<Buffer> | null> {
    const path = [this.#blob(digest), this.modulePath(hexOf(digest))].find(existsSync);
    return path === undefined ? null : chunksOf(path);
  }

  async create(digest: string): Promise<ContentWriter> {
    const final = this.#blob(digest);
    const file = this.#volume.create(final);
    return {
      write: chunk => file.append(chunk),
      // What comes next in the chain need not wait for the disk.
      commit: async () => this.#volume.later(file.finish(final, hexOf(digest))),
      discard: () => file.discard(),
    };
  }

  modulePath(sha256: string): string {
    return modulePath(this.#volume.root, sha256);
  }

  #blob(digest: string): string {
    return this.#volume.path("blobs", hexOf(digest));
  }
}

async function* chunksOf(path: string): AsyncGenerator<Buffer, void, undefined> {
  const descriptor = openSync(path, "r");
  try {
    for (;;) {
      const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
      const read = readSync(descriptor, chunk);
      if (read === 0) return;
      yield chunk.subarray(0, read);
    }
  } finally {
    closeSync(descriptor);
  }
}
