import assert from "node:assert/strict";
import { termsOf } from "../../src/admission/terms.ts";
import type { Config } from "../../src/config/config.ts";
import { ConfigError } from "../../src/config/error.ts";
import { parseConfig } from "../../src/config/load.ts";
import { registryOptions } from "../../src/config/registry-options.ts";
import { configSchema } from "../../src/config/schema.ts";
import { isRefusal } from "../../src/decision/refusal.ts";
import { FETCH_LIMIT_NAMES, FETCH_LIMITS } from "../../src/oci/limits.ts";
import { PlanError } from "../../src/plan/error.ts";
import type { PlanLimits } from "../../src/plan/plan.ts";
import { readPlan } from "../../src/plan/shape.ts";
import { samplePlan } from "../plan/sample.ts";

const minimal = {
  tls: { certFile: "/tls/tls.crt", keyFile: "/tls/tls.key" },
  fetcher: { image: "registry.example/wasmount:0.1.0" },
};
const parse = (limits: object) => parseConfig(JSON.stringify({ ...minimal, limits }), "wasmount.yaml");
const ranges = configSchema.properties.limits.properties as Record<string, { minimum: number; maximum: number }>;

function planned(config: Config): PlanLimits {
  const terms = termsOf(config, { resources: null }, {});
  assert.ok(!isRefusal(terms));
  return readPlan({ ...samplePlan(), limits: terms.limits }).limits;
}

describe("limits of what is read from registries", () => {
  const always = {
    moduleBytes: FETCH_LIMITS.moduleBytes,
    manifestBytes: FETCH_LIMITS.manifestBytes,
    deadlineMs: 120_000,
  };

  it("are the client's own where the operator sets none, and stay out of plans", async () => {
    const config = parse({});
    assert.deepEqual((await registryOptions(config)).limits, FETCH_LIMITS);
    assert.deepEqual(planned(config), always);
  });

  for (const name of FETCH_LIMIT_NAMES) {
    it(`reach the webhook's clients and the fetcher: ${name}`, async () => {
      const { minimum = 0, maximum = 0 } = ranges[name] ?? {};
      assert.ok(minimum < FETCH_LIMITS[name] && FETCH_LIMITS[name] < maximum);
      const config = parse({ [name]: minimum });
      assert.deepEqual((await registryOptions(config)).limits, { ...FETCH_LIMITS, [name]: minimum });
      assert.deepEqual(planned(config), { ...always, [name]: minimum });
      for (const wrong of [minimum - 1, maximum + 1]) assert.throws(() => parse({ [name]: wrong }), ConfigError);
    });

    it(`are positive integers in a plan: ${name}`, () => {
      for (const wrong of [0, -1, 1.5, "1", null]) {
        const plan = { ...samplePlan(), limits: { ...always, [name]: wrong } };
        assert.throws(() => readPlan(plan), { name: PlanError.name, code: "BadShape" });
      }
    });
  }
});
