import assert from "node:assert/strict";
import { MAX_BYTES } from "../../src/inject/input.ts";
import { deployment, inject } from "./injecting.ts";

describe("what injection does not read", () => {
  const refusals: readonly [title: string, text: string | Uint8Array, code: string, message: RegExp][] = [
    [
      "broken YAML",
      "a: [1\nb: 2\n",
      "NotYaml",
      /^standard input is neither YAML nor JSON: .* at line \d+, column \d+$/,
    ],
    ["a broken document among others", "a: 1\n---\nb: 'x\n", "NotYaml", /^standard input, document 2 is neither/],
    ["broken JSON", '{"a": 1,, "b"}', "NotYaml", /neither YAML nor JSON/],
    ["JSON documents in a row", '{"a": 1}\n{"a": 2}\n', "NotYaml", /neither YAML nor JSON/],
    ["a key set twice", "a: 1\nb: 2\na: 3\n", "NotYaml", /Map keys must be unique at line 3/],
    ["a JSON key set twice", '{"a": 1, "a": 2}', "NotYaml", /Map keys must be unique/],
    ["an alias of nothing", "a: *b\n", "NotYaml", /Unresolved alias.*: b$/],
    ["a cycle", "a: &a {b: [*a]}\n", "NotYaml", /the alias \*a stands inside of what it names$/],
    [
      "an alias bomb",
      `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 9 }, (_, level) => `a${level + 1}: &a${level + 1} [${Array(10).fill(`*a${level}`).join(", ")}]\n`).join("")}`,
      "TooLarge",
      /expands aliases more than 100 times: write out what they name$/,
    ],
    ["deep nesting", `${"[".repeat(101)}${"]".repeat(101)}`, "TooLarge", /nested more than 100 levels deep$/],
    ["deeper nesting", "- ".repeat(200_000), "TooLarge", /nested more than 100 levels deep$/],
    [
      "nesting by aliases",
      `a: &a ${"[".repeat(60)}${"]".repeat(60)}\nb: ${"[".repeat(60)}*a${"]".repeat(60)}\n`,
      "TooLarge",
      /nested/,
    ],
    ["what is not UTF-8", Buffer.from([0x61, 0x3a, 0x20, 0xff]), "Unreadable", /^standard input is not UTF-8/],
    ["too many bytes", Buffer.alloc(MAX_BYTES + 1, "#"), "TooLarge", /more than 16777216 bytes: split it$/],
  ];
  for (const [title, text, code, message] of refusals) {
    it(`is ${title}`, async () => {
      await assert.rejects(inject(text), { name: "InjectError", code, message });
    });
  }

  it("is a file that is not there, or a folder", async () => {
    for (const file of ["nowhere.yaml", "src"]) {
      await assert.rejects(inject("", { files: [file] }), {
        code: "Unreadable",
        message: new RegExp(`^${file} can't be read`),
      });
    }
  });

  it("is the standard input a second time", async () => {
    await assert.rejects(inject("", { files: ["-", "-"] }), { code: "BadUsage", message: /-f - is given twice/ });
  });

  it("is written out nowhere: one bad document refuses all", async () => {
    await assert.rejects(inject(`${deployment()}---\na: [`), { code: "NotYaml" });
  });

  it("leaves as many bytes and levels as are allowed", async () => {
    const text = `${"[".repeat(100)}${"]".repeat(100)}\n#${"x".repeat(1_000_000)}`;
    assert.equal((await inject(text)).text, text);
  });
});
