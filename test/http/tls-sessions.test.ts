import assert from "node:assert/strict";
import { TlsSessions } from "../../src/http/tls-sessions.ts";

describe("TlsSessions", () => {
  const [first, second, third] = ["1", "2", "3"].map(text => Buffer.from(text)) as [Buffer, Buffer, Buffer];

  it("knows the last session of each place", () => {
    const sessions = new TlsSessions(2);
    assert.equal(sessions.get("a"), undefined);
    sessions.keep("a", first);
    sessions.keep("b", second);
    sessions.keep("a", third);
    assert.deepEqual([sessions.get("a"), sessions.get("b")], [third, second]);
  });

  it("forgets the place whose last session is oldest", () => {
    const sessions = new TlsSessions(2);
    for (const [place, session] of [
      ["a", first],
      ["b", second],
      ["a", third],
      ["c", first],
    ] as const) {
      sessions.keep(place, session);
    }
    assert.deepEqual([sessions.get("a"), sessions.get("b"), sessions.get("c")], [third, undefined, first]);
  });
});
