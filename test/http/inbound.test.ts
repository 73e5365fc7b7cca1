import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Readable } from "node:stream";
import fc from "fast-check";
import { Inbound } from "../../src/http/inbound.ts";

/** What comes on a stream that a test pushes to, and that stays open. */
function opened() {
  const stream = new Readable({ read() {}, autoDestroy: false });
  const inbound = new Inbound();
  inbound.attach(stream as Readable as Socket, true);
  /** @returns once it has come */
  const push = async (bytes: string | Buffer | null) => {
    stream.push(bytes);
    await new Promise(setImmediate);
  };
  return { stream, inbound, push };
}

describe("what comes on a connection", () => {
  it("is quiet as long as nothing has come that nobody took, nor its end", async () => {
    const { inbound, push } = opened();
    assert.ok(inbound.isQuiet);
    await push("ab");
    assert.ok(!inbound.isQuiet);
    await inbound.some(1);
    assert.ok(!inbound.isQuiet);
    await inbound.some(1);
    assert.ok(inbound.isQuiet);
    await push(null);
    assert.ok(!inbound.isQuiet);
  });

  it("is quiet again wherever in its buffers it ends", async () => {
    const all = Buffer.alloc(3 * 64 * 1024, "wasmount");
    for (const size of [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 128 * 1024, all.length]) {
      const { inbound, push } = opened();
      await push(all.subarray(0, size));
      let taken = 0;
      for (; taken < size; taken += (await inbound.some(size - taken)).length) assert.ok(!inbound.isQuiet);
      assert.equal(taken, size);
      assert.ok(inbound.isQuiet, `behind ${size} bytes`);
      assert.equal(inbound.received, size);
    }
  });

  it("is awaited by who asks for more than there is", async () => {
    const { inbound, push } = opened();
    assert.ok(!inbound.isAwaited);
    const asked = inbound.some(3);
    assert.ok(inbound.isAwaited);
    await push("ab");
    assert.ok(inbound.isAwaited);
    await push("c");
    assert.equal((await asked).toString(), "abc");
    assert.ok(!inbound.isAwaited);
  });

  it("lies where it is until the next is asked for", async () => {
    const { inbound, push } = opened();
    const all = Buffer.alloc(1_000_000);
    for (let at = 0; at < all.length; at += 1) all[at] = at % 251;
    inbound.expect(all.length);
    await push(all);
    for (let taken = 0; taken < all.length; ) {
      const piece = await inbound.some(all.length - taken);
      await new Promise(setImmediate);
      assert.ok(piece.equals(all.subarray(taken, taken + piece.length)));
      taken += piece.length;
    }
  });

  it("is not read on while nobody takes it", async () => {
    const stream = new Readable({
      highWaterMark: 16 * 1024,
      read() {
        if (given === 4 * 1024 * 1024) return;
        given += 1024;
        this.push(Buffer.alloc(1024));
      },
    });
    let given = 0;
    const inbound = new Inbound();
    inbound.attach(stream as Readable as Socket, true);
    const settled = async () => {
      for (let last = -1; last !== given; ) {
        last = given;
        for (let turn = 0; turn < 10; turn += 1) await new Promise(setImmediate);
      }
    };
    await settled();
    assert.ok(given < 512 * 1024, `${given} bytes are held of what nobody takes`);
    const before = given;
    for (let taken = 0; taken < before; ) taken += (await inbound.some(before - taken)).length;
    await settled();
    assert.ok(given > before, "it is read on once it is taken");
  });

  it("comes as it was sent, whatever is asked for and when", async () => {
    const turn = fc.record({
      limit: fc.integer({ min: 1, max: 200_000 }),
      pushes: fc.nat(2),
      expected: fc.nat(10 ** 6),
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 150_000 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.array(turn, { minLength: 1 }), async (left, turns) => {
        const all = Buffer.alloc(left.reduce((sum, size) => sum + size, 0));
        for (let at = 0; at < all.length; at += 1) all[at] = (at * 7 + (at >> 8)) % 256;
        const { inbound, push } = opened();
        let pushed = 0;
        const pushNext = () => {
          const start = pushed;
          pushed += left.shift() ?? 0;
          return push(start < pushed ? all.subarray(start, pushed) : null);
        };
        const next = async ({ limit, pushes, expected }: (typeof turns)[number]) => {
          for (let count = 0; count < pushes; count += 1) await pushNext();
          inbound.expect(expected);
          const asked = inbound.some(limit);
          while (inbound.isAwaited) await pushNext();
          return asked;
        };
        let taken = 0;
        for (let at = 0; ; at += 1) {
          const bytes = await next(turns[at % turns.length] ?? assert.fail());
          assert.ok(bytes.equals(all.subarray(taken, taken + bytes.length)), `behind ${taken} bytes`);
          taken += bytes.length;
          if (bytes.length === 0) break;
        }
        assert.equal(taken, all.length);
      }),
      { numRuns: 30 },
    );
  });

  it("fails once what came before the failure is taken", async () => {
    const { stream, inbound, push } = opened();
    const broken = new Error("broken");
    await push("ab");
    stream.destroy(broken);
    await new Promise(setImmediate);
    assert.equal((await inbound.some(5)).toString(), "ab");
    await assert.rejects(inbound.some(5), broken);
  });

  it("fails where the connection is closed without an end", async () => {
    const { stream, inbound } = opened();
    const asked = inbound.some(5);
    stream.destroy();
    await assert.rejects(asked, { name: "HttpError", code: "Closed" });
  });
});
