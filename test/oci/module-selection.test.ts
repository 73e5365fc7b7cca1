import assert from "node:assert/strict";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { refuseComponent } from "../../src/oci/layouts/cncf.ts";
import {
  CNCF_CONFIG,
  CNCF_WASM,
  CONTENT_CONFIG,
  CONTENT_WASM,
  DOCKER_LAYER_GZIP,
  DOCKER_LAYER_ZSTD,
  DOCKER_MANIFEST,
  OCI_EMPTY,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  SOLO_CONFIG,
  SOLO_WASM,
} from "../../src/oci/media-types.ts";
import { selectModule } from "../../src/oci/module-selection.ts";
import { descriptorOf, imageOf } from "./images.ts";
import { coded } from "./scripted-server.ts";

const of = (mediaType: string, title?: string) => descriptorOf(Buffer.from(mediaType + title), mediaType, title);
const select = (types: readonly (string | Descriptor)[], config = OCI_EMPTY, change = {}) =>
  selectModule(
    imageOf(
      types.map(type => (typeof type === "string" ? of(type) : type)),
      { config: of(config), ...change },
    ),
  );

describe("selectModule", () => {
  type Row = readonly [what: string, layers: readonly (string | Descriptor)[], config: string, expected: string];
  const accepted: readonly Row[] = [
    ["CNCF", [CNCF_WASM], CNCF_CONFIG, "cncf 0 raw config"],
    ["CNCF by its layer alone", [CNCF_WASM], OCI_EMPTY, "cncf 0 raw -"],
    ["CNCF, by oras without a type", [of(OCI_LAYER, "f.wasm")], CNCF_CONFIG, "cncf 0 raw config"],
    ["wasme", [SOLO_CONFIG, SOLO_WASM], SOLO_CONFIG, "solo-oci 1 raw config"],
    ["wasme, module first", [SOLO_WASM, SOLO_CONFIG], OCI_EMPTY, "solo-oci 0 raw config"],
    ["wasme, module alone", [SOLO_WASM], OCI_EMPTY, "solo-oci 0 raw -"],
    ["wasme, three layers", [OCI_EMPTY, SOLO_WASM, SOLO_CONFIG], OCI_EMPTY, "solo-oci 1 raw config"],
    ["compat", [OCI_LAYER_GZIP], OCI_EMPTY, "compat 0 gzip -"],
    ["compat, two layers", [OCI_LAYER_GZIP, OCI_LAYER_GZIP], OCI_EMPTY, "compat 1 gzip -"],
    ["compat, zstd", [OCI_LAYER_GZIP, OCI_LAYER_ZSTD], OCI_EMPTY, "compat 1 zstd -"],
    ["compat by docker, zstd", [DOCKER_LAYER_ZSTD], OCI_EMPTY, "compat 0 zstd -"],
    ["compat by docker", [DOCKER_LAYER_GZIP, DOCKER_LAYER_GZIP], OCI_EMPTY, "compat 1 gzip -"],
    ["Higress", ["application/vnd.module.wasm.doc.v1+markdown", OCI_LAYER_GZIP], OCI_EMPTY, "compat 1 gzip -"],
    ["wasm-to-oci", [CONTENT_WASM], CONTENT_CONFIG, "content 0 raw -"],
    ["oras push", [of(OCI_LAYER, "filter.wasm")], OCI_EMPTY, "titled 0 raw -"],
    ["oras push of a type of its own", [of("application/x-thing", "filter.wasm")], OCI_EMPTY, "titled 0 raw -"],
    ["oras push as a gzipped tar, which it isn't", [of(OCI_LAYER_GZIP, "filter.wasm")], OCI_EMPTY, "titled 0 raw -"],
  ];
  for (const [what, layers, config, expected] of accepted) {
    it(`finds the module of ${what}`, () => {
      const image = imageOf(
        layers.map(type => (typeof type === "string" ? of(type) : type)),
        { config: of(config) },
      );
      const found = selectModule(image);
      const place = image.layers.indexOf(found.layer);
      assert.equal([found.layout, place, found.encoding, found.config ? "config" : "-"].join(" "), expected);
    });
  }

  it("reads Docker's manifests like any", () => {
    assert.equal(select([DOCKER_LAYER_GZIP], OCI_EMPTY, { mediaType: DOCKER_MANIFEST }).layout, "compat");
  });

  const refused: readonly (readonly [
    what: string,
    layers: readonly (string | Descriptor)[],
    config: string,
    message: RegExp,
  ])[] = [
    ["no layers", [], OCI_EMPTY, /has no layers; supported: one application\/wasm layer/],
    [
      "an uncompressed tar",
      [OCI_LAYER],
      OCI_EMPTY,
      /found application\/vnd\.oci\.image\.layer\.v1\.tar; supported: .*tar\+gzip/,
    ],
    ["an empty layer", [OCI_EMPTY], OCI_EMPTY, /found application\/vnd\.oci\.empty/],
    ["a gzipped tar that is not the last", [OCI_LAYER_GZIP, OCI_LAYER], OCI_EMPTY, /supported/],
    ["two CNCF layers", [CNCF_WASM, CNCF_WASM], CNCF_CONFIG, /exactly one layer, this image has 2/],
    [
      "a CNCF layer of another type",
      ["application/x-wasm"],
      CNCF_CONFIG,
      /is application\/wasm, this one is application\/x-wasm/,
    ],
    ["a CNCF image without layers of its type", [CNCF_WASM, OCI_EMPTY], OCI_EMPTY, /exactly one layer/],
    ["two wasme modules", [SOLO_WASM, SOLO_WASM], SOLO_CONFIG, /two layers of type/],
    ["two wasm-to-oci layers", [CONTENT_WASM, CONTENT_WASM], CONTENT_CONFIG, /exactly one layer/],
    ["two titled layers", [of(OCI_LAYER, "a.wasm"), of(OCI_LAYER, "b.wasm")], OCI_EMPTY, /supported/],
    ["a layer titled otherwise", [of(OCI_LAYER, "filter.wat")], OCI_EMPTY, /supported/],
  ];
  for (const [what, layers, config, message] of refused) {
    it(`refuses ${what}`, () => assert.throws(() => select(layers, config), coded("UnsupportedLayout", message)));
  }
});

describe("refuseComponent", () => {
  const config = (value: object) => Buffer.from(JSON.stringify(value));

  it("lets a module's config pass", () => {
    refuseComponent(config({ architecture: "wasm", os: "wasip1", layerDigests: [], author: null, component: null }));
  });

  it("refuses a component's", () => {
    assert.throws(() => refuseComponent(config({ architecture: "wasm", os: "wasip2" })), coded("UnsupportedLayout"));
    assert.throws(() => refuseComponent(config({ os: "wasip1", component: {} })), coded("UnsupportedLayout"));
  });
});
