import { pipeline } from "node:stream/promises";
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from "node:zlib";
import { messageOf } from "../error.ts";
import { RegistryError } from "./error.ts";
import { zstdFrames } from "./zstd-frames.ts";

export type Compression = "gzip" | "zstd";

/** The ratio of less than this says nothing. */
const RATIO_FLOOR = 1024 * 1024;
const MAX_WINDOW_LOG = 23;

/**
 * Decompresses a layer as it comes: all members of a gzip, all frames of a zstd, nothing behind them. The source is
 * read to its end before the last chunk's successor is asked for, so that whoever hashes it sees all of it.
 * @param limit most bytes that may come out
 * @param ratio most bytes that may come out of one
 * @throws {RegistryError} BadArchive, TooLarge, and whatever `source` throws
 */
export async function* decompressed(
  source: AsyncIterable<Buffer>,
  compression: Compression,
  limit: number,
  ratio: number,
): AsyncGenerator<Buffer, void, undefined> {
  const input = new Input(source);
  const decoder = compression === "gzip" ? createGunzip() : zstdDecoder();
  const feeding = pipeline(compression === "gzip" ? input.chunks() : zstdFrames(input.chunks()), decoder);
  // Told below, after what was decoded before it.
  feeding.catch(() => {});
  try {
    let plain = 0;
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      plain += chunk.length;
      if (plain > limit)
        throw new RegistryError("TooLarge", `the layer unpacks to more than the ${limit} bytes allowed`);
      if (plain > RATIO_FLOOR && plain > input.size * ratio) {
        throw new RegistryError("BadArchive", `the layer unpacks to more than ${ratio} times its size`);
      }
      yield chunk;
    }
    await feeding;
    if (compression === "gzip" && decoder.bytesWritten !== input.size) {
      throw new RegistryError("BadArchive", "the layer has bytes behind the end of its gzip");
    }
  } catch (error) {
    throw input.failure ?? (error instanceof RegistryError ? error : damaged(error, compression));
  } finally {
    decoder.destroy();
    await feeding.catch(() => {});
  }
}

/** The compressed side: what came, and whether it failed by itself. */
class Input {
  readonly #source: AsyncIterable<Buffer>;
  size = 0;
  failure: unknown = null;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source;
  }

  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const chunk of this.#source) {
        this.size += chunk.length;
        yield chunk;
      }
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }
}

function zstdDecoder(): ZstdDecompress | Gunzip {
  return createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: MAX_WINDOW_LOG } });
}

function damaged(cause: unknown, compression: Compression): RegistryError {
  return new RegistryError("BadArchive", `the layer is no intact ${compression} (${messageOf(cause)})`, { cause });
}
