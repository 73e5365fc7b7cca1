import type { ContentStore, ContentWriter } from "../../src/oci/content-store.ts";
import type { ModuleSink } from "../../src/oci/module-sink.ts";

/** A sink that remembers. */
export class MemorySink implements ModuleSink {
  readonly chunks: Buffer[] = [];

  async write(chunk: Buffer): Promise<void> {
    this.chunks.push(Buffer.from(chunk));
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

/** A store of evidence in memory. */
export class MemoryStore implements ContentStore {
  readonly content = new Map<string, Buffer>();

  async open(digest: string): Promise<AsyncIterable<Buffer> | null> {
    const bytes = this.content.get(digest);
    if (bytes === undefined) return null;
    return (async function* () {
      yield bytes;
    })();
  }

  async create(digest: string): Promise<ContentWriter> {
    const chunks: Buffer[] = [];
    return {
      write: async chunk => void chunks.push(Buffer.from(chunk)),
      commit: async () => void this.content.set(digest, Buffer.concat(chunks)),
      discard: async () => {},
    };
  }
}
