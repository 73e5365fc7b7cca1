import assert from "node:assert/strict";
import { BootstrapError } from "../../src/envoy/bootstrap-error.ts";
import { FetchError } from "../../src/fetcher/error.ts";
import { failureOf } from "../../src/fetcher/outcome.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { PlanError } from "../../src/plan/error.ts";

describe("fetcher's exit", () => {
  const cases: [error: unknown, exitCode: number, code: string][] = [
    [new PlanError("Missing", "m"), 2, "Missing"],
    [new RegistryError("Unreachable", "m"), 3, "Unreachable"],
    [new RegistryError("NotFound", "m"), 3, "NotFound"],
    [new RegistryError("DigestMismatch", "m"), 4, "DigestMismatch"],
    [new RegistryError("TooLarge", "m"), 4, "TooLarge"],
    [new FetchError("BadModule", "m"), 4, "BadModule"],
    [new BootstrapError("NoHttpConnectionManager", "m"), 5, "NoHttpConnectionManager"],
    [new FetchError("NoBootstrap", "m"), 5, "NoBootstrap"],
    [new FetchError("Volume", "m"), 6, "Volume"],
    [new FetchError("Altered", "m"), 6, "Altered"],
    [new TypeError("m"), 1, "Unexpected"],
    ["m", 1, "Unexpected"],
  ];
  for (const [error, exitCode, code] of cases) {
    it(`is ${exitCode} for ${error?.constructor.name} ${code}`, () => {
      assert.deepEqual(failureOf(error), { exitCode, line: `wasmount-fetch: ${code}: m` });
    });
  }

  it("is said in one line of bounded length", () => {
    const { line } = failureOf(new FetchError("Volume", `a\n\tb ${"x".repeat(5_000)}`));
    assert.match(line, /^wasmount-fetch: Volume: a b x+…$/);
    assert.ok(line.length < 1_100);
  });
});
