import assert from "node:assert/strict";
import { digestOf } from "../../src/oci/digest.ts";
import {
  annotatedRootIds,
  type RuntimeConfigContent,
  readRuntimeConfig,
  writeRuntimeConfig,
} from "../../src/oci/runtime-config.ts";
import { coded } from "./scripted-server.ts";

const read = (text: string) => readRuntimeConfig(Buffer.from(text));

const GLOO = "v0-541b2c1155fffb15ccde92b8324f3e38f7339ba6";
const ISTIO_1_5 = "v0-097b7f2e4cc1fb490cc1943d0d633655ac3c522f";
const ISTIO_1_7 = "v0-4689a30309abf31aee9ae36e73d34b1bb182685f";
const type = "envoy_proxy";

/** Config blobs of real pushes and of wasme's templates, by the digests that registries know them under. */
const goldens: readonly (readonly [name: string, content: RuntimeConfigContent, bytes: number, digest: string])[] = [
  [
    "G1, pushed by wasme",
    { type, abiVersions: [GLOO, ISTIO_1_5], rootIds: ["add_header"] },
    166,
    "766ecd72b4cc55952c00650f1a77b5f138207e76b5b2a241352ef245203af770",
  ],
  [
    "G2, of the specification and the first images",
    { type, abiVersions: GLOO, rootIds: ["add_header_root_id"] },
    125,
    "d0a165298ae270c5644be8e9938036a3a7a5191f6be03286c40874d761c18abf",
  ],
  [
    "G3, of wasm-to-oci, Kubewarden and oras",
    {},
    2,
    "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
  ],
  [
    "G4, of the AssemblyScript template",
    { type, abiVersions: [GLOO, ISTIO_1_5, ISTIO_1_7, "v0.2.1"], rootIds: ["add_header"] },
    221,
    "fe494a4546f6e664d679b31926d634df5bb6b3d5d19c0b8063ba80742a615214",
  ],
];

describe("writeRuntimeConfig", () => {
  for (const [name, content, size, digest] of goldens) {
    it(`gives ${name}, byte for byte, and it is read back`, () => {
      const bytes = writeRuntimeConfig(content);
      assert.deepEqual([bytes.length, digestOf(bytes)], [size, `sha256:${digest}`]);
      assert.deepEqual(readRuntimeConfig(bytes), {
        type: content.type ?? null,
        abiVersions: [content.abiVersions ?? []].flat(),
        rootIds: content.rootIds ?? [],
      });
    });
  }
});

describe("readRuntimeConfig", () => {
  const accepted: readonly (readonly [text: string, abis: readonly string[], ids: readonly string[]])[] = [
    ['{"abi_version":"v0","config":{"root_ids":["a","b"]}}', ["v0"], ["a", "b"]],
    ['{"abi_versions":["v0","v1"],"config":{"root_ids":[]}}', ["v0", "v1"], []],
    ['{"abiVersion":"v0"}', ["v0"], []],
    ['{"abiVersions":[],"abi_version":null,"config":{"rootIds":["a"],"root_ids":null}}', [], ["a"]],
    ['{"config":{}}', [], []],
    ['{"config":null}', [], []],
  ];
  for (const [text, abiVersions, rootIds] of accepted) {
    it(`reads ${text}`, () => assert.deepEqual(read(text), { type: null, abiVersions, rootIds }));
  }

  const refused: readonly (readonly [text: string, message: RegExp])[] = [
    ["[]", /object/],
    ["", /not JSON/],
    ['{"type":1}', /type is not a short text/],
    ['{"abiVersions":{}}', /abiVersions is not a list/],
    ['{"abiVersion":["v0",1]}', /abiVersions is not a list/],
    [`{"abiVersion":"${"v".repeat(257)}"}`, /abiVersion is not a list/],
    ['{"abiVersions":["v0"],"abi_version":"v1"}', /both abiVersions and abi_version/],
    ['{"config":{"rootIds":["a"],"root_ids":["b"]}}', /both rootIds and root_ids/],
    ['{"config":{"rootIds":"a"}}', /rootIds is not a list/],
    ['{"config":{"rootIds":[1]}}', /rootIds is not a list/],
    ['{"config":{"rootIds":["a\\u0000"]}}', /rootIds is not a list/],
    [`{"config":{"rootIds":["${"a".repeat(257)}"]}}`, /rootIds is not a list/],
    [`{"config":{"rootIds":${JSON.stringify(Array(65).fill("a"))}}}`, /rootIds is not a list/],
  ];
  for (const [text, message] of refused)
    it(`refuses ${text.slice(0, 60)}`, () => assert.throws(() => read(text), coded("BadManifest", message)));
});

describe("annotatedRootIds", () => {
  it("reads a JSON array of texts, or nothing", () => {
    assert.deepEqual(annotatedRootIds(undefined), []);
    assert.deepEqual(annotatedRootIds('["a","b,c"]'), ["a", "b,c"]);
    assert.throws(() => annotatedRootIds("a,b"), coded("BadManifest"));
    assert.throws(() => annotatedRootIds('{"0":"a"}'), coded("BadManifest"));
    assert.throws(() => annotatedRootIds("null"), coded("BadManifest"));
  });
});
