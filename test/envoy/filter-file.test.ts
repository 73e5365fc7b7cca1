import assert from "node:assert/strict";
import fc from "fast-check";
import { parse } from "yaml";
import { BootstrapError } from "../../src/envoy/bootstrap-error.ts";
import { type FilterFile, filterFile, filterVersion, type RuntimeFailure } from "../../src/envoy/filter-file.ts";

const DIGEST = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
const FILTER: FilterFile = {
  slot: "in-last-01",
  name: "headers",
  rootId: "add_header",
  config: '{"add": "on"}',
  moduleSha256: DIGEST,
  root: "/wasmount",
  envoyVersion: "1.40",
  runtimeFailure: "closed",
  allowedCapabilities: null,
};

function refusal(changes: Partial<FilterFile>): string {
  try {
    filterFile({ ...FILTER, ...changes });
  } catch (error) {
    assert.ok(error instanceof BootstrapError, String(error));
    assert.equal(error.code, "InvalidInput");
    return error.message;
  }
  assert.fail("nothing was refused");
}

describe("filterFile", () => {
  it("tells Envoy one Wasm filter, closed on failure, from the module's own path", () => {
    const version = filterVersion(FILTER);
    assert.deepEqual(JSON.parse(filterFile(FILTER)), {
      version_info: version,
      resources: [
        {
          "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
          name: "wasmount.in-last-01",
          typed_config: {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            config: {
              name: "headers",
              root_id: "add_header",
              vm_config: {
                vm_id: `headers-${version}`,
                runtime: "envoy.wasm.runtime.v8",
                code: { local: { filename: `/wasmount/modules/${DIGEST}.wasm` } },
              },
              configuration: {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                value: '{"add": "on"}',
              },
              failure_policy: "FAIL_CLOSED",
            },
          },
        },
      ],
    });
  });

  it("leaves the configuration out where there is none, which is not the empty text", () => {
    assert.ok(!filterFile({ ...FILTER, config: null }).includes("configuration"));
    assert.ok(filterFile({ ...FILTER, config: "" }).includes('"value": ""'));
  });

  it("gives an Envoy before 1.33 no field that it does not know", () => {
    assert.ok(!filterFile({ ...FILTER, envoyVersion: "1.32" }).includes("failure_policy"));
    assert.ok(filterFile({ ...FILTER, envoyVersion: "1.33" }).includes("failure_policy"));
    assert.ok(filterFile({ ...FILTER, envoyVersion: "2.0" }).includes("failure_policy"));
  });

  it("says what becomes of requests when the module traps, in words that the release knows", () => {
    const told = (runtimeFailure: RuntimeFailure, envoyVersion = "1.40") =>
      JSON.parse(filterFile({ ...FILTER, runtimeFailure, envoyVersion })).resources[0].typed_config.config;
    assert.equal(told("open").failure_policy, "FAIL_OPEN");
    assert.equal(told("reload").failure_policy, "FAIL_RELOAD");
    assert.equal(told("open", "1.32").fail_open, true);
    assert.equal(told("closed", "1.32").fail_open, undefined);
    assert.match(
      refusal({ runtimeFailure: "reload", envoyVersion: "1.32" }),
      /reload, which Envoy 1\.32 can't: .* 1\.33/,
    );
    assert.notEqual(filterVersion({ ...FILTER, runtimeFailure: "open" }), filterVersion(FILTER));
  });

  it("is JSON and YAML at once, whatever the texts", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (config, rootId) => {
        const text = filterFile({ ...FILTER, config, rootId });
        const read = JSON.parse(text);
        assert.equal(read.resources[0].typed_config.config.configuration.value, config);
        assert.equal(read.resources[0].typed_config.config.root_id, rootId);
        assert.deepEqual(parse(text, { version: "1.1" }), read);
      }),
    );
  });

  it("writes no character raw that a YAML reader may take for a line break", () => {
    const text = filterFile({ ...FILTER, config: "\u007f\u0085\u2028\u2029\ufeff" });
    assert.match(text, /\\u007f\\u0085\\u2028\\u2029\\ufeff/);
  });

  it("refuses half a surrogate pair", () => {
    assert.match(refusal({ config: "a\ud83d" }), /configuration of filter headers holds half a surrogate pair/);
    assert.match(refusal({ rootId: "\ude00" }), /root id of filter headers holds half a surrogate pair/);
  });

  it("refuses names and paths that would break out of their place", () => {
    for (const slot of ["", "A", "a/b", "..", "a.b", "-a", "a-", "a\n", "x".repeat(64)]) {
      assert.match(refusal({ slot }), /^the slot ".*" is not a DNS label/);
      assert.match(refusal({ name: slot }), /^the filter's name ".*" is not a DNS label/);
    }
    for (const root of ["", "/", "wasmount", "/a/../b", "/a//b", "/a/", "/a b", "/a\n", "/$(X)", "/a/."]) {
      assert.match(refusal({ root }), /^the root ".*" is not an absolute, clean path/);
    }
    for (const moduleSha256 of ["", DIGEST.slice(1), DIGEST.toUpperCase(), `sha256:${DIGEST}`, `${DIGEST}\n`]) {
      assert.match(refusal({ moduleSha256 }), /is not 64 lower-case hex digits/);
    }
    for (const envoyVersion of ["", "1", "1.40.0", "v1.40", "1.x", "99999.1"]) {
      assert.match(refusal({ envoyVersion }), /is not of the form "1.40"/);
    }
  });

  it("refuses a configuration beyond its limit", () => {
    const largest = "x".repeat(1024 * 1024);
    assert.ok(filterFile({ ...FILTER, config: largest }).includes(largest));
    assert.match(
      refusal({ config: `${largest}x` }),
      /configuration of filter headers is longer than 1048576 characters/,
    );
  });
});

describe("filterVersion", () => {
  it("is stable", () => {
    assert.equal(filterVersion(FILTER), filterVersion({ ...FILTER }));
    assert.match(filterVersion(FILTER), /^[0-9a-f]{64}$/);
  });

  it("changes with everything that Envoy is told", () => {
    const changed: readonly Partial<FilterFile>[] = [
      { slot: "in-last-02" },
      { name: "other" },
      { rootId: "" },
      { config: null },
      { config: "" },
      { moduleSha256: "0".repeat(64) },
      { root: "/other" },
      { envoyVersion: "1.32" },
    ];
    const versions = changed.map(changes => filterVersion({ ...FILTER, ...changes }));
    assert.equal(new Set([filterVersion(FILTER), ...versions]).size, changed.length + 1);
  });

  it("does not change between releases that are told the same", () => {
    assert.equal(filterVersion(FILTER), filterVersion({ ...FILTER, envoyVersion: "1.39" }));
  });
});
