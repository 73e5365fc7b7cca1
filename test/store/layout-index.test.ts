import assert from "node:assert/strict";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { findEntry, indexBytes, nameOf, readIndex, withEntry } from "../../src/store/layout-index.ts";
import { coded } from "../oci/scripted-server.ts";

function entry(content: string) {
  return { mediaType: OCI_MANIFEST, digest: digestOf(Buffer.from(content)), size: content.length };
}

const [ONE, TWO] = [entry("one"), entry("two")];

describe("index of a layout", () => {
  const index = withEntry(withEntry([], ONE, "v1"), TWO, "v2");

  it("is read back as it was written", () => {
    assert.deepEqual(JSON.parse(JSON.stringify(readIndex(indexBytes(index), "index.json"))), index);
  });

  it("finds images by name and by digest", () => {
    assert.equal(findEntry(index, "v2", "here").digest, TWO.digest);
    assert.equal(findEntry(index, ONE.digest, "here").digest, ONE.digest);
    assert.throws(() => findEntry(index, "v3", "here"), /here holds no image "v3"; it holds "v1", "v2"/);
  });

  it("needs no name where there is one image, under however many", () => {
    assert.equal(findEntry(withEntry(withEntry([], ONE, "v1"), ONE, "latest"), null, "here").digest, ONE.digest);
    assert.throws(() => findEntry(index, null, "here"), coded("Ambiguous"));
    assert.throws(() => findEntry([], null, "here"), /here holds no image; it holds nothing/);
  });

  it("gives a name to one image at a time", () => {
    const moved = withEntry(index, TWO, "v1");
    assert.deepEqual(
      moved.map(one => [nameOf(one), one.digest]),
      [
        ["v2", TWO.digest],
        ["v1", TWO.digest],
      ],
    );
  });

  it("lists an image without a name once, and no more when it gets one", () => {
    const unnamed = withEntry(withEntry([], ONE, null), ONE, null);
    assert.deepEqual(unnamed.map(nameOf), [null]);
    assert.deepEqual(withEntry(unnamed, ONE, "v1").map(nameOf), ["v1"]);
    assert.deepEqual(withEntry(index, ONE, null), index);
  });

  it("refuses a name twice for two images", () => {
    const twice = [...index, { ...TWO, annotations: { "org.opencontainers.image.ref.name": "v1" } }];
    assert.throws(() => findEntry(twice, "v1", "here"), coded("Ambiguous"));
  });

  for (const name of ["", "two words", "a\nb", "x".repeat(513)]) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 10))}`, () => {
      assert.throws(() => withEntry([], ONE, name), coded("BadName"));
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
