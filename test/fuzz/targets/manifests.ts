import assert from "node:assert/strict";
import { RegistryError } from "../../../src/oci/error.ts";
import { selectManifest } from "../../../src/oci/index-selection.ts";
import { readManifest } from "../../../src/oci/manifest.ts";
import {
  CNCF_CONFIG,
  CNCF_WASM,
  CONTENT_WASM,
  DOCKER_MANIFEST,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
  SOLO_CONFIG,
  SOLO_WASM,
} from "../../../src/oci/media-types.ts";
import { selectModule } from "../../../src/oci/module-selection.ts";
import { descriptorOf, MODULE } from "../../oci/images.ts";
import { jsonInputs } from "../json-mutation.ts";
import { type FuzzTarget, readOrRefused } from "../target.ts";

const part = (type: string, title?: string) => descriptorOf(MODULE, type, title);
const image = (layers: readonly object[], change: object = {}) => ({
  schemaVersion: 2,
  mediaType: OCI_MANIFEST,
  config: part(OCI_EMPTY),
  layers,
  ...change,
});
const entry = (os: string, architecture: string) => ({ ...part(OCI_MANIFEST), platform: { os, architecture } });
const documents = [
  image([part(CNCF_WASM, "f.wasm")], { config: part(CNCF_CONFIG), annotations: { "wasmount.dev/root-ids": '["a"]' } }),
  image([part(SOLO_CONFIG), part(SOLO_WASM)], { config: part(SOLO_CONFIG), mediaType: undefined }),
  image([part(OCI_LAYER_GZIP), part(OCI_LAYER_GZIP)], { mediaType: DOCKER_MANIFEST }),
  image([part(CONTENT_WASM)], { subject: part(OCI_MANIFEST), artifactType: CNCF_CONFIG }),
  image([part("application/x-any", "f.wasm")]),
  { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [entry("linux", "amd64"), entry("wasip1", "wasm")] },
  { schemaVersion: 2, mediaType: OCI_INDEX, manifests: [{ ...part(OCI_INDEX), annotations: { a: "b" } }] },
];

/** Manifests and indexes, and what is chosen from them: always something that they list. */
export const manifests: FuzzTarget = {
  name: "manifests",
  seeds: documents.map(document => Buffer.from(JSON.stringify(document))),
  inputs: jsonInputs(documents),
  tokens: [
    "null",
    "{}",
    "[]",
    "-1",
    "1e999",
    '""',
    '"layers":[],',
    '"manifests":[],',
    '"__proto__":{},',
    '"mediaType":"application/wasm",',
    '"\\ud800"',
    "[".repeat(40),
    '{"a":'.repeat(40),
    "\xff",
    CNCF_WASM,
    OCI_INDEX,
  ],
  run: async input => {
    await readOrRefused(RegistryError, () => {
      const { manifest } = readManifest(input, null, null);
      if (manifest.kind === "index") assert.ok(manifest.manifests.includes(selectManifest(manifest, "linux/amd64")));
      else assert.ok(manifest.layers.includes(selectModule(manifest).layer));
    });
  },
};
