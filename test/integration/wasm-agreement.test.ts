import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import asc from "assemblyscript/asc";
import { messageOf } from "../../src/error.ts";
import { abiMarkers } from "../../src/wasm/abi-version.ts";
import { checkModule } from "../../src/wasm/check.ts";
import { formatEnvoyVersion, newestEnvoyVersion, parseEnvoyVersion } from "../../src/wasm/envoy-version.ts";
import { hostFunctions } from "../../src/wasm/host-functions.ts";
import { bytesSource } from "../../src/wasm/module-source.ts";
import { envoyBinary } from "../environment/envoy.ts";
import { unavailable } from "../environment/requirement.ts";
import { versions } from "../environment/versions.ts";
import { cases } from "../wasm/cases/index.ts";
import { filter } from "../wasm/filter.ts";
import { sectionStarts, wholeFilter } from "../wasm/whole-filter.ts";
import { type Verdict, validate } from "./wasm-validate.ts";

/** How many Envoys run at once. */
const atOnce = 2;

const envoyVersion = formatEnvoyVersion(parseEnvoyVersion(versions.envoy));

function accepts(module: Uint8Array): boolean {
  return checkModule(bytesSource(module), { envoyVersion }).ok;
}

/**
 * The check against the pinned Envoy, which instantiates each module. Cases where the two differ say so, with the
 * reason, in their table; a difference that is not there any more fails as well.
 */
describe("the module check and a real Envoy", function () {
  this.timeout(600_000);

  let envoy: string;
  const verdicts = new Map<Uint8Array, Verdict>();
  const all = Object.values(cases).flat();

  async function askAll(modules: readonly Uint8Array[]): Promise<void> {
    const waiting = modules.values();
    const worker = async () => {
      for (const module of waiting) verdicts.set(module, await validate(envoy, module));
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
  }

  async function assertAgreement(modules: ReadonlyMap<string, Uint8Array>): Promise<void> {
    await askAll([...modules.values()]);
    for (const [name, module] of modules) {
      const { outcome, reason } = verdicts.get(module) ?? assert.fail(name);
      assert.equal(accepts(module) ? "accepts" : "refuses", outcome, `${name}: ${reason}`);
    }
  }

  before(async function () {
    try {
      envoy = await envoyBinary();
    } catch (error) {
      unavailable(this, messageOf(error));
    }
    await askAll(all.map(({ module }) => module));
  });

  it("is the release that the check presumes", () => {
    assert.equal(envoyVersion, newestEnvoyVersion);
  });

  for (const [subject, list] of Object.entries(cases))
    describe(subject, () => {
      for (const { name, module, envoy: expected, difference } of list)
        it(`Envoy ${expected} ${name}${difference === undefined ? "" : " (a difference)"}`, () => {
          const { outcome, reason } = verdicts.get(module) ?? assert.fail("not asked");
          assert.equal(outcome, expected, reason);
          const agree = outcome === (accepts(module) ? "accepts" : "refuses");
          assert.equal(agree, difference === undefined, "a difference needs its reason, and a reason a difference");
        });
    });

  it("agrees on a filter cut at each boundary of its sections, and beside it", async () => {
    const cuts = [0, ...sectionStarts].flatMap(start => [start, start + 1, start + 2]);
    await assertAgreement(new Map(cuts.map(size => [`cut to ${size} bytes`, wholeFilter.slice(0, size)])));
  });

  for (const abi of abiMarkers.values())
    it(`agrees on every host function of ABI ${abi}`, async () => {
      const imports = [...hostFunctions.values()].flatMap(functions =>
        [...functions.values()]
          .filter(({ abis }) => abis === null || abis.includes(abi))
          .map(({ module, name, type }) => [module, name, letters(type)] as const),
      );
      assert.ok(imports.length > 120);
      const module = filter({ abi: abi.replaceAll(".", "_"), imports });
      await assertAgreement(new Map([["all imports", module]]));
      assert.ok(accepts(module));
    });

  it("agrees on a real filter, made with the AssemblyScript SDK", async () => {
    const module = await compile(`
      export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
      import { Context, registerRootContext, RootContext } from "@gcoredev/proxy-wasm-sdk-as/assembly";
      class Root extends RootContext {
        createContext(id: u32): Context { return new Context(id, this); }
      }
      registerRootContext((id: u32) => new Root(id), "");
    `);
    const report = checkModule(bytesSource(module), { envoyVersion });
    assert.deepEqual(report.problems, []);
    assert.equal(report.abi, "0.2.1");
    const callback = report.exports.find(({ name }) => name === "proxy_on_request_headers");
    assert.equal(callback?.type, "(i32, i32, i32) -> i32");
    assert.ok(report.imports.some(({ module }) => module === "wasi_snapshot_preview1"));
    await assertAgreement(
      new Map([
        ["whole", module],
        ["without its last byte", module.slice(0, -1)],
        ["its first half", module.slice(0, module.length / 2)],
      ]),
    );
  });
});

/** "(i32, i64) -> i32" in the letters of the encoder: "iI:i". */
function letters(type: string): string {
  return type
    .replaceAll("i32", "i")
    .replaceAll("i64", "I")
    .replace(" -> ", ":")
    .replace(/[(), ]/g, "");
}

/** Compiles one AssemblyScript source to a module, in memory. */
async function compile(source: string): Promise<Uint8Array> {
  let module: Uint8Array | undefined;
  const shim = "node_modules/@assemblyscript/wasi-shim/asconfig.json";
  const { error, stderr } = await asc.main(
    ["filter.ts", "--config", shim, "--use", "abort=abort_proc_exit", "--outFile", "filter.wasm", "--optimize"],
    {
      readFile: async (name, folder) => {
        if (name === "filter.ts") return source;
        return readFile(new URL(`${folder}/${name}`, new URL("../../", import.meta.url)), "utf8").catch(() => null);
      },
      writeFile: (name, contents) => {
        if (name.endsWith(".wasm") && typeof contents !== "string") module = contents;
      },
    },
  );
  assert.equal(error, null, stderr.toString());
  return module ?? assert.fail(stderr.toString());
}
