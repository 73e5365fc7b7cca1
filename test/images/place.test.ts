import assert from "node:assert/strict";
import { namesFile, parsePlace, pinned } from "../../src/images/place.ts";
import { ImageReferenceError, parseReference } from "../../src/oci/reference.ts";
import { coded } from "../oci/scripted-server.ts";

describe("parsePlace", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const cases: readonly [text: string, place: object][] = [
    ["reg.example/a:v1", { kind: "registry", reference: parseReference("reg.example/a:v1") }],
    ["oci://reg.example/a:v1", { kind: "registry", reference: parseReference("reg.example/a:v1") }],
    ["store:a", { kind: "store", reference: parseReference("a") }],
    ["oci:folder", { kind: "folder", path: "folder", name: null }],
    ["oci:/a/b:v1", { kind: "folder", path: "/a/b", name: "v1" }],
    ["oci:./a:reg.example:5000/team/f:v1", { kind: "folder", path: "./a", name: "reg.example:5000/team/f:v1" }],
    [`oci:a@${digest}`, { kind: "folder", path: "a", name: digest }],
    ["oci-archive:a.tar:v1", { kind: "archive", path: "a.tar", name: "v1" }],
  ];
  for (const [text, place] of cases) {
    it(`reads ${text}`, () => assert.deepEqual(parsePlace(text), place));
  }

  for (const text of ["oci:", "oci::v1", "oci:a:", "oci-archive:", "oci:a\0b"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parsePlace(text), coded("BadPlace")));
  }

  it("refuses what is no reference", () => {
    assert.throws(() => parsePlace("store:UPPER/x"), ImageReferenceError);
  });

  it("tells a file by its spelling", () => {
    for (const text of ["./a", "../a", "/a", "a.wasm", "build/a.wasm"]) assert.equal(namesFile(text), true, text);
    for (const text of ["a", "reg.example/a", "reg.example/a.wasm:v1", "oci:./a"])
      assert.equal(namesFile(text), false, text);
  });

  it("pins a name once", () => {
    assert.equal(pinned("reg.example/a:v1", digest), `reg.example/a:v1@${digest}`);
    assert.equal(pinned(`reg.example/a@${digest}`, digest), `reg.example/a@${digest}`);
  });
});
