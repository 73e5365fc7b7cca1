import assert from "node:assert/strict";
import { type Framing, framingOf, staysOpen } from "../../src/http/framing.ts";
import { type Headers, type ResponseHead, readHead } from "../../src/http/response-head.ts";

const CHUNKED: Framing = { kind: "chunked" };
const CLOSE: Framing = { kind: "close" };
const sized = (size: number): Framing => ({ kind: "length", size });
const answer = (headers: Headers, status = 200, minor: ResponseHead["minor"] = 1): ResponseHead => ({
  status,
  minor,
  headers,
});
const length = (value: string): Headers => ({ "content-length": value });
const coding = (value: string): Headers => ({ "transfer-encoding": value });

describe("framingOf", () => {
  const framed: readonly (readonly [what: string, head: ResponseHead, framing: Framing, method?: string])[] = [
    ["a length", answer(length("5")), sized(5)],
    ["a length of nothing", answer(length("0")), sized(0)],
    ["zeros before a length", answer(length("0005")), sized(5)],
    ["a length of 15 digits", answer(length("9".repeat(15))), sized(999_999_999_999_999)],
    ["a length of HTTP/1.0", answer(length("5"), 200, 0), sized(5)],
    ["chunks", answer(coding("chunked")), CHUNKED],
    ["chunks in any case", answer(coding("ChunKED")), CHUNKED],
    ["neither", answer({}), CLOSE],
    ["neither of HTTP/1.0", answer({}, 200, 0), CLOSE],
    ["neither, of a status of failure", answer({}, 500), CLOSE],
    ["an answer to HEAD, with a length", answer(length("5")), sized(0), "HEAD"],
    ["an answer to HEAD, with chunks", answer(coding("chunked")), sized(0), "HEAD"],
    ["an answer to HEAD, with neither", answer({}), sized(0), "HEAD"],
    ["204", answer({}, 204), sized(0)],
    ["204 with a length", answer(length("5"), 204), sized(0)],
    ["204 with chunks", answer(coding("chunked"), 204), sized(0)],
    ["103", answer({}, 103), sized(0)],
    ["103 with a length", answer(length("5"), 103), sized(0)],
    ["304", answer({}, 304), sized(0)],
    ["304 with a length", answer(length("5"), 304), sized(0)],
    ["304 with chunks", answer(coding("chunked"), 304), sized(0)],
    ["a length of what a write made", answer(length("2"), 201), sized(2), "PUT"],
  ];
  for (const [what, head, framing, method = "GET"] of framed) {
    it(`takes ${what} for ${framing.kind === "length" ? `${framing.size} bytes` : framing.kind}`, () => {
      assert.deepEqual(framingOf(method, head), framing);
    });
  }

  const refused: readonly (readonly [what: string, head: ResponseHead, method?: string])[] = [
    ["a length beside chunks", answer({ ...length("5"), ...coding("chunked") })],
    ["a length beside another coding", answer({ ...length("5"), ...coding("gzip") })],
    ["a length beside chunks, of 204", answer({ ...length("5"), ...coding("chunked") }, 204)],
    ["a length beside chunks, of 304", answer({ ...length("5"), ...coding("chunked") }, 304)],
    ["a length beside chunks, of 103", answer({ ...length("5"), ...coding("chunked") }, 103)],
    ["a length beside chunks, to HEAD", answer({ ...length("5"), ...coding("chunked") }), "HEAD"],
    ["two lengths, to HEAD", answer(length("5, 5")), "HEAD"],
    ["a length of no number, of 304", answer(length("five"), 304)],
    ["gzip, to HEAD", answer(coding("gzip")), "HEAD"],
    ["an empty length beside chunks", answer({ ...length(""), ...coding("chunked") })],
    ["chunks of HTTP/1.0", answer(coding("chunked"), 200, 0)],
    ["identity", answer(coding("identity"))],
    ["gzip", answer(coding("gzip"))],
    ["gzip, chunked", answer(coding("gzip, chunked"))],
    ["chunked, gzip", answer(coding("chunked, gzip"))],
    ["chunked twice", answer(coding("chunked, chunked"))],
    ["chunked and nothing", answer(coding("chunked, "))],
    ["chunked with a parameter", answer(coding("chunked;a=b"))],
    ["chunked in quotes", answer(coding('"chunked"'))],
    ["an empty coding", answer(coding(""))],
    ["chunked with a vertical tab", answer(coding("\x0bchunked"))],
    ["xchunked", answer(coding("xchunked"))],
    ...[
      "",
      "5, 5",
      "5,5",
      "5, 6",
      "+5",
      "-5",
      "0x5",
      "5e0",
      "5.0",
      "5 5",
      " 5",
      "5 ",
      "５",
      "five",
      "1".repeat(16),
    ].map(value => [`a length of ${JSON.stringify(value)}`, answer(length(value))] as const),
  ];
  for (const [what, head, method = "GET"] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(() => framingOf(method, head), { name: "HttpError", code: "NotHttp" });
    });
  }

  it("judges what a head says, as it is read", () => {
    const framing = (...lines: string[]) =>
      framingOf("GET", readHead(`HTTP/1.1 200 OK\r\n${lines.join("\r\n")}\r\n\r\n`));
    assert.deepEqual(framing("Content-Length: \t5 "), sized(5));
    assert.deepEqual(framing("Transfer-Encoding:\tChunked "), CHUNKED);
    for (const twice of [
      ["content-length: 5", "content-length: 5"],
      ["transfer-encoding: chunked", "transfer-encoding: chunked"],
      ["transfer-encoding: gzip", "transfer-encoding: chunked"],
      ["content-length: 5", "transfer-encoding: chunked"],
    ]) {
      assert.throws(() => framing(...twice), { code: "NotHttp" });
    }
  });
});

describe("staysOpen", () => {
  const cases: readonly (readonly [what: string, head: ResponseHead, framing: Framing, stays: boolean])[] = [
    ["a length", answer({}), sized(5), true],
    ["chunks", answer({}), CHUNKED, true],
    ["connection: keep-alive", answer({ connection: "keep-alive" }), sized(5), true],
    ["connection: closed", answer({ connection: "closed" }), sized(5), true],
    ["a body that ends with the connection", answer({ connection: "keep-alive" }), CLOSE, false],
    ["connection: close", answer({ connection: "close" }), sized(5), false],
    ["connection: CLOSE", answer({ connection: "CLOSE" }), CHUNKED, false],
    ["close first in a list", answer({ connection: "close, te" }), sized(5), false],
    ["close last in a list", answer({ connection: "keep-alive \t,\t Close" }), sized(5), false],
    ["HTTP/1.0", answer({}, 200, 0), sized(5), false],
    ["HTTP/1.0 with keep-alive", answer({ connection: "keep-alive" }, 200, 0), sized(5), false],
  ];
  for (const [what, head, framing, stays] of cases) {
    it(`${stays ? "lets another request follow" : "lets none follow"}: ${what}`, () => {
      assert.equal(staysOpen(head, framing), stays);
    });
  }
});
