import assert from "node:assert/strict";
import fc from "fast-check";
import { HEAD_END, type ResponseHead, readHead } from "../../src/http/response-head.ts";

const OK = "HTTP/1.1 200 OK";
const notHttp = { name: "HttpError", code: "NotHttp" };

/** A head of these lines. */
function head(...lines: string[]): string {
  return `${lines.join("\r\n")}${HEAD_END}`;
}

function headers(...lines: string[]): Record<string, string | undefined> {
  return { ...readHead(head(OK, ...lines)).headers };
}

describe("readHead", () => {
  const statusLines: readonly (readonly [line: string, status: number, minor: ResponseHead["minor"]])[] = [
    [OK, 200, 1],
    ["HTTP/1.0 404 Not Found", 404, 0],
    ["HTTP/1.1 204 ", 204, 1],
    ["HTTP/1.1 204", 204, 1],
    ["HTTP/1.1 100 Continue", 100, 1],
    ["HTTP/1.1 599 \xfc\tber", 599, 1],
  ];
  for (const [line, status, minor] of statusLines) {
    it(`reads ${JSON.stringify(line)}`, () => {
      assert.deepEqual(readHead(head(line)), { status, minor, headers: Object.create(null) });
    });
  }

  const fields: readonly (readonly [what: string, lines: readonly string[], read: Record<string, string>])[] = [
    ["names in any case", ["ETag: a", "x-Y: b"], { etag: "a", "x-y": "b" }],
    ["names of all that tokens may have", ["!#$%&'*+-.^_`|~0aZ: a"], { "!#$%&'*+-.^_`|~0az": "a" }],
    ["values without space before them", ["a:b"], { a: "b" }],
    ["values without spaces and tabs around them", ["a: \t b \t "], { a: "b" }],
    ["values with spaces and tabs in them", ["a: b \t c"], { a: "b \t c" }],
    ["values with other space around them", ["a: \xa0b\x85"], { a: "\xa0b\x85" }],
    ["values beyond ASCII", ["a: \x80\xff"], { a: "\x80\xff" }],
    ["values with colons", ["a: b: c"], { a: "b: c" }],
    ["empty values", ["a:", "b: \t"], { a: "", b: "" }],
    ["fields that come again, joined", ["a: 1", "b: 2", "A: 3", "a:"], { a: "1, 3, ", b: "2" }],
    [
      "the first of those that have one value",
      ["Location: /1", "location: /2", "content-type: a", "content-type: b"],
      { location: "/1", "content-type": "a" },
    ],
    ["every length that is told", ["content-length: 1", "content-length: 1"], { "content-length": "1, 1" }],
  ];
  for (const [what, lines, read] of fields) it(`reads ${what}`, () => assert.deepEqual(headers(...lines), read));

  it("takes no field for anything but a field", () => {
    const read = readHead(head(OK, "__proto__: a", "constructor: b", "__proto__: c")).headers;
    assert.deepEqual(Object.entries(read), [
      ["__proto__", "a, c"],
      ["constructor", "b"],
    ]);
    assert.equal(readHead(head(OK)).headers["constructor"], undefined);
    assert.equal(Object.getPrototypeOf({}), Object.prototype);
  });

  it("reads back whatever fields it may be given", () => {
    const token = fc.string({ unit: fc.constantFrom(..."!#$%&'*+-.^_`|~09azAZ"), minLength: 1, maxLength: 8 });
    const value = fc.string({ unit: fc.constantFrom(...' \t!:,;"~az\x80\xff'), maxLength: 12 });
    const space = fc.string({ unit: fc.constantFrom(" ", "\t"), maxLength: 3 });
    const given = fc.uniqueArray(fc.tuple(token, value, space, space), { selector: ([name]) => name.toLowerCase() });
    fc.assert(
      fc.property(given, list => {
        const expected = list.map(([name, text]) => [name.toLowerCase(), text.replace(/^[ \t]+|[ \t]+$/g, "")]);
        const lines = list.map(([name, text, before, after]) => `${name}:${before}${text}${after}`);
        assert.deepEqual(headers(...lines), Object.fromEntries(expected));
      }),
    );
  });

  it("takes a time for a line that grows as the line does, however much space is in it", () => {
    const space = " ".repeat(96 * 1024);
    assert.deepEqual(headers(`a:${space}b${space}c${space}`), { a: `b${space}c` });
  });

  const refused: readonly (readonly [what: string, text: string])[] = [
    ["nothing", head()],
    ["a field in place of the status line", head("content-length: 0")],
    ["an empty line before the status line", head("", OK)],
    ["a space before the status line", head(` ${OK}`)],
    ["HTTP/2", head("HTTP/2 200 OK")],
    ["HTTP/2.0", head("HTTP/2.0 200 OK")],
    ["HTTP/1.2", head("HTTP/1.2 200 OK")],
    ["HTTP/1.10", head("HTTP/1.10 200 OK")],
    ["HTTP/0.9", head("HTTP/0.9 200 OK")],
    ["HTTP in lower case", head("http/1.1 200 OK")],
    ["another protocol", head("ICY 200 OK")],
    ["no status", head("HTTP/1.1 OK")],
    ["a status of two digits", head("HTTP/1.1 20 OK")],
    ["a status of four digits", head("HTTP/1.1 2000 OK")],
    ["status 600", head("HTTP/1.1 600 OK")],
    ["status 099", head("HTTP/1.1 099 OK")],
    ["a signed status", head("HTTP/1.1 +20 OK")],
    ["two spaces before the status", head("HTTP/1.1  200 OK")],
    ["a tab before the status", head("HTTP/1.1\t200 OK")],
    ["no space behind the status", head("HTTP/1.1 200OK")],
    ["a bare line feed behind the status line", head(`${OK}\na: b`)],
    ["a bare carriage return behind the status line", head(`${OK}\ra: b`)],
    ["a control character in the reason", head("HTTP/1.1 200 O\x00K")],
    ["a bare line feed between fields", head(OK, "a: b\nc: d")],
    ["a bare line feed in a value", head(OK, "a: b\n c")],
    ["a bare carriage return in a value", head(OK, "a: b\rc: d")],
    ["a carriage return too many", head(OK, "a: b\r", "c: d")],
    ["a folded line", head(OK, "a: b", " c")],
    ["a line folded with a tab", head(OK, "a: b", "\tc")],
    ["a folded line before any field", head(OK, " a: b")],
    ["a space before the colon", head(OK, "a : b")],
    ["a tab before the colon", head(OK, "a\t: b")],
    ["a space in a name", head(OK, "a b: c")],
    ["an empty name", head(OK, ": b")],
    ["no colon", head(OK, "a")],
    ["a name with a byte beyond ASCII", head(OK, "\xe4: b")],
    ["a name with a NUL", head(OK, "a\x00: b")],
    ["a name with a parenthesis", head(OK, "a(b): c")],
    ["an empty line between fields", `${OK}\r\na: b\r\n\r\nc: d${HEAD_END}`],
    ...["\x00", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f"].map(
      control => [`${JSON.stringify(control)} in a value`, head(OK, `a: b${control}c`)] as const,
    ),
  ];
  for (const [what, text] of refused) it(`refuses ${what}`, () => assert.throws(() => readHead(text), notHttp));

  it("repeats nothing of what it refuses", () => {
    for (const text of [head("secret 200"), head(OK, "secret"), head(OK, "a: secret\x00")]) {
      assert.throws(
        () => readHead(text),
        (error: unknown) => error instanceof Error && !error.message.includes("secret"),
      );
    }
  });
});
