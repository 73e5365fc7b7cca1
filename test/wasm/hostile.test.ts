import assert from "node:assert/strict";
import fc from "fast-check";
import { checkModule, type ModuleReport } from "../../src/wasm/check.ts";
import { bytesSource, type ModuleSource } from "../../src/wasm/module-source.ts";
import { parseModule } from "../../src/wasm/parse.ts";
import { cases } from "./cases/index.ts";
import { header, sectionBytes } from "./encoder.ts";
import { harmlessCuts, sectionStarts, wholeFilter } from "./whole-filter.ts";

/** V8's own opinion of a module, as an oracle. The types of Node don't declare it. */
const engine = Reflect.get(globalThis, "WebAssembly") as { validate(bytes: Uint8Array): boolean };

/** Refuses reads that a bounded parser never makes, and counts what is read. */
function watched(bytes: Uint8Array): { source: ModuleSource; read: () => number } {
  let read = 0;
  return {
    read: () => read,
    source: {
      size: bytes.length,
      read(offset, length) {
        assert.ok(offset >= 0 && length >= 0 && offset + length <= bytes.length, `read ${offset}+${length}`);
        read += length;
        return bytes.subarray(offset, offset + length);
      },
    },
  };
}

function checked(bytes: Uint8Array): ModuleReport {
  const { source, read } = watched(bytes);
  const report = checkModule(source, { envoyVersion: "1.40" });
  assert.equal(report.ok, report.problems.length === 0);
  assert.ok(report.problems.length <= 100);
  assert.ok(read() <= 4 * bytes.length + 1000, `${read()} bytes were read of ${bytes.length}`);
  JSON.stringify(report);
  return report;
}

const seeds = [wholeFilter, ...Object.values(cases).flatMap(list => list.map(({ module }) => module))];
const change = fc.record({
  at: fc.nat(),
  byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x40, 0x7f, 0x80, 0xff)),
  kind: fc.nat(2),
});
const mutated = fc
  .record({ seed: fc.constantFrom(...seeds), changes: fc.array(change, { minLength: 1, maxLength: 4 }) })
  .map(({ seed, changes }) => {
    const bytes = [...seed];
    for (const { at, byte, kind } of changes)
      bytes.splice(at % (bytes.length + 1), kind === 0 ? 0 : 1, ...(kind === 2 ? [] : [byte]));
    return Uint8Array.from(bytes);
  });

describe("the module check under attack", () => {
  it("never takes a module that was cut, unless what was cut are whole custom sections", () => {
    assert.ok(checked(wholeFilter).ok, JSON.stringify(checked(wholeFilter).problems));
    for (let size = 0; size < wholeFilter.length; size++) {
      const { ok, problems } = checked(wholeFilter.subarray(0, size));
      assert.equal(ok, harmlessCuts.includes(size), `cut to ${size} of ${wholeFilter.length} bytes`);
      const atBoundary = size === 0 || sectionStarts.includes(size);
      if (!atBoundary) assert.equal(problems[0]?.code, "Truncated", `cut to ${size}`);
    }
  });

  it("survives random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => assert.equal(checked(bytes).ok, false)),
      { numRuns: 500 },
    );
  });

  it("survives random sections", () => {
    const section = fc.record({ id: fc.nat(13), payload: fc.array(fc.nat(255), { maxLength: 40 }) });
    const modules = fc.array(section, { maxLength: 8 }).map(list => {
      const ordered = list.toSorted((a, b) => a.id - b.id);
      return Uint8Array.from([...header, ...ordered.flatMap(sectionBytes)]);
    });
    fc.assert(
      fc.property(modules, bytes => assert.equal(checked(bytes).ok, false)),
      { numRuns: 1000 },
    );
  });

  it("survives changed modules", () => {
    fc.assert(
      fc.property(mutated, bytes => {
        checked(bytes);
      }),
      { numRuns: 3000 },
    );
  });

  it("finds no fault in the format of a module that V8 compiles, except in its name section", () => {
    fc.assert(
      fc.property(mutated, bytes => {
        if (!engine.validate(bytes)) return;
        const { failure, contents } = parseModule(bytesSource(bytes));
        if (contents.customSections.some(({ name }) => name === "name")) return;
        assert.equal(failure, null, failure?.message);
      }),
      { numRuns: 3000 },
    );
  });
});
