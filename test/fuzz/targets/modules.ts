import assert from "node:assert/strict";
import { checkModule } from "../../../src/wasm/check.ts";
import { reportText } from "../../../src/wasm/report-text.ts";
import { cases } from "../../wasm/cases/index.ts";
import { wholeFilter } from "../../wasm/whole-filter.ts";
import type { FuzzTarget } from "../target.ts";

/** Any bytes get a report, of a bounded length, for which no byte is read that isn't there. */
export const modules: FuzzTarget = {
  name: "modules",
  seeds: [
    Buffer.from(wholeFilter),
    ...Object.values(cases).flatMap(list => list.map(({ module }) => Buffer.from(module))),
  ],
  tokens: [
    "\0asm\x01\0\0\0",
    "\x80\x80\x80\x80\x08",
    "\xff\xff\xff\xff\x0f",
    "proxy_abi_version_0_2_1",
    "precompiled_",
    "\x0b",
  ],
  run: input => {
    const report = checkModule(
      {
        size: input.length,
        read(offset, length) {
          assert.ok(offset >= 0 && length >= 0 && offset + length <= input.length, `read ${offset}+${length}`);
          return input.subarray(offset, offset + length);
        },
      },
      { envoyVersion: "1.40" },
    );
    assert.ok(report.problems.length <= 100);
    assert.equal(report.ok, report.problems.length === 0);
    assert.equal(JSON.stringify(reportText("module", report, "1.40")).includes("\\u001b"), false);
  },
};
