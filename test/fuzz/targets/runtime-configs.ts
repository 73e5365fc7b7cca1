import assert from "node:assert/strict";
import { RegistryError } from "../../../src/oci/error.ts";
import { annotatedRootIds, readRuntimeConfig, writeRuntimeConfig } from "../../../src/oci/runtime-config.ts";
import { jsonInputs } from "../json-mutation.ts";
import { type FuzzTarget, readOrRefused } from "../target.ts";

const documents = [
  { type: "envoy_proxy", abiVersions: ["v0-541b2c1155fffb15ccde92b8324f3e38f7339ba6"], config: { rootIds: ["a"] } },
  { type: "envoy_proxy", abi_version: "v0.2.1", config: { root_ids: ["a", "b"] } },
];

/** What is read can be written, and is then read the same. */
export const runtimeConfigs: FuzzTarget = {
  name: "runtime-configs",
  seeds: [...documents, {}, ["a", "b,c"]].map(document => Buffer.from(JSON.stringify(document))),
  inputs: jsonInputs(documents),
  tokens: ["null", "{}", "[]", '""', '"abiVersion":"a",', '"root_ids":[],', '"config":', '"\\u0000"', "1e999", "\xff"],
  run: async input => {
    await readOrRefused(RegistryError, () => annotatedRootIds(input.toString("utf8")));
    await readOrRefused(RegistryError, () => {
      const config = readRuntimeConfig(input);
      const { type, ...lists } = config;
      const written = writeRuntimeConfig({ ...(type === null ? {} : { type }), ...lists });
      assert.deepEqual(readRuntimeConfig(written), config);
    });
  },
};
