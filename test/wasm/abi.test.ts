import assert from "node:assert/strict";
import { abiMarkers } from "../../src/wasm/abi-version.ts";
import { newestEnvoyVersion, parseEnvoyVersion } from "../../src/wasm/envoy-version.ts";
import { hostFunctions } from "../../src/wasm/host-functions.ts";
import { callbackNames, expectedExports } from "../../src/wasm/module-functions.ts";
import { signatureText } from "../../src/wasm/signature.ts";
import { abiFacts } from "./abi-facts.ts";

const { hostFunctions: host, callbacks, startAndMemory } = abiFacts;
const newest = parseEnvoyVersion(newestEnvoyVersion);
const abis = [...abiMarkers.values()];

function sorted(entries: Iterable<readonly [string, string]>): [string, string][] {
  return [...entries].map(([name, type]): [string, string] => [name, type]).sort();
}

function signatures(...tables: readonly Readonly<Record<string, string>>[]): [string, string][] {
  return sorted(
    tables.flatMap(table => Object.entries(table)).map(([name, letters]) => [name, signatureText(letters)]),
  );
}

/** What the table says that modules of an ABI may import from a module of an Envoy. */
function offered(module: string, abi: (typeof abis)[number], minor: number): [string, string][] {
  const functions = [...(hostFunctions.get(module)?.values() ?? [])];
  return sorted(
    functions
      .filter(({ abis: only, since }) => (only?.includes(abi) ?? true) && (since?.minor ?? 0) <= minor)
      .map(({ name, type }) => [name, type]),
  );
}

function named(names: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(names.map(name => [name, host.wasi[name] ?? assert.fail(name)]));
}

describe("the tables of the ABI, against Envoy's source", () => {
  for (const abi of abis) {
    it(`offer to modules of ABI ${abi} what it offers`, () => {
      assert.deepEqual(offered("env", abi, newest.minor), signatures(host.env, host.envByAbi[abi]));
      for (const wasi of ["wasi_snapshot_preview1", "wasi_unstable"]) {
        assert.deepEqual(offered(wasi, abi, newest.minor), signatures(host.wasi));
        assert.deepEqual(offered(wasi, abi, 38), signatures(named(host["wasiBefore1.39"])));
        assert.deepEqual(offered(wasi, abi, 33), signatures(named(host["wasiBefore1.39"])));
        assert.deepEqual(offered(wasi, abi, 32), signatures(named(host["wasiBefore1.33"])));
      }
    });

    it(`look in modules of ABI ${abi} for what it looks for`, () => {
      const { malloc, _start, _initialize, main, __main_void } = startAndMemory as Record<string, string>;
      const own = [callbacks.all, callbacks[abi === "0.1.0" ? "0.1.0" : "0.2.x"]];
      const expected = (exported: readonly string[], envoy = newest) =>
        sorted(expectedExports(new Set(exported), abi, envoy));
      assert.ok(malloc && _start !== undefined && _initialize !== undefined && main && __main_void);
      assert.deepEqual(expected(["malloc"]), signatures(...own, { malloc, _start }));
      assert.deepEqual(expected([]), signatures(...own, { proxy_on_memory_allocate: malloc, _start }));
      assert.deepEqual(
        expected(["malloc", "_initialize"]),
        signatures(...own, { malloc, _initialize, main, __main_void }),
      );
      assert.deepEqual(
        expected(["malloc", "_initialize"], { major: 1, minor: 38 }),
        signatures(...own, { malloc, _initialize, main }),
      );
    });
  }

  it("name every callback, for Envoy's list of capabilities", () => {
    const names = Object.values(callbacks).flatMap(table => Object.keys(table));
    assert.deepEqual([...callbackNames].sort(), [...new Set(names)].sort());
  });
});
