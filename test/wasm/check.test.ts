import assert from "node:assert/strict";
import { checkModule, type ModuleReport } from "../../src/wasm/check.ts";
import { newestEnvoyVersion } from "../../src/wasm/envoy-version.ts";
import { hostFunctions } from "../../src/wasm/host-functions.ts";
import { bytesSource } from "../../src/wasm/module-source.ts";
import { cases } from "./cases/index.ts";
import { custom, functionType } from "./encoder.ts";
import { type FilterParts, filter } from "./filter.ts";

const wasi = "wasi_snapshot_preview1";

function check(module: Uint8Array, envoyVersion: string = newestEnvoyVersion): ModuleReport {
  return checkModule(bytesSource(module), { envoyVersion });
}

function codes(parts: FilterParts, envoyVersion?: string): string[] {
  return check(filter(parts), envoyVersion).problems.map(({ code }) => code);
}

function onlyMessage(parts: FilterParts, envoyVersion?: string): string {
  const { problems } = check(filter(parts), envoyVersion);
  assert.equal(problems.length, 1);
  return problems[0]?.message ?? "";
}

describe("the module check", () => {
  for (const [subject, list] of Object.entries(cases))
    describe(subject, () => {
      for (const { name, module, problems } of list)
        it(`${problems.length > 0 ? "refuses" : "accepts"} ${name}`, () => {
          const report = check(module);
          assert.deepEqual(
            report.problems.map(({ code }) => code),
            problems,
            JSON.stringify(report.problems, null, 1),
          );
          assert.equal(report.ok, problems.length === 0);
        });
    });

  it("reports what a module is", () => {
    const module = filter({
      abi: "0_2_0",
      imports: [["env", "proxy_increment_metric", "iI:i"]],
      rawImports: [["env", "table", [1, 0x70, 0, 1]]],
      functions: { malloc: "i:i", two: ":iF" },
      memories: [[1, 2, 9]],
      globals: [[0x7e, 0, 0x42, 0, 0x0b]],
      rawExports: [
        ["memory", 2, 0],
        ["zero", 3, 0],
      ],
      customs: [custom("name"), custom("producers", [0])],
    });
    assert.deepEqual(check(module), {
      size: module.length,
      abi: "0.2.0",
      imports: [
        { module: "env", name: "proxy_increment_metric", kind: "function", type: "(i32, i64) -> i32" },
        { module: "env", name: "table", kind: "table", type: "(ref null func)" },
      ],
      exports: [
        { name: "proxy_abi_version_0_2_0", kind: "function", type: "() -> ()" },
        { name: "malloc", kind: "function", type: "(i32) -> i32" },
        { name: "two", kind: "function", type: "() -> (i32, f64)" },
        { name: "memory", kind: "memory" },
        { name: "zero", kind: "global", type: "i64" },
      ],
      memory: { initialPages: 2, maximumPages: 9, shared: false, memory64: false, imported: false },
      customSections: [
        { name: "name", size: 0 },
        { name: "producers", size: 1 },
      ],
      problems: [],
      ok: true,
    } satisfies ModuleReport);
  });

  it("says where in the module a problem is", () => {
    const module = filter({ imports: [["env", "nothing", ":"]] });
    const [problem] = check(module).problems;
    const entry = Buffer.from(module).indexOf("env") - 1;
    assert.equal(problem?.offset, entry);
  });

  it("says in a refusal what was found and what is supported", () => {
    const messages = {
      "ABI 0.1.0": onlyMessage({ functions: { malloc: "i:i", proxy_on_request_headers: "ii:i" } }),
      proxy_abi_version_0_9_9: onlyMessage({ abi: "0_9_9" }),
      "(i32, i32) -> i32; Envoy has it as (i32, i32, i32) -> i32": onlyMessage({
        imports: [["env", "proxy_log", "ii:i"]],
      }),
      "16385 pages of 64 KiB; Envoy gives at most 16384": onlyMessage({ memories: [[0, 0x81, 0x80, 1]] }),
    };
    assert.match(
      messages["ABI 0.1.0"],
      /proxy_on_request_headers as \(i32, i32\) -> i32.*\(i32, i32, i32\) -> i32.*0\.2\.1/,
    );
    for (const [expected, message] of Object.entries(messages).slice(1)) assert.ok(message.includes(expected), message);
  });

  it("names the nearest function for a misspelt one, and nothing for a strange one", () => {
    assert.match(
      onlyMessage({ imports: [["env", "proxy_get_bufer_bytes", "i:i"]] }),
      /did you mean proxy_get_buffer_bytes\?/,
    );
    assert.match(onlyMessage({ imports: [["env", "fd_write", "iiii:i"]] }), /is in wasi_snapshot_preview1/);
    assert.match(onlyMessage({ imports: [["wasi", "fd_write", "iiii:i"]] }), /no module "wasi", only env, wasi_snap/);
    assert.doesNotMatch(onlyMessage({ imports: [["env", "somethingElseEntirely", "i:i"]] }), /did you mean/);
  });

  it("names the release that has a function which the asked one hasn't", () => {
    const message = onlyMessage({ imports: [[wasi, "path_unlink_file", "iii:i"]] }, "1.38");
    assert.match(message, /Envoy has from 1\.39 on; this check is for Envoy 1\.38/);
  });

  it("offers 15 functions of WASI up to Envoy 1.32, 18 up to 1.38, then all 45", () => {
    const functions = [...(hostFunctions.get(wasi)?.values() ?? [])];
    assert.equal(functions.length, 45);
    const letters = (type: string) =>
      type
        .replace(/i32/g, "i")
        .replace(/i64/g, "I")
        .replace(/[(), ]/g, "");
    const imports = functions.map(({ name, type }) => [wasi, name, letters(type).replace("->", ":")] as const);
    const missing = (version: string) => codes({ imports }, version);
    assert.deepEqual(missing("1.32"), new Array(30).fill("ImportNeedsEnvoy"));
    assert.deepEqual(missing("1.33"), new Array(27).fill("ImportNeedsEnvoy"));
    assert.deepEqual(missing("1.38"), new Array(27).fill("ImportNeedsEnvoy"));
    assert.deepEqual(missing("1.39"), []);
    assert.deepEqual(missing("1.99"), []);
  });

  it("knows __main_void from Envoy 1.39 on", () => {
    const parts = { functions: { malloc: "i:i", _initialize: ":", __main_void: "i:" } };
    assert.deepEqual(codes(parts, "1.38"), []);
    assert.deepEqual(codes(parts, "1.39"), ["ExportType"]);
  });

  it("without an ABI, doesn't blame functions that some ABI has", () => {
    assert.deepEqual(codes({ abi: null, imports: [["env", "proxy_get_log_level", "i:i"]] }), ["NoAbi"]);
  });

  it("reports what came before an error that ends the reading", () => {
    const module = filter({ customs: [custom("precompiled_x"), { id: 99, payload: [] }] });
    const report = check(module);
    assert.equal(report.abi, "0.2.1");
    assert.equal(report.exports.length, 3);
    assert.deepEqual(
      report.problems.map(({ code }) => code),
      ["Malformed", "Precompiled"],
    );
  });

  it("lists at most a hundred problems and says that there are more", () => {
    const imports = new Array(5000).fill(["env", "nothing", ":"] as const);
    const { problems } = check(filter({ imports }));
    assert.equal(problems.length, 100);
    assert.deepEqual(problems[99], { code: "MoreProblems", message: "there are more problems than these 99" });
  });

  it("lists ninety-nine problems without a word on more", () => {
    const imports = new Array(99).fill(["env", "nothing", ":"] as const);
    assert.deepEqual(codes({ imports }), new Array(99).fill("UnknownImport"));
  });

  it("writes names out of the module without control characters, and cut", () => {
    const name = `\u001b[2J\u202e"\\\n${"x".repeat(50_000)}`;
    const message = onlyMessage({ imports: [["env", name, ":"]] });
    assert.match(message, /\\u\{1b\}\[2J\\u\{202e\}\\u\{22\}\\u\{5c\}\\u\{a\}x+… \(50008 characters\)/);
    assert.ok(message.length < 400);
  });

  it("does not confuse a long type with a host function's", () => {
    const type = functionType(`${"i".repeat(200)}:i`);
    const report = check(filter({ rawTypes: [type], rawImports: [["env", "proxy_log", [0, 0]]] }));
    assert.deepEqual(
      report.problems.map(({ code }) => code),
      ["ImportType"],
    );
    assert.ok((report.problems[0]?.message.length ?? 0) < 300);
  });

  it("refuses an Envoy version that is none", () => {
    assert.throws(() => check(filter(), "newest"), { name: "WasmError", code: "EnvoyVersion" });
  });
});
