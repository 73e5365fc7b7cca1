import assert from "node:assert/strict";
import { checkModule } from "../../src/wasm/check.ts";
import { bytesSource } from "../../src/wasm/module-source.ts";
import { reportText } from "../../src/wasm/report-text.ts";
import { custom } from "./encoder.ts";
import { type FilterParts, filter } from "./filter.ts";

function textOf(parts: FilterParts, subject = "filter.wasm"): string {
  return reportText(subject, checkModule(bytesSource(filter(parts)), { envoyVersion: "1.40" }), "1.40");
}

describe("report text", () => {
  it("describes a good module", () => {
    assert.equal(
      textOf({ imports: [["env", "proxy_log", "iii:i"]], customs: [custom("producers", [0, 0])] }),
      [
        "filter.wasm: Envoy 1.40 can load it",
        "  size      127 bytes",
        "  ABI       0.2.1",
        "  memory    1 page of 64 KiB, no maximum",
        "  imports   env.proxy_log (i32, i32, i32) -> i32",
        "  exports   proxy_abi_version_0_2_1 () -> ()",
        "            malloc (i32) -> i32",
        "            memory [memory]",
        "  custom    producers 2 bytes",
        "",
      ].join("\n"),
    );
  });

  it("gives every reason of a refusal", () => {
    const text = textOf({ abi: null, functions: {}, memories: [[7, 2, 3]] });
    assert.match(text, /^filter\.wasm: refused for Envoy 1\.40, for 4 reasons\n/);
    assert.match(text, /memory {4}2 pages of 64 KiB, at most 3, shared, 64-bit\n/);
    assert.match(text, / {2}refused {3}NoAbi: .*\n {12}NoMalloc: .*\n {12}Memory64: .*\n {12}SharedMemory: .*\n$/);
  });

  it("lets neither the module nor its path write to the terminal", () => {
    const text = textOf({ functions: { malloc: "i:i", "\u001b[31m\nok": ":" } }, "a\u001b\r.wasm");
    assert.doesNotMatch(text, /[^\P{C}\n]/u);
    assert.match(text, /\\u\{1b\}\[31m\\u\{a\}ok/);
  });

  it("shows two hundred entries of a list and counts the rest", () => {
    const functions = Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`f${index}`, "i:i"]));
    const text = textOf({ functions: { malloc: "i:i", ...functions } });
    assert.match(text, /… and 103 more \(see --json\)/);
    assert.ok(text.split("\n").length < 220);
  });
});
