import assert from "node:assert/strict";
import { isLoopback } from "../../src/cli/image-verb.ts";
import { sizeText } from "../../src/images/size-text.ts";

describe("registries that are spoken to without TLS", () => {
  for (const registry of ["localhost", "localhost:5000", "127.0.0.1:5000", "127.8.9.10", "[::1]", "[::1]:5000"]) {
    it(`are those of this machine: ${registry}`, () => assert.equal(isLoopback(registry), true));
  }
  for (const registry of [
    "localhost.example",
    "127.0.0.1.example",
    "my-localhost:5000",
    "10.0.0.1:5000",
    "[::2]",
    "128.0.0.1",
  ]) {
    it(`are no others: ${registry}`, () => assert.equal(isLoopback(registry), false));
  }
});

describe("sizeText", () => {
  for (const [bytes, text] of [
    [0, "0 B"],
    [999, "999 B"],
    [1000, "0.98 KiB"],
    [12_800, "12.5 KiB"],
    [256 * 1024 * 1024, "256 MiB"],
  ] as const) {
    it(`writes ${bytes} as ${text}`, () => assert.equal(sizeText(bytes), text));
  }
});
