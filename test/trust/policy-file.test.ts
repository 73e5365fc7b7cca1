import assert from "node:assert/strict";
import { stringify } from "yaml";
import type { TrustError } from "../../src/trust/error.ts";
import { type Policy, policyName } from "../../src/trust/policy.ts";
import { parsePolicies } from "../../src/trust/policy-file.ts";
import { readPolicyObject } from "../../src/trust/policy-object.ts";
import { type Materials, ruleOf, rulesHash } from "../../src/trust/rules.ts";
import { matchingPolicies } from "../../src/trust/selection.ts";
import {
  authorities,
  document,
  goodPolicies,
  key,
  namespaced,
  policyRefusals,
  storedPolicy,
  verify,
} from "./policy-documents.ts";
import { p256 } from "./samples.ts";

const none: Materials = { secret: () => null, configMap: () => null };

function parsed(...documents: readonly object[]): readonly Policy[] {
  return parsePolicies(documents.map(one => stringify(one)).join("---\n"), "policy.yaml");
}

describe("a file of policies", () => {
  for (const [what, value, says] of policyRefusals) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => parsed(value), { code: "BadPolicy", message: says });
    });
  }

  it("has its defaults filled in", () => {
    const [policy] = parsed(document());
    assert.equal(policy?.spec.mode, "Enforce");
    assert.equal(policy?.spec.onRegistryError, "Deny");
    assert.equal(policy?.spec.verify.minimum, 1);
    assert.equal(policy?.spec.verify.authorities[0]?.identity, "MatchRepository");
    assert.deepEqual(policy?.spec.verify.authorities[0]?.formats, ["simpleSigning", "sigstoreBundle"]);
  });

  it("says all that is wrong at once, each with its policy", () => {
    const broken = document({ mode: "Off", match: { repositories: ["x"] } });
    const other = document(
      { verify: { authorities: [{ name: "key", key: { pem: "x" } }] } },
      { metadata: { name: "second" } },
    );
    assert.throws(
      () => parsed(broken, other),
      ({ message }: TrustError) =>
        /WasmPolicy release: spec\.mode/.test(message) && /WasmPolicy second: .*one public key/.test(message),
    );
  });

  it("may be what kubectl prints of a cluster's policies", () => {
    const [stored, other] = [storedPolicy("release"), storedPolicy("second")];
    assert.deepEqual(
      parsed(stored).map(({ metadata }) => metadata.name),
      ["release"],
    );
    const list = { apiVersion: "v1", kind: "List", metadata: { resourceVersion: "" }, items: [stored, other] };
    assert.deepEqual(parsed(list, document({}, { metadata: { name: "third" } })).map(policyName), [
      "WasmPolicy/release",
      "WasmPolicy/second",
      "WasmPolicy/third",
    ]);
    assert.deepEqual(parsed(stored)[0]?.spec, parsed(document())[0]?.spec);
    const odd = { ...stored, metadata: { ...stored.metadata, owner: "x" } };
    assert.throws(() => parsed(odd), /metadata has the unknown key owner/);
    assert.throws(
      () => parsed({ ...list, items: [document({ mod: 1 }), null] }),
      /unknown key mod(.|\n)*it must be obj/,
    );
    assert.throws(() => parsed({ ...list, items: [] }), /holds no policy/);
  });

  it("holds each policy once, at least one, and YAML", () => {
    assert.throws(() => parsed(document(), document()), /WasmPolicy\/release is there twice/);
    assert.throws(() => parsePolicies("---\n", "p"), /holds no policy/);
    assert.throws(() => parsePolicies("a: b: c", "p"), { code: "NotYaml" });
    assert.throws(() => parsePolicies("a: 1\na: 2", "p"), { code: "NotYaml" });
    assert.throws(() => parsePolicies("x".repeat(1024 * 1024 + 1), "p"), /more than 1048576 characters/);
  });

  it("never repeats a key that is private", () => {
    const { privateKey } = { privateKey: key.signer.key.export({ type: "pkcs8", format: "pem" }).toString() };
    assert.throws(
      () => parsed(authorities({ name: "a", key: { pem: privateKey } })),
      ({ message }: TrustError) => !message.includes(privateKey.split("\n")[1] ?? "?"),
    );
  });
});

describe("a policy of an API server", () => {
  it("is read without what the server says of it, and is left as it is", () => {
    const stored = storedPolicy("release");
    const before = structuredClone(stored);
    const policy = readPolicyObject(stored);
    assert.deepEqual(stored, before);
    assert.deepEqual(policy.metadata, { name: "release" });
    assert.deepEqual(policy, parsed(document())[0]);
    assert.deepEqual(readPolicyObject(namespaced()).metadata, { name: "release", namespace: "team" });
  });

  for (const [what, value, says] of policyRefusals) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => readPolicyObject(value), { code: "BadPolicy" });
      const { message } = refusal(() => readPolicyObject(value));
      assert.match(message, says);
    });
  }

  for (const [what, value] of goodPolicies) {
    it(`is read: ${what}`, () => {
      assert.deepEqual(readPolicyObject(value), parsed(value)[0]);
    });
  }

  it("is refused with all that is wrong, and so is what is none", () => {
    assert.match(
      refusal(() => readPolicyObject(document({ mode: "Off", onRegistryError: "x" }))).message,
      /^spec\.mode is .*\nspec\.onRegistryError is /,
    );
    for (const value of [null, undefined, 1, "x", [], {}, { metadata: [] }]) {
      assert.equal(refusal(() => readPolicyObject(value)).code, "BadPolicy");
    }
  });

  function refusal(read: () => unknown): TrustError {
    try {
      read();
    } catch (error) {
      return error as TrustError;
    }
    return assert.fail("it was read");
  }
});

describe("which policies an image has to pass", () => {
  const at = (registry: string, repository: string) => ({ registry, repository });
  const namespace = { name: "team", labels: { tier: "prod" } };
  const names = (policies: readonly Policy[], image = at("registry.example", "team/filter"), facts = namespace) =>
    matchingPolicies(policies, image, facts).map(({ metadata }) => metadata.name);

  it("go by whole segments of normal names", () => {
    const policies = parsed(document());
    assert.deepEqual(names(policies), ["release"]);
    for (const image of [
      at("registry.example", "team-evil/filter"),
      at("registry.example", "team/a/b"),
      at("registry.example", "team"),
      at("registry.example.evil.example", "team/filter"),
      at("registry.example:8443", "team/filter"),
    ]) {
      assert.deepEqual(names(policies, image), []);
    }
    const all = parsed(
      document({ match: { repositories: ["registry.example/**"], exclude: ["registry.example/team/x"] } }),
    );
    assert.deepEqual(names(all, at("registry.example", "a/b/c")), ["release"]);
    assert.deepEqual(names(all, at("registry.example", "team/x")), []);
  });

  it("go by the namespace's labels, and a tenant's by its name", () => {
    const selecting = (namespaceSelector: object) =>
      names(parsed(document({ match: { repositories: ["registry.example/team/*"], namespaceSelector } })));
    assert.deepEqual(selecting({ matchLabels: { tier: "prod" } }), ["release"]);
    assert.deepEqual(selecting({ matchLabels: { tier: "dev" } }), []);
    assert.deepEqual(selecting({ matchLabels: { constructor: "x" } }), []);
    const expression = (operator: string, values?: readonly string[], label = "tier") =>
      selecting({ matchExpressions: [{ key: label, operator, ...(values && { values }) }] }).length;
    assert.equal(expression("In", ["prod", "x"]), 1);
    assert.equal(expression("In", ["x"]), 0);
    assert.equal(expression("NotIn", ["prod"]), 0);
    assert.equal(expression("NotIn", ["prod"], "absent"), 1);
    assert.equal(expression("Exists"), 1);
    assert.equal(expression("Exists", undefined, "absent"), 0);
    assert.equal(expression("Exists", undefined, "constructor"), 0);
    assert.equal(expression("DoesNotExist"), 0);
    assert.equal(expression("DoesNotExist", undefined, "absent"), 1);
    assert.deepEqual(names(parsed(namespaced())), ["release"]);
    assert.deepEqual(names(parsed(namespaced()), undefined, { name: "other", labels: { tier: "prod" } }), []);
  });

  it("are all of them, the cluster's and the tenant's", () => {
    assert.deepEqual(names(parsed(document(), namespaced())), ["release", "release"]);
  });
});

describe("the rule of a policy", () => {
  it("has what is referred to written out, and is refused without it", () => {
    const [policy] = parsed(authorities({ name: "a", key: { secretRef: { name: "keys", key: "cosign.pub" } } }));
    assert.ok(policy);
    assert.throws(() => ruleOf(policy, none), /refers to Secret keys, key cosign\.pub, and that is not there/);
    assert.throws(() => ruleOf(policy, { ...none, secret: () => "x" }), /Secret keys.*one public key/);
    const rule = ruleOf(policy, {
      ...none,
      secret: (name, entry) => (name === "keys" && entry === "cosign.pub" ? key.publicPem : null),
    });
    const [authority] = rule.authorities;
    assert.equal(authority?.kind === "key" ? authority.pem : null, key.publicPem);
    assert.deepEqual(JSON.parse(JSON.stringify(rule)), rule);
  });

  it("changes its hash with every demand and every key, and with no order", () => {
    const [one, other] = [
      document(),
      verify({ attestations: [{ predicateType: "https://x.example", authorities: ["key"] }] }),
    ].map(value => ruleOf(parsed(value)[0]!, none));
    const renamed = ruleOf(parsed(document({}, { metadata: { name: "z" } }))[0]!, none);
    const rotated = ruleOf(parsed(authorities({ name: "key", key: { pem: p256().publicPem } }))[0]!, none);
    const hashes = [one!, other!, renamed, rotated].map(rule => rulesHash([rule]));
    assert.equal(new Set(hashes).size, 4);
    assert.equal(rulesHash([one!, renamed]), rulesHash([renamed, one!]));
  });
});
