import assert from "node:assert/strict";
import { SingleFlight } from "../../src/oci/single-flight.ts";

describe("SingleFlight", () => {
  const forever = () => new AbortController().signal;

  it("does the work once for all who come while it is done, and again for who comes later", async () => {
    const flights = new SingleFlight<number>();
    let started = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    const work = async () => {
      started += 1;
      await promise;
      return started;
    };
    const together = [1, 2, 3].map(() => flights.join("a", forever(), work));
    const other = flights.join("b", forever(), work);
    assert.equal(started, 2);
    resolve();
    await Promise.all([...together, other]);
    await flights.join("a", forever(), work);
    assert.equal(started, 3);
  });

  it("remembers no failure", async () => {
    const flights = new SingleFlight<string>();
    await assert.rejects(
      flights.join("a", forever(), async () => {
        throw new Error("down");
      }),
      /down/,
    );
    assert.equal(await flights.join("a", forever(), async () => "up"), "up");
  });

  it("lets one leave without the others", async () => {
    const flights = new SingleFlight<string>();
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const work = (signal: AbortSignal) => {
      signal.addEventListener("abort", () => reject(new Error("given up")));
      return promise;
    };
    const impatient = new AbortController();
    const first = flights.join("a", impatient.signal, work);
    const second = flights.join("a", forever(), work);
    impatient.abort(new Error("too late"));
    await assert.rejects(first, /too late/);
    resolve("done");
    assert.equal(await second, "done");
  });

  it("gives the work up with the last who waits, and begins anew for the next", async () => {
    const flights = new SingleFlight<string>();
    const impatient = new AbortController();
    let given: AbortSignal | null = null;
    const first = flights.join("a", impatient.signal, signal => {
      given = signal;
      return new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    impatient.abort();
    await assert.rejects(first);
    assert.equal((given as AbortSignal | null)?.aborted, true);
    assert.equal(await flights.join("a", forever(), async () => "anew"), "anew");
  });

  it("starts nothing for who has no time", async () => {
    const flights = new SingleFlight<string>();
    await assert.rejects(
      flights.join("a", AbortSignal.abort(), () => assert.fail("it was started")),
      {
        name: "AbortError",
      },
    );
  });
});
