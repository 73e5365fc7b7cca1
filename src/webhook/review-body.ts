import type { IncomingMessage } from "node:http";

/** A request that is refused for its body. */
export class BodyError extends Error {
  readonly status: 400 | 413 | 415;

  constructor(status: 400 | 413 | 415, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Reads the body of a request that announced its length, as it came: API servers compress no review, and one that unpacks
 * to more than it announced would pass by every limit on the way here.
 * @param limit in bytes
 * @param read called once, with the body or a {@link BodyError}
 */
export function readBody(request: IncomingMessage, limit: number, read: (body: Buffer | BodyError) => void): void {
  const { "content-encoding": encoding = "identity", "content-length": length } = request.headers;
  if (encoding !== "identity") {
    read(new BodyError(415, "an AdmissionReview comes uncompressed"));
    return;
  }
  if (Number(length) > limit) {
    read(new BodyError(413, `a review has at most ${limit} bytes`));
    return;
  }
  const chunks: Buffer[] = [];
  // Node's parser ends the connection of who sends more, or less, than the length that was announced.
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.once("end", () => {
    const [first, ...more] = chunks;
    read(first !== undefined && more.length === 0 ? first : Buffer.concat(chunks));
  });
  request.once("error", () => read(new BodyError(400, "request aborted")));
}
