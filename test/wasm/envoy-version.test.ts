import assert from "node:assert/strict";
import { formatEnvoyVersion, isBefore, newestEnvoyVersion, parseEnvoyVersion } from "../../src/wasm/envoy-version.ts";

describe("Envoy version", () => {
  it("reads releases with and without patch, prefix and suffix", () => {
    for (const text of ["1.40", "v1.40", "1.40.2", "v1.40.0-dev", "1.40.1-distroless"])
      assert.deepEqual(parseEnvoyVersion(text), { major: 1, minor: 40 }, text);
    assert.equal(formatEnvoyVersion(parseEnvoyVersion(newestEnvoyVersion)), newestEnvoyVersion);
  });

  it("refuses what is no release", () => {
    for (const text of ["", "1", "latest", "1.40.", "1.40.1.2", "1.x", "1.40 ", "1.40\n", "-1.40", "1.99999", "1.40-é"])
      assert.throws(() => parseEnvoyVersion(text), { code: "EnvoyVersion" }, JSON.stringify(text));
  });

  it("refuses releases before Wasm", () => {
    assert.throws(() => parseEnvoyVersion("1.15.3"), { code: "EnvoyVersion", message: /the first that does is 1\.16/ });
    assert.doesNotThrow(() => parseEnvoyVersion("1.16.0"));
    assert.throws(() => parseEnvoyVersion("0.40"), { code: "EnvoyVersion" });
  });

  it("orders by number, not by text", () => {
    assert.ok(isBefore({ major: 1, minor: 9 }, { major: 1, minor: 33 }));
    assert.ok(isBefore({ major: 1, minor: 40 }, { major: 2, minor: 0 }));
    assert.ok(!isBefore({ major: 1, minor: 33 }, { major: 1, minor: 33 }));
  });
});
