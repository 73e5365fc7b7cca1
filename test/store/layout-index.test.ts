import assert from "node:assert/strict";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import {
  EMPTY_INDEX,
  findEntry,
  indexBytes,
  type LayoutIndex,
  listedIn,
  MAX_INDEX,
  nameOf,
  readIndex,
  withEntry,
} from "../../src/store/layout-index.ts";
import { coded } from "../oci/scripted-server.ts";

function entry(content: string) {
  return { mediaType: OCI_MANIFEST, digest: digestOf(Buffer.from(content)), size: content.length };
}

const [ONE, TWO] = [entry("one"), entry("two")];

describe("index of a layout", () => {
  const index = withEntry(withEntry(EMPTY_INDEX, ONE, "v1"), TWO, "v2");

  it("is read back as it was written", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(readIndex(indexBytes(index, "index.json"), "index.json"))), index);
  });

  it("finds images by name and by digest", () => {
    assert.equal(findEntry(listedIn(index), "v2", "here").digest, TWO.digest);
    assert.equal(findEntry(listedIn(index), ONE.digest, "here").digest, ONE.digest);
    assert.throws(() => findEntry(listedIn(index), "v3", "here"), /here holds no image "v3"; it holds "v1", "v2"/);
  });

  it("needs no name where there is one image, under however many", () => {
    assert.equal(
      findEntry(listedIn(withEntry(withEntry(EMPTY_INDEX, ONE, "v1"), ONE, "latest")), null, "here").digest,
      ONE.digest,
    );
    assert.throws(() => findEntry(listedIn(index), null, "here"), coded("Ambiguous"));
    assert.throws(() => findEntry([], null, "here"), /here holds no image; it holds nothing/);
  });

  it("gives a name to one image at a time", () => {
    const moved = withEntry(index, TWO, "v1");
    assert.deepEqual(
      listedIn(moved).map(one => [nameOf(one), one.digest]),
      [
        ["v2", TWO.digest],
        ["v1", TWO.digest],
      ],
    );
  });

  it("lists an image without a name once, and no more when it gets one", () => {
    const unnamed = withEntry(withEntry(EMPTY_INDEX, ONE, null), ONE, null);
    assert.deepEqual(listedIn(unnamed).map(nameOf), [null]);
    assert.deepEqual(listedIn(withEntry(unnamed, ONE, "v1")).map(nameOf), ["v1"]);
    assert.deepEqual(withEntry(index, ONE, null), index);
  });

  it("leaves what other tools wrote as it was, but for the entry that is meant", () => {
    const platform = { architecture: "arm64", os: "windows", variant: "v8", "os.version": "10", "os.features": ["a"] };
    const theirs = { ...ONE, platform, urls: ["https://a.example"], data: "b25l", annotations: { key: "value" } };
    const old = { ...TWO, annotations: { "org.opencontainers.image.ref.name": "v2" } };
    const top = { schemaVersion: 2, artifactType: "a/b", annotations: { of: "the index" }, "x-other": [1] };
    const read = readIndex(Buffer.from(JSON.stringify({ ...top, manifests: [theirs, old] })), "index.json");
    const written = (changed: LayoutIndex) => JSON.parse(indexBytes(changed, "index.json").toString());

    assert.deepEqual(written(withEntry(read, entry("three"), "v2")), {
      ...top,
      manifests: [theirs, { ...entry("three"), annotations: { "org.opencontainers.image.ref.name": "v2" } }],
    });
    assert.deepEqual(written(withEntry(read, ONE, "v1")), {
      ...top,
      manifests: [old, { ...theirs, annotations: { "org.opencontainers.image.ref.name": "v1" } }],
    });
    assert.deepEqual(written(withEntry(read, { ...ONE, platform: { architecture: "arm64", os: "windows" } }, "v1")), {
      ...top,
      manifests: [old, { ...theirs, annotations: { "org.opencontainers.image.ref.name": "v1" } }],
    });
  });

  it("writes no index that would be too large to read", () => {
    const text = { schemaVersion: 2, manifests: [], annotations: { text: "x".repeat(MAX_INDEX - 100) } };
    const large = readIndex(Buffer.from(JSON.stringify(text)), "index.json");
    const one = withEntry(large, ONE, "v1");
    assert.throws(() => indexBytes(one, "index.json"), coded("TooLarge"));
    const many = { ...EMPTY_INDEX, entries: Array(20_001).fill({ descriptor: ONE, written: {} }) };
    assert.throws(() => indexBytes(many, "index.json"), coded("TooLarge"));
  });

  it("refuses a name twice for two images", () => {
    const twice = [...listedIn(index), { ...TWO, annotations: { "org.opencontainers.image.ref.name": "v1" } }];
    assert.throws(() => findEntry(twice, "v1", "here"), coded("Ambiguous"));
  });

  for (const name of ["", "two words", "a\nb", "x".repeat(513)]) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 10))}`, () => {
      assert.throws(() => withEntry(EMPTY_INDEX, ONE, name), coded("BadName"));
    });
  }

  for (const [title, text, message] of [
    ["no JSON", "{", /is not JSON/],
    ["no list", '{"schemaVersion":2}', /manifests is not a list/],
    ["another schema", '{"schemaVersion":1,"manifests":[]}', /schemaVersion is not 2/],
    ["a key twice", '{"schemaVersion":2,"manifests":[],"manifests":[]}', /"manifests" twice/],
    [
      "a digest that leads elsewhere",
      `{"schemaVersion":2,"manifests":[{"mediaType":"a/b","size":1,"digest":"sha256:../x"}]}`,
      /manifests\[0\]\.digest/,
    ],
    [
      "more images than anybody has",
      `{"schemaVersion":2,"manifests":[${"0,".repeat(20_000)}0]}`,
      /more than 20000 images/,
    ],
  ] as const) {
    it(`refuses ${title}`, () => {
      assert.throws(
        () => readIndex(Buffer.from(text), "index.json"),
        (error: Error) => coded("NotALayout")(error) && message.test(error.message),
      );
    });
  }
});
