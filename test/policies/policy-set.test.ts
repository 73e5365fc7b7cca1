import assert from "node:assert/strict";
import { imageJudgement } from "../../src/policies/image-judgement.ts";
import { type FoundPolicy, NO_DEMANDS, PolicySet } from "../../src/policies/policy-set.ts";
import { NO_MATERIALS } from "../../src/trust/rules.ts";
import { foundPolicy, RELEASE } from "./policies.ts";

const image = { registry: "registry.example", repository: "team/filter" };
const shop = { name: "shop", labels: { env: "prod" } };
const bySecret = {
  verify: { authorities: [{ name: "ops", key: { secretRef: { name: "keys", key: "cosign.pub" } } }] },
};
const GOOD = {
  allowed: true,
  policies: [],
  denial: null,
  warnings: [],
  audit: [],
  deferred: [],
};

function demands(found: readonly FoundPolicy[], materials = NO_MATERIALS, namespace = shop) {
  return new PolicySet(found, materials).demandsOn(image, namespace);
}

describe("the policies of a moment", () => {
  it("demand nothing of an image that none is for", () => {
    assert.deepEqual(demands([foundPolicy("a", { match: { repositories: ["other.example/**"] } })]), NO_DEMANDS);
  });

  it("demand all that matches, in one order", () => {
    const [a, b] = [foundPolicy("a"), foundPolicy("b", {}, "shop")];
    const both = demands([b, a, foundPolicy("c", {}, "till")]);
    assert.deepEqual(
      both.rules.map(({ policy }) => policy),
      ["NamespacedWasmPolicy/shop/b", "WasmPolicy/a"],
    );
    assert.equal(both.hash, demands([a, b]).hash);
  });

  it("have another hash with another key, wherever it stands", () => {
    const of = (pem: string | null) => demands([foundPolicy("a", bySecret)], { ...NO_MATERIALS, secret: () => pem });
    const { publicPem } = RELEASE;
    assert.notEqual(of(publicPem).hash, demands([foundPolicy("a")]).hash);
    assert.deepEqual(of(publicPem).unusable, []);
    assert.deepEqual(of(null).rules, []);
    assert.match(of(null).unusable[0]?.problem ?? "", /refers to Secret keys, key cosign\.pub, and that is not there/);
    assert.match(of("junk").unusable[0]?.problem ?? "", /Secret keys, key cosign\.pub: a key can't be used/);
  });

  it("deny by what can't be applied as by what is not passed, in its mode", () => {
    const said = (mode: string) => imageJudgement(demands([foundPolicy("a", { ...bySecret, mode })]), GOOD);
    const text = /^WasmPolicy\/a can't be used: .*and that is not there$/;
    assert.match(said("Enforce").denial ?? "", text);
    assert.deepEqual([said("Warn").denial, said("Audit").denial], [null, null]);
    assert.match(said("Warn").warnings[0] ?? "", text);
    assert.match(said("Audit").audit[0] ?? "", text);
    assert.deepEqual(said("Audit").policies, ["WasmPolicy/a=Unusable"]);
  });

  it("deny everything that a policy could be for which can't be read", () => {
    const unreadable = (namespace: string | null): FoundPolicy => ({
      name: "x",
      namespace,
      policy: { code: "Unreadable", problem: "spec.mode is wrong" },
    });
    assert.match(imageJudgement(demands([unreadable(null)]), GOOD).denial ?? "", /x can't be used: spec.mode is wrong/);
    assert.notEqual(imageJudgement(demands([unreadable("shop")]), GOOD).denial, null);
    assert.equal(imageJudgement(demands([unreadable("till")]), GOOD).denial, null);
  });

  it("apply none of two policies of one name", () => {
    const { rules, unusable } = demands([foundPolicy("a"), foundPolicy("a", { mode: "Audit" })]);
    assert.deepEqual(rules, []);
    assert.deepEqual(
      unusable.map(({ mode }) => mode),
      ["Enforce", "Audit"],
    );
  });
});
