import { createHash } from "node:crypto";
import { RegistryError } from "./error.ts";

const DIGEST = /^sha256:[a-f0-9]{64}$/;

/** Whether a value is a digest that may stand in a URL, a path or a comparison: "sha256:<64 lower-case hex digits>". */
export function isDigest(value: unknown): value is string {
  return typeof value === "string" && DIGEST.test(value);
}

/** The digest of bytes at hand. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: string): string {
  return digest.slice("sha256:".length);
}

/**
 * Passes chunks on while hashing and counting them. Never yields more than `size` bytes in all, and throws after the
 * last one if the content isn't what was asked for: **nothing that was yielded may be used before the end was reached
 * without an error.**
 * @throws {RegistryError} SizeMismatch, DigestMismatch
 */
export async function* verifying(
  chunks: AsyncIterable<Buffer>,
  expected: { readonly digest: string; readonly size: number },
): AsyncGenerator<Buffer, void, undefined> {
  const hash = createHash("sha256");
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > expected.size) {
      throw new RegistryError("SizeMismatch", `${expected.digest} has more than the ${expected.size} bytes announced`);
    }
    hash.update(chunk);
    yield chunk;
  }
  if (size !== expected.size) {
    throw new RegistryError("SizeMismatch", `${expected.digest} has ${size} bytes, ${expected.size} were announced`);
  }
  const digest = `sha256:${hash.digest("hex")}`;
  if (digest !== expected.digest) {
    throw new RegistryError("DigestMismatch", `the content's digest is ${digest}, ${expected.digest} was asked for`);
  }
}
