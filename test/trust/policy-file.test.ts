import assert from "node:assert/strict";
import { stringify } from "yaml";
import type { TrustError } from "../../src/trust/error.ts";
import { type Policy, policyName } from "../../src/trust/policy.ts";
import { parsePolicies } from "../../src/trust/policy-file.ts";
import { readPolicyObject } from "../../src/trust/policy-object.ts";
import { type Materials, ruleOf, rulesHash } from "../../src/trust/rules.ts";
import { matchingPolicies } from "../../src/trust/selection.ts";
import { DIGEST, p256 } from "./samples.ts";

const key = p256();
const none: Materials = { secret: () => null, configMap: () => null };

function document(spec: object = {}, changes: object = {}): Record<string, unknown> {
  return {
    apiVersion: "wasmount.dev/v1alpha1",
    kind: "WasmPolicy",
    metadata: { name: "release" },
    spec: {
      match: { repositories: ["registry.example/team/*"] },
      verify: { authorities: [{ name: "key", key: { pem: key.publicPem } }] },
      ...spec,
    },
    ...changes,
  };
}

function verify(changes: object): Record<string, unknown> {
  return document({ verify: { authorities: [{ name: "key", key: { pem: key.publicPem } }], ...changes } });
}

function authorities(...list: readonly object[]): Record<string, unknown> {
  return verify({ authorities: list });
}

function namespaced(spec: object = {}): Record<string, unknown> {
  return document(spec, { kind: "NamespacedWasmPolicy", metadata: { name: "release", namespace: "team" } });
}

function parsed(...documents: readonly object[]): readonly Policy[] {
  return parsePolicies(documents.map(one => stringify(one)).join("---\n"), "policy.yaml");
}

/** As an API server has it. */
function storedPolicy(name: string) {
  const last = "kubectl.kubernetes.io/last-applied-configuration";
  const metadata = {
    name,
    uid: "6b5b8a0e-5b0a-4b43-8f0c-3f3a3c1c7f10",
    resourceVersion: "41",
    generation: 2,
    creationTimestamp: "2026-01-01T00:00:00Z",
    annotations: { [last]: "x".repeat(20_000) },
    managedFields: [{ manager: "kubectl", operation: "Apply", fieldsV1: { "f:spec": {} } }],
  };
  const status = { observedGeneration: 2, conditions: [{ type: "Ready", status: "True" }] };
  return { ...document(), metadata, status };
}

const refusals: readonly (readonly [string, object, RegExp])[] = [
  [
    "an unknown field",
    document({ mod: "Warn" }),
    /WasmPolicy release: spec has the unknown key mod: did you mean mode\?/,
  ],
  ["a misspelt choice", document({ mode: "enforce" }), /spec\.mode is "enforce", allowed are Enforce, Warn, Audit/],
  ["no authorities", authorities(), /authorities must NOT have fewer than 1 items/],
  ["a minimum of 0", verify({ minimum: 0 }), /minimum must be >= 1/],
  ["more needed than there are", verify({ minimum: 2 }), /minimum is 2, and there are 1 different authorities/],
  [
    "one key under two names to make two",
    verify({
      minimum: 2,
      authorities: [
        { name: "a", key: { pem: key.publicPem } },
        { name: "b", key: { pem: key.publicPem.replaceAll("\n", "\r\n") } },
      ],
    }),
    /minimum is 2, and there are 1 different authorities/,
  ],
  [
    "an authority of two kinds",
    authorities({ name: "a", key: { pem: key.publicPem }, digests: [DIGEST] }),
    /has 2 of key, keyless and digests/,
  ],
  ["an authority of no kind", authorities({ name: "a" }), /has 0 of key, keyless and digests/],
  [
    "two authorities of one name",
    authorities({ name: "a", digests: [DIGEST] }, { name: "a", digests: [DIGEST] }),
    /has the name of another one/,
  ],
  ["a key without text", authorities({ name: "a", key: {} }), /needs one of pem and secretRef/],
  ["a key that is none", authorities({ name: "a", key: { pem: "x" } }), /one public key in PEM/],
  [
    "a pattern in a host",
    document({ match: { repositories: ["*.example/team/x"] } }),
    /spec\.match\.repositories has "\*\.example/,
  ],
  ["a pattern within a segment", document({ match: { repositories: ["registry.example/team*"] } }), /repositories has/],
  ["** in the middle", document({ match: { repositories: ["registry.example/**/x"] } }), /repositories has/],
  [
    "another spelling of a host",
    document({ match: { repositories: ["Registry.example:443/team/x"] } }),
    /repositories has/,
  ],
  [
    "Docker Hub by another name",
    document({ match: { repositories: ["index.docker.io/library/x"] } }),
    /repositories has/,
  ],
  ["a tag", document({ match: { repositories: ["registry.example/team/x:1"] } }), /repositories has/],
  ["no repositories", document({ match: { repositories: [] } }), /repositories must NOT have fewer/],
  ["an identity that is none", authorities({ name: "a", key: { pem: key.publicPem }, identity: "Match" }), /identity/],
  [
    "a prefix that is none",
    authorities({
      name: "a",
      key: { pem: key.publicPem },
      identity: "RemapPrefix",
      remapPrefix: { from: "x.example/", to: "y.example" },
    }),
    /remapPrefix\.from is "x\.example\/"/,
  ],
  [
    "a copy from nowhere",
    authorities({ name: "a", key: { pem: key.publicPem }, identity: "RemapPrefix" }),
    /identity RemapPrefix needs remapPrefix: \{from, to\}/,
  ],
  [
    "a prefix that nothing asks for",
    authorities({
      name: "a",
      key: { pem: key.publicPem },
      remapPrefix: { from: "x.example/a", to: "y.example/a" },
    }),
    /remapPrefix is for identity RemapPrefix, and this is MatchRepository/,
  ],
  [
    "a selector without values",
    document({
      match: { repositories: ["a.example/b"], namespaceSelector: { matchExpressions: [{ key: "a", operator: "In" }] } },
    }),
    /In needs values/,
  ],
  [
    "an attestation by nobody known",
    verify({ attestations: [{ predicateType: "https://x.example", authorities: ["ci"] }] }),
    /names the authority "ci"/,
  ],
  [
    "an attestation by one authority twice",
    verify({ attestations: [{ predicateType: "https://x.example", authorities: ["key", "key"] }] }),
    /authorities must NOT have duplicate items/,
  ],
  [
    "a signature as attestation",
    verify({ attestations: [{ predicateType: "https://sigstore.dev/cosign/sign/v1", authorities: ["key"] }] }),
    /is a signature, not an attestation/,
  ],
  [
    "a namespace of the cluster's",
    document({}, { metadata: { name: "a", namespace: "b" } }),
    /write kind NamespacedWasmPolicy/,
  ],
  ["a tenant's without namespace", document({}, { kind: "NamespacedWasmPolicy" }), /needs the key namespace/],
  [
    "a tenant's exclusion",
    namespaced({ match: { repositories: ["a.example/**"], exclude: ["a.example/b"] } }),
    /exclude: only a WasmPolicy/,
  ],
  [
    "a tenant's selector",
    namespaced({ match: { repositories: ["a.example/**"], namespaceSelector: { matchLabels: { a: "b" } } } }),
    /namespaceSelector: only a WasmPolicy/,
  ],
  [
    "a tenant's source",
    namespaced({ verify: { authorities: [{ name: "a", digests: [DIGEST] }], source: { repository: "a.example/b" } } }),
    /source: only a WasmPolicy/,
  ],
  [
    "a tenant's reference to a Secret",
    namespaced({ verify: { authorities: [{ name: "a", key: { secretRef: { name: "s", key: "k" } } }] } }),
    /key\.secretRef and keyless read the operator's namespace/,
  ],
  [
    "another API version",
    document({}, { apiVersion: "wasmount.dev/v2" }),
    /apiVersion is "wasmount\.dev\/v2", allowed are wasmount\.dev\/v1alpha1/,
  ],
  ["another kind", document({}, { kind: "WasmPolice" }), /kind is "WasmPolice", allowed are WasmPolicy/],
];

describe("a file of policies", () => {
  for (const [what, value, says] of refusals) {
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

  for (const [what, value, says] of refusals) {
    it(`is refused with ${what}`, () => {
      assert.throws(() => readPolicyObject(value), { code: "BadPolicy" });
      const { message } = refusal(() => readPolicyObject(value));
      assert.match(`WasmPolicy release: ${message}`, says);
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
