import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { planHash } from "../../src/plan/canonical.ts";
import { PlanError, type PlanErrorCode } from "../../src/plan/error.ts";
import { planFromEnvironment, planToEnvironment } from "../../src/plan/transport.ts";
import { samplePlan } from "./sample.ts";

function environmentOf(plan = samplePlan()): Record<string, string> {
  return Object.fromEntries(planToEnvironment(plan).variables.map(({ name, value }) => [name, value]));
}

function refused(environment: Record<string, string>, code: PlanErrorCode): void {
  assert.throws(
    () => planFromEnvironment(environment),
    error => error instanceof PlanError && error.code === code,
  );
}

/** An environment whose hash is right for whatever document it carries. */
function environmentFor(document: unknown): Record<string, string> {
  const text = JSON.stringify(document);
  return { WASMOUNT_PLAN_SHA256: planHash(text), WASMOUNT_PLAN_0: gzipSync(text).toString("base64") };
}

const REGISTRY = {
  host: "a.example",
  plainHttp: false,
  insecureTls: true,
  ca: "-----BEGIN CERTIFICATE-----",
  mirrors: [{ host: "b.example", prefix: "proxy", resolveTags: true }],
};
const NETWORK = {
  privateAddresses: "Allow",
  proxy: { http: null, https: "http://proxy.example:3128", no: ".svc" },
} as const;

describe("plan transport", () => {
  it("brings a plan through an environment unchanged", () => {
    const { plan, hash } = planFromEnvironment(environmentOf());
    assert.deepEqual(plan, samplePlan());
    assert.match(hash, /^[0-9a-f]{64}$/);
  });

  it("is readable where the plan is small, and gzip where it is not; either is read", () => {
    const written = (plan = samplePlan()) => Buffer.from(environmentOf(plan)["WASMOUNT_PLAN_0"] ?? "", "base64");
    assert.deepEqual(JSON.parse(written().toString()).filters, samplePlan().filters);
    assert.equal(gunzipSync(written(samplePlan({ config: "x".repeat(2048) }))).includes("x".repeat(2048)), true);
    assert.deepEqual(planFromEnvironment(environmentFor(samplePlan())).plan, samplePlan());
  });

  it("gives equal plans equal hashes, whatever the order of their members", () => {
    const reversed = Object.fromEntries(Object.entries(samplePlan()).reverse()) as unknown as typeof plan;
    const plan = samplePlan();
    assert.equal(planToEnvironment(reversed).hash, planToEnvironment(plan).hash);
  });

  it("cuts a large plan into strings that Linux accepts, and joins them again", () => {
    const config = randomBytes(120 * 1024).toString("base64");
    const plan = samplePlan({ config });
    const environment = environmentOf(plan);
    assert.ok(environment["WASMOUNT_PLAN_1"]);
    for (const [name, value] of Object.entries(environment)) {
      assert.ok(`${name}=${value}`.length < 128 * 1024);
      assert.ok(!value.includes("$"), "the kubelet would expand it");
    }
    assert.equal(planFromEnvironment(environment).plan.filters[0]?.config, config);
  });

  it("refuses to write a plan that no environment holds", () => {
    const plan = samplePlan({ config: randomBytes(600 * 1024).toString("base64") });
    assert.throws(() => planToEnvironment(plan), { code: "TooLarge" });
  });

  it("refuses to write a plan that it would refuse to read, however well it packs", () => {
    assert.throws(() => planToEnvironment(samplePlan({ config: "x".repeat(9 * 1024 * 1024) })), {
      code: "TooLarge",
      message: /8388608/,
    });
  });

  it("refuses an environment without a plan", () => refused({}, "Missing"));

  it("refuses a plan without its hash", () => {
    const { WASMOUNT_PLAN_SHA256: _, ...rest } = environmentOf();
    refused(rest, "Missing");
  });

  it("refuses a plan whose last part is missing", () => {
    const environment = environmentOf(samplePlan({ config: randomBytes(200 * 1024).toString("base64") }));
    delete environment["WASMOUNT_PLAN_1"];
    refused(environment, "Corrupt");
  });

  it("refuses a plan that is not the one its hash names", () => {
    refused({ ...environmentOf(samplePlan({ config: "other" })), WASMOUNT_PLAN_SHA256: planHash("") }, "HashMismatch");
  });

  it("refuses parts that unpack to more than any plan has", () => {
    const bomb = gzipSync(Buffer.alloc(16 * 1024 * 1024, " ")).toString("base64");
    refused({ WASMOUNT_PLAN_SHA256: planHash(""), WASMOUNT_PLAN_0: bomb }, "Corrupt");
  });

  it("carries how registries are reached, and nothing more than it knows", () => {
    const plan = { ...samplePlan(), registries: [REGISTRY], network: NETWORK };
    const more = { ...plan, registries: [{ ...REGISTRY, clientKey: "x" }], network: { ...NETWORK, password: "x" } };
    assert.deepEqual(planFromEnvironment(environmentFor(more)).plan, plan);
  });

  it("refuses parts that are no gzip", () => {
    refused({ WASMOUNT_PLAN_SHA256: planHash(""), WASMOUNT_PLAN_0: "AAAA" }, "Corrupt");
  });

  it("refuses a plan of another schema, naming both", () => {
    assert.throws(() => planFromEnvironment(environmentFor({ ...samplePlan(), schema: 2 })), /schema 2.*schema 1/);
  });

  describe("holds what becomes a path to its grammar", () => {
    const plan = samplePlan();
    const [filter] = plan.filters;
    const bootstrap = { source: "/s", target: "/wasmount/bootstrap/e.yaml", copy: null };
    const cases: [string, unknown][] = [
      ["a root with ..", { ...plan, root: "/wasmount/../etc" }],
      ["a relative root", { ...plan, root: "wasmount" }],
      ["a slot with a path", { ...plan, filters: [{ ...filter, slot: "../../etc" }] }],
      ["a digest with a path", { ...plan, filters: [{ ...filter, digest: "sha256:../../etc" }] }],
      ["a bootstrap target outside the volume", { ...plan, bootstrap: { ...bootstrap, target: "/etc/passwd" } }],
      [
        "a bootstrap target that climbs out",
        { ...plan, bootstrap: { ...bootstrap, target: "/wasmount/bootstrap/../../etc" } },
      ],
      ["copies outside the volume", { ...plan, bootstrap: { ...bootstrap, copy: { from: "/s", to: "/etc" } } }],
      ["a failure that is none", { ...plan, filters: [{ ...filter, runtimeFailure: "maybe" }] }],
      ["a limit that is none", { ...plan, limits: { ...plan.limits, moduleBytes: 0 } }],
      ["an unknown data plane", { ...plan, dataPlane: "other" }],
      ["a registry without a host", { ...plan, registries: [{ plainHttp: true }] }],
      ["a registry of any certificate, perhaps", { ...plan, registries: [{ ...REGISTRY, insecureTls: 1 }] }],
      ["an authority that is no text", { ...plan, registries: [{ ...REGISTRY, ca: ["x"] }] }],
      ["a mirror without a host", { ...plan, registries: [{ ...REGISTRY, mirrors: [{ prefix: "" }] }] }],
      [
        "a mirror that may be believed",
        { ...plan, registries: [{ ...REGISTRY, mirrors: [{ host: "a", prefix: "" }] }] },
      ],
      ["addresses that are perhaps allowed", { ...plan, network: { privateAddresses: "allow", proxy: null } }],
      ["a proxy without exceptions", { ...plan, network: { ...NETWORK, proxy: { http: null, https: "http://p" } } }],
      ["a proxy that is no text", { ...plan, network: { ...NETWORK, proxy: { http: 1, https: null, no: "" } } }],
    ];
    for (const [title, document] of cases) {
      it(`refuses ${title}`, () => refused(environmentFor(document), "BadShape"));
    }
  });
});
