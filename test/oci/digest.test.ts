import assert from "node:assert/strict";
import { digestOf, isDigest, verifying } from "../../src/oci/digest.ts";
import { coded, collect } from "./scripted-server.ts";

const BYTES = Buffer.from("hello, world");
const EXPECTED = { digest: digestOf(BYTES), size: BYTES.length };

async function* pieces(...texts: readonly string[]): AsyncGenerator<Buffer> {
  for (const text of texts) yield Buffer.from(text);
}

describe("isDigest", () => {
  it("knows a digest by its whole shape", () => {
    assert.equal(isDigest(EXPECTED.digest), true);
    const wrong = [
      "",
      "sha256:",
      EXPECTED.digest.toUpperCase(),
      `${EXPECTED.digest}\n`,
      `${EXPECTED.digest}/..`,
      EXPECTED.digest.slice(7),
      `sha512:${"0".repeat(128)}`,
      null,
      7,
      [EXPECTED.digest],
    ];
    for (const value of wrong) assert.equal(isDigest(value), false, String(value));
  });
});

describe("verifying", () => {
  it("passes on content that is what was asked for", async () => {
    assert.deepEqual(await collect(verifying(pieces("hello,", "", " world"), EXPECTED)), BYTES);
  });

  it("fails after the last byte of other content of the same size", async () => {
    await assert.rejects(collect(verifying(pieces("hello, World"), EXPECTED)), coded("DigestMismatch"));
  });

  it("fails at the end of content that is too short", async () => {
    await assert.rejects(collect(verifying(pieces("hello"), EXPECTED)), coded("SizeMismatch"));
  });

  it("never yields more than announced, however long the content is", async () => {
    let yielded = 0;
    const endless = async function* () {
      for (;;) yield Buffer.alloc(5);
    };
    await assert.rejects(async () => {
      for await (const chunk of verifying(endless(), EXPECTED)) yielded += chunk.length;
    }, coded("SizeMismatch"));
    assert.ok(yielded <= EXPECTED.size);
  });
});
