import assert from "node:assert/strict";
import { requestHead } from "../../src/http/request-head.ts";

describe("requestHead", () => {
  it("writes method, target and fields in their order", () => {
    assert.equal(
      requestHead("GET", "/v2/a?b=%20", { host: "registry.test:5000", "X-A": "", b: "c: d\t\xe4" }),
      "GET /v2/a?b=%20 HTTP/1.1\r\nhost: registry.test:5000\r\nX-A: \r\nb: c: d\t\xe4\r\n\r\n",
    );
    assert.equal(requestHead("CONNECT", "[::1]:443", {}), "CONNECT [::1]:443 HTTP/1.1\r\n\r\n");
  });

  const refused: readonly (readonly [
    what: string,
    method: string,
    target: string,
    headers?: Record<string, string>,
  ])[] = [
    ["no method", "", "/"],
    ["a method of two words", "GET /", "/"],
    ["a line break in the method", "GET\r\n", "/"],
    ["no target", "GET", ""],
    ["a space in the target", "GET", "/a b"],
    ["a line break in the target", "GET", "/\r\nx: y"],
    ["a target beyond ASCII", "GET", "/\xe4"],
    ["no name", "GET", "/", { "": "secret" }],
    ["a colon in a name", "GET", "/", { "a:": "secret" }],
    ["a space in a name", "GET", "/", { "a ": "secret" }],
    ["a line break in a name", "GET", "/", { "a: b\r\nc": "secret" }],
    ["a name beyond ASCII", "GET", "/", { ä: "secret" }],
    ["a line break in a value", "GET", "/", { a: "secret\r\nc: d" }],
    ["a line feed in a value", "GET", "/", { a: "secret\nc: d" }],
    ["a carriage return in a value", "GET", "/", { a: "secret\rc: d" }],
    ["a line feed at a value's end", "GET", "/", { a: "secret\n" }],
    ["a NUL in a value", "GET", "/", { a: "secret\x00" }],
    ["a DEL in a value", "GET", "/", { a: "secret\x7f" }],
    // Written one byte a character, it would be a line feed.
    ["a character of more than a byte in a value", "GET", "/", { a: "secret\u010a" }],
  ];
  for (const [what, method, target, headers = {}] of refused) {
    it(`refuses ${what}, and repeats no value`, () => {
      assert.throws(
        () => requestHead(method, target, headers),
        (error: Error & { code?: string }) => error.code === "BadRequest" && !error.message.includes("secret"),
      );
    });
  }
});
