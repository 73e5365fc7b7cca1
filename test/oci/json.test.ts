import assert from "node:assert/strict";
import fc from "fast-check";
import { parseObject } from "../../src/oci/json.ts";
import { coded } from "./scripted-server.ts";

const parse = (text: string) => parseObject(Buffer.from(text), "the manifest");

describe("parseObject", () => {
  const refused: readonly (readonly [what: string, text: string])[] = [
    ["a key twice", '{"layers": [], "config": {}, "layers": [1]}'],
    ["a key twice below", '{"a": [{"b": 1, "c": {}, "b": 2}]}'],
    ["a key twice, once escaped", '{"layers": [], "l\\u0061yers": [1]}'],
    ["a key twice, but for its case, as Go reads them", '{"layers": [], "Layers": [1]}'],
    ["a list", "[]"],
    ["null", "null"],
    ["cut text", '{"layers": ['],
    ["a byte order mark", "\ufeff{}"],
    ["too many members", `{${Array.from({ length: 100_001 }, (_, index) => `"a${index}": 0`).join()}}`],
    ["too many elements", `{"a": [${"0,".repeat(100_001)}0]}`],
    ["too many empty objects", `{"a": [${"{},".repeat(60_000)}{}]}`],
    ["a string without an end", '{"a": "b\\"}'],
    ["a key that is no string", '{"\\x": 1}'],
    ["deep nesting", `${'{"a":'.repeat(33)}1${"}".repeat(33)}`],
  ];
  for (const [what, text] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => parse(text), coded("BadManifest")));
  }

  it("refuses bytes that are not UTF-8", () => {
    assert.throws(() => parseObject(Buffer.from('{"a":"\xff"}', "latin1"), "the manifest"), coded("BadManifest"));
  });

  it("does not quote the document in its message", () => {
    assert.throws(
      () => parse('{"secret": hunter2}'),
      (error: unknown) => error instanceof Error && !error.message.includes("hunter2"),
    );
  });

  it("sees no keys inside strings and none twice in different objects", () => {
    const value = { a: '"a": 1, "a": {', b: [{ a: "\\" }, { a: '\\"' }], c: { a: 1 } };
    assert.deepEqual(parse(JSON.stringify(value)), value);
  });

  it("reads a text of four megabytes", () => {
    const value = { text: "x".repeat(4 * 1024 * 1024) };
    assert.deepEqual(parse(JSON.stringify(value)), value);
  });

  it("reads the longest strings, whatever is in them", () => {
    for (const piece of ["x", "\\n", '\\"', "\\\\"]) {
      const text = `{"a": "${piece.repeat((16 * 1024 * 1024) / piece.length)}"}`;
      assert.equal(JSON.stringify(parse(text)["a"]).length, 16 * 1024 * 1024 + 2, piece);
    }
  });

  it("is done with the deepest nesting at once", () => {
    const text = `{"a": ${"[".repeat(32 * 1024 * 1024)}`;
    assert.throws(() => parse(text), { message: /nested more than 32 levels/ });
  });

  it("reads as many members as there may be", () => {
    const members = Array.from({ length: 99_998 }, (_, index) => [`a${index}`, 0]);
    assert.equal(Object.keys(parse(JSON.stringify(Object.fromEntries(members)))).length, members.length);
  });

  it("accepts whatever JSON.stringify writes, if keys differ in more than case", () => {
    const key = fc.string().map(text => text.toLowerCase());
    const { tree } = fc.letrec<{ tree: unknown }>(tie => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        fc.string(),
        fc.double(),
        fc.dictionary(key, tie("tree"), { noNullPrototype: true }),
        fc.array(tie("tree")),
      ),
    }));
    fc.assert(
      fc.property(tree, value => {
        const text = JSON.stringify({ value });
        assert.deepEqual(parse(text), JSON.parse(text));
      }),
    );
  });
});
