import assert from "node:assert/strict";
import { RegistryError, type RegistryErrorCode } from "../../src/oci/error.ts";
import { retryAfter, retrying } from "../../src/oci/retry.ts";
import { coded } from "./scripted-server.ts";

const POLICY = { attempts: 4, baseMs: 100, maxMs: 1000 };

async function outcome(errors: readonly RegistryError[], random = 0): Promise<{ waits: number[]; result: unknown }> {
  const waits: number[] = [];
  const left = [...errors];
  const sleep = async (milliseconds: number) => void waits.push(milliseconds);
  const result = await retrying(POLICY, { random: () => random, sleep }, new AbortController().signal, async () => {
    const error = left.shift();
    if (error) throw error;
    return "done";
  }).catch((error: unknown) => error);
  return { waits, result };
}

const failing = (code: RegistryErrorCode, retryAfterMs: number | null = null) =>
  new RegistryError(code, "no", { retryAfterMs });

describe("retrying", () => {
  it("waits longer each time, never more than its longest wait, with jitter", async () => {
    const errors = [failing("Server"), failing("Unreachable"), failing("Timeout")];
    assert.deepEqual(await outcome(errors, 0), { waits: [50, 100, 200], result: "done" });
    assert.deepEqual(await outcome(errors, 1), { waits: [100, 200, 400], result: "done" });
  });

  it("gives up after the last try", async () => {
    const { waits, result } = await outcome(Array.from({ length: 9 }, () => failing("Server")));
    assert.equal(waits.length, 3);
    coded("Server")(result);
  });

  it("tries nothing again that will not pass", async () => {
    for (const code of ["NotFound", "Denied", "DigestMismatch", "ForbiddenAddress", "BadManifest"] as const) {
      const { waits, result } = await outcome([failing(code)]);
      assert.deepEqual(waits, []);
      coded(code)(result);
    }
  });

  it("waits as long as the registry asks, unless that is too long", async () => {
    assert.deepEqual((await outcome([failing("RateLimited", 700)])).waits, [700]);
    const { waits, result } = await outcome([failing("RateLimited", 1001)]);
    assert.deepEqual(waits, []);
    coded("RateLimited")(result);
  });

  it("tells the failure, not the clock, where there is no time to wait", async () => {
    const sleep = () => Promise.reject(new Error("aborted"));
    const running = retrying(POLICY, { random: () => 0, sleep }, new AbortController().signal, async () => {
      throw failing("Unreachable");
    });
    await assert.rejects(running, coded("Unreachable"));
  });

  it("stops when it is cancelled", async () => {
    const stop = new AbortController();
    let tries = 0;
    const running = retrying(POLICY, { random: () => 0, sleep: async () => {} }, stop.signal, async () => {
      tries += 1;
      stop.abort();
      throw failing("Server");
    });
    await assert.rejects(running, coded("Server"));
    assert.equal(tries, 1);
  });
});

describe("retryAfter", () => {
  it("reads seconds and dates, and ignores the rest", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    assert.equal(retryAfter("3", now), 3000);
    assert.equal(retryAfter("Thu, 01 Jan 2026 00:00:10 GMT", now), 10_000);
    assert.equal(retryAfter("Thu, 01 Jan 2020 00:00:10 GMT", now), 0);
    assert.equal(retryAfter("Thursday, 01-Jan-26 00:00:10 GMT", now), 10_000);
    assert.equal(retryAfter("Thu Jan  1 00:00:10 2026", now), 10_000, "UTC, whatever this machine's time is");
    for (const nonsense of [undefined, "soon", "-1", "-1x", "1.5", "Jan 1 2027", "99999999999999"])
      assert.equal(retryAfter(nonsense, now), null);
  });
});
