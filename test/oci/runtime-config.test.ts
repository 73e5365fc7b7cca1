import assert from "node:assert/strict";
import { annotatedRootIds, rootIds } from "../../src/oci/runtime-config.ts";
import { coded } from "./scripted-server.ts";

const read = (text: string) => rootIds(Buffer.from(text));

describe("rootIds", () => {
  const accepted: readonly (readonly [text: string, expected: readonly string[]])[] = [
    // The config blobs of real pushes by wasme.
    [
      '{"type":"envoy_proxy","abiVersions":["v0-541b2c1155fffb15ccde92b8324f3e38f7339ba6","v0-097b7f2e4cc1fb490cc1943d0d633655ac3c522f"],"config":{"rootIds":["add_header"]}}',
      ["add_header"],
    ],
    [
      '{"type":"envoy_proxy","abiVersion":"v0-541b2c1155fffb15ccde92b8324f3e38f7339ba6","config":{"rootIds":["add_header_root_id"]}}',
      ["add_header_root_id"],
    ],
    ['{"type":"envoy_proxy","abi_version":"v0","config":{"root_ids":["a","b"]}}', ["a", "b"]],
    ["{}", []],
    ['{"config":{}}', []],
    ['{"config":null}', []],
    ['{"config":{"rootIds":[]}}', []],
  ];
  for (const [text, expected] of accepted)
    it(`reads ${text.slice(0, 60)}`, () => assert.deepEqual(read(text), expected));

  const refused = [
    "[]",
    "",
    '{"config":{"rootIds":"a"}}',
    '{"config":{"rootIds":[1]}}',
    '{"config":{"rootIds":["a\\u0000"]}}',
    `{"config":{"rootIds":["${"a".repeat(257)}"]}}`,
    `{"config":{"rootIds":${JSON.stringify(Array(65).fill("a"))}}}`,
  ];
  for (const text of refused)
    it(`refuses ${text.slice(0, 40)}`, () => assert.throws(() => read(text), coded("BadManifest")));
});

describe("annotatedRootIds", () => {
  it("reads a JSON array of texts, or nothing", () => {
    assert.deepEqual(annotatedRootIds(undefined), []);
    assert.deepEqual(annotatedRootIds('["a","b,c"]'), ["a", "b,c"]);
    assert.throws(() => annotatedRootIds("a,b"), coded("BadManifest"));
    assert.throws(() => annotatedRootIds('{"0":"a"}'), coded("BadManifest"));
  });
});
