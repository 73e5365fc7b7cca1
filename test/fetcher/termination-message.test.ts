import assert from "node:assert/strict";
import fc from "fast-check";
import type { ModuleSummary } from "../../src/fetcher/summary.ts";
import { readTerminationMessage, terminationMessage } from "../../src/fetcher/termination-message.ts";

const module = (name: string): ModuleSummary => ({
  filters: [name],
  versions: ["c".repeat(64)],
  digest: `sha256:${"a".repeat(64)}`,
  sha256: "b".repeat(64),
  bytes: 1_000,
  seconds: 0.1,
  source: "registry",
  verified: ["WasmPolicy/release"],
});
const run = (modules: readonly ModuleSummary[], exitCode = 0) => ({
  exitCode,
  milliseconds: 1_234,
  modules,
  adminPort: 9901,
  compiled: "used",
});

describe("a fetcher's termination message", () => {
  it("of a run that ended well says what is mounted", () => {
    const message = terminationMessage("", run([module("auth"), module("headers")]));
    const { code, summary } = readTerminationMessage(message);
    assert.equal(code, null);
    assert.deepEqual([summary?.bytes, summary?.seconds], [2_000, 1.234]);
    assert.deepEqual(summary?.modules, [
      { filters: ["auth"], digest: `sha256:${"a".repeat(64)}`, source: "registry", versions: ["c".repeat(64)] },
      { filters: ["headers"], digest: `sha256:${"a".repeat(64)}`, source: "registry", versions: ["c".repeat(64)] },
    ]);
    assert.equal(summary?.adminPort, 9901);
  });

  it("of one that failed is its line alone", () => {
    const line = "wasmount-fetch: DigestMismatch: registry.example/x: other bytes";
    assert.equal(terminationMessage(line, run([], 4)), line);
    const report = readTerminationMessage(line);
    assert.deepEqual(report, { code: "DigestMismatch", text: "registry.example/x: other bytes", summary: null });
  });

  it("says both where a filter does nothing", () => {
    const line = "wasmount-fetch: Open: does nothing: auth (the registry is away)";
    const { code, text, summary } = readTerminationMessage(terminationMessage(line, run([module("headers")])));
    assert.deepEqual([code, text], ["Open", "does nothing: auth (the registry is away)"]);
    assert.equal(summary?.modules?.length, 1);
  });

  it("fits into what a kubelet leaves of it in a pod of a dozen containers", () => {
    const many = Array.from({ length: 99 }, (_, index) => module(`filter-${index}`));
    const message = terminationMessage("", run(many));
    assert.ok(Buffer.byteLength(message) <= 1024);
    const totals = { bytes: 99_000, seconds: 1.234, modules: null, adminPort: 9901 };
    assert.deepEqual(readTerminationMessage(message).summary, totals);
    const six = Array.from({ length: 6 }, (_, index) => module(`filter-${index}`));
    const { modules } = readTerminationMessage(terminationMessage("", run(six))).summary ?? {};
    assert.deepEqual(modules?.map(({ filters, versions }) => [filters, versions]).at(-1), [["filter-5"], null]);
  });

  it("is read where its fetcher was of a release that said no versions", () => {
    const modules = [{ filters: ["a"], digest: "sha256:a", source: "registry" }];
    const text = JSON.stringify({ summary: "wasmount-fetch", bytes: 1, seconds: 1, modules });
    const { summary } = readTerminationMessage(text);
    assert.deepEqual(summary, { bytes: 1, seconds: 1, modules: [{ ...modules[0], versions: null }], adminPort: null });
  });

  it("is found in the end of a log, where the fetcher could not write its own", () => {
    const log = "wasmount-fetch: plan 0123: 1 filter(s)\nnoise\nwasmount-fetch: Volume: no space left\n";
    assert.deepEqual(readTerminationMessage(log), { code: "Volume", text: "no space left", summary: null });
  });

  it("of anybody else says nothing", () => {
    const good = { bytes: 1, seconds: 1 };
    for (const text of [
      "",
      "Error: something",
      "wasmount-fetch: ",
      '{"summary":"wasmount-fetch"',
      ...[
        { ...good, bytes: -1 },
        { ...good, seconds: "1" },
        { ...good, modules: {} },
        { ...good, modules: [null] },
        { ...good, modules: [{ filters: ["x".repeat(64)], digest: "sha256:a", source: "registry" }] },
        { ...good, modules: [{ filters: [], digest: "d".repeat(72), source: "registry" }] },
        { ...good, modules: [{ filters: [], digest: "sha256:a", source: "elsewhere" }] },
        { ...good, modules: [{ filters: ["a"], digest: "", source: "none", versions: [] }] },
        { ...good, modules: [{ filters: ["a"], digest: "", source: "none", versions: ["c".repeat(63)] }] },
        { ...good, adminPort: 0 },
        { ...good, adminPort: "15000" },
        { ...good, modules: Array.from({ length: 100 }, () => ({ filters: [], digest: "", source: "none" })) },
      ].map(summary => JSON.stringify({ summary: "wasmount-fetch", ...summary })),
    ]) {
      assert.deepEqual(readTerminationMessage(text), { code: null, text: "", summary: null }, text);
    }
  });

  it("never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), text => {
        readTerminationMessage(text);
        readTerminationMessage(`{"summary":"wasmount-fetch"${text}`);
      }),
    );
  });
});
