import assert from "node:assert/strict";
import { MeasuredSink } from "../../src/oci/module-sink.ts";

describe("a sink that borrows", () => {
  const part = () => Buffer.from(new ArrayBuffer(8)).fill("\0asm\x01\0\0\0");

  it("has the memory of chunks given back that have it to themselves, and of no others", async () => {
    const own = part();
    const shared = Buffer.from(new ArrayBuffer(16)).fill("x");
    const written: string[] = [];
    const sink = { borrows: true, write: async (chunk: Buffer) => void written.push(chunk.toString()) };
    const measured = new MeasuredSink(sink, 100, null);
    for (const chunk of [own, shared.subarray(0, 8)]) await measured.write(chunk);
    assert.deepEqual(written, [part().toString(), "xxxxxxxx"]);
    assert.deepEqual([own.length, shared.length], [0, 16]);
    assert.equal(measured.finish().moduleSize, 16);
  });

  it("is another one than a sink that keeps its chunks", async () => {
    const own = part();
    const measured = new MeasuredSink({ write: async () => {} }, 100, null);
    await measured.write(own);
    assert.equal(own.length, 8);
  });
});
