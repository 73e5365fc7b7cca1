import { DIGEST, KINDS, p256 } from "./samples.ts";

/** The key of the policies here. */
export const key = p256();

/** A policy with some of its spec, or some other members, in place of the ordinary ones. */
export function document(spec: object = {}, changes: object = {}): Record<string, unknown> {
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

export function verify(changes: object): Record<string, unknown> {
  return document({ verify: { authorities: [{ name: "key", key: { pem: key.publicPem } }], ...changes } });
}

export function authorities(...list: readonly object[]): Record<string, unknown> {
  return verify({ authorities: list });
}

export function namespaced(spec: object = {}): Record<string, unknown> {
  return document(spec, { kind: "NamespacedWasmPolicy", metadata: { name: "release", namespace: "team" } });
}

/** As an API server has it. */
export function storedPolicy(name: string) {
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

/** Certificates of one authority. */
export const KEYLESS = {
  trustedRootRef: { configMap: "sigstore-root", key: "trusted_root.json" },
  identities: [{ issuer: "https://token.actions.example", subject: "https://git.example/team/filters" }],
};

/** What a policy has wrong: what readers say of it, and what an API server does; null for what only readers can tell. */
export type PolicyRefusal = readonly [what: string, policy: object, says: RegExp, server: RegExp | null];

const pem = key.publicPem;
const ATTESTED = { predicateType: "https://x.example" };
const PREFIX = { from: "x.example/a", to: "y.example/a" };

function repositories(...list: readonly string[]): Record<string, unknown> {
  return document({ match: { repositories: list } });
}

function selecting(requirement: object): Record<string, unknown> {
  const namespaceSelector = { matchExpressions: [{ key: "a", ...requirement }] };
  return document({ match: { repositories: ["a.example/b"], namespaceSelector } });
}

function attested(attestation: object, ...list: readonly object[]): Record<string, unknown> {
  const attestations = [{ ...ATTESTED, ...attestation }];
  return verify({ attestations, ...(list.length > 0 && { authorities: list }) });
}

const SHAPE = /write registry\/repository as references do, without tag/;
const SPELLING = /write the registry as references do: docker\.io for Docker Hub, and no port 443/;

const ADDRESS = /a host that ends in a number is an IPv4 address/;

export const policyRefusals: readonly PolicyRefusal[] = [
  [
    "an unknown field",
    document({ mod: "Warn" }),
    /spec has the unknown key mod: did you mean mode\?/,
    /unknown field "spec\.mod"/,
  ],
  [
    "a misspelt choice",
    document({ mode: "enforce" }),
    /spec\.mode is "enforce", allowed are Enforce, Warn, Audit/,
    /spec\.mode: Unsupported value: "enforce"/,
  ],
  [
    "no authorities",
    authorities(),
    /authorities must NOT have fewer than 1 items/,
    /spec\.verify\.authorities.* at least 1 items/,
  ],
  [
    "a minimum of 0",
    verify({ minimum: 0 }),
    /minimum must be >= 1/,
    /spec\.verify\.minimum.* greater than or equal to 1/,
  ],
  [
    "more needed than there are",
    verify({ minimum: 2 }),
    /minimum is 2, and there are 1 different authorities/,
    /spec\.verify\.minimum: .*minimum is more than there are authorities/,
  ],
  [
    "one key under two names to make two",
    verify({
      minimum: 2,
      authorities: [
        { name: "a", key: { pem } },
        { name: "b", key: { pem: pem.replaceAll("\n", "\r\n") } },
      ],
    }),
    /minimum is 2, and there are 1 different authorities/,
    null,
  ],
  [
    "an authority of two kinds",
    authorities({ name: "a", key: { pem }, digests: [DIGEST] }),
    /has 2 of key, keyless and digests/,
    /spec\.verify\.authorities\[0\]: .*write exactly one of key, keyless and digests/,
  ],
  [
    "an authority of no kind",
    authorities({ name: "a" }),
    /has 0 of key, keyless and digests/,
    /write exactly one of key, keyless and digests/,
  ],
  [
    "two authorities of one name",
    authorities({ name: "a", digests: [DIGEST] }, { name: "a", digests: [DIGEST] }),
    /has the name of another one/,
    /spec\.verify\.authorities\[1\]: Duplicate value/,
  ],
  [
    "a name that is none",
    authorities({ name: "A", digests: [DIGEST] }),
    /name must match pattern/,
    /authorities\[0\]\.name: .*should match/,
  ],
  [
    "a key without text",
    authorities({ name: "a", key: {} }),
    /needs one of pem and secretRef/,
    /write exactly one of pem and secretRef/,
  ],
  [
    "a key from two places",
    authorities({ name: "a", key: { pem, secretRef: { name: "a", key: "b" } } }),
    /needs one of pem and secretRef/,
    /write exactly one of pem and secretRef/,
  ],
  [
    "a key that is none",
    authorities({ name: "a", key: { pem: "x" } }),
    /one public key in PEM/,
    /key\.pem: .*begins with -----BEGIN PUBLIC KEY-----/,
  ],
  [
    "a private key",
    authorities({ name: "a", key: { pem: pem.replaceAll("PUBLIC", "PRIVATE") } }),
    /one public key in PEM/,
    /key\.pem: .*begins with -----BEGIN PUBLIC KEY-----/,
  ],
  [
    "a key that no curve has",
    authorities({ name: "a", key: { pem: pem.replace(/\n.{20}/, "\nMFkwEwYHKoZIzj0CAQYX") } }),
    /key can't be used/,
    null,
  ],
  [
    "a digest that is none",
    authorities({ name: "a", digests: ["sha256:abc"] }),
    /digests\.0 must match pattern/,
    /digests\[0\]: .*should match/,
  ],
  ["a pattern in a host", repositories("*.example/team/x"), /spec\.match\.repositories has "\*\.example/, SHAPE],
  ["a pattern within a segment", repositories("registry.example/team*"), /repositories has/, SHAPE],
  ["** in the middle", repositories("registry.example/**/x"), /repositories has/, SHAPE],
  [
    "** in the middle, after a good one",
    repositories("a.example/b", "registry.example/**/x"),
    /repositories has/,
    /spec\.match\.repositories\[1\]: /,
  ],
  ["another spelling of a host", repositories("Registry.example/team/x"), /repositories has/, SHAPE],
  ["a port that goes without saying", repositories("registry.example:443/team/x"), /repositories has/, SPELLING],
  ["two ports", repositories("registry.example:1:2/team/x"), /repositories has/, SHAPE],
  ["an address that URLs write otherwise", repositories("127.1/team/x"), /repositories has/, ADDRESS],
  ["an address that is none", repositories("registry.256/team/x"), /repositories has/, ADDRESS],
  ["an address with two spellings", repositories("[0:0::1]/team/x"), /repositories has/, null],
  ["a host without path", repositories("registry.example"), /repositories has/, SHAPE],
  ["a path without host", repositories("team/filter"), /repositories has/, SHAPE],
  ["Docker Hub by another name", repositories("index.docker.io/library/x"), /repositories has/, SPELLING],
  [
    "Docker Hub's own without library",
    repositories("docker.io/envoy"),
    /repositories has/,
    /Docker Hub's own images are docker\.io\/library/,
  ],
  ["a tag", repositories("registry.example/team/x:1"), /repositories has/, SHAPE],
  ["a digest", repositories(`registry.example/team/x@${DIGEST}`), /repositories has/, SHAPE],
  [
    "no repositories",
    repositories(),
    /repositories must NOT have fewer/,
    /spec\.match\.repositories.* at least 1 items/,
  ],
  [
    "an exclusion that is none",
    document({ match: { repositories: ["a.example/**"], exclude: ["a.example/b*"] } }),
    /exclude has/,
    SHAPE,
  ],
  [
    "an identity that is none",
    authorities({ name: "a", key: { pem }, identity: "Match" }),
    /identity/,
    /identity: Unsupported value: "Match"/,
  ],
  [
    "a prefix that is none",
    authorities({ name: "a", key: { pem }, identity: "RemapPrefix", remapPrefix: { ...PREFIX, from: "x.example/" } }),
    /remapPrefix\.from is "x\.example\/"/,
    /write a registry, or the beginning/,
  ],
  [
    "a prefix of Docker Hub",
    authorities({ name: "a", key: { pem }, identity: "RemapPrefix", remapPrefix: { ...PREFIX, to: "docker.io" } }),
    /remapPrefix\.to is "docker\.io"/,
    /Docker Hub's own/,
  ],
  [
    "a copy from nowhere",
    authorities({ name: "a", key: { pem }, identity: "RemapPrefix" }),
    /identity RemapPrefix needs remapPrefix: \{from, to\}/,
    /identity RemapPrefix needs remapPrefix/,
  ],
  [
    "a prefix that nothing asks for",
    authorities({ name: "a", key: { pem }, remapPrefix: PREFIX }),
    /remapPrefix is for identity RemapPrefix, and this is MatchRepository/,
    /remapPrefix is for no other identity/,
  ],
  [
    "half a prefix",
    authorities({ name: "a", key: { pem }, identity: "RemapPrefix", remapPrefix: { from: "x.example" } }),
    /remapPrefix needs the key to/,
    /remapPrefix\.to: Required value/,
  ],
  [
    "an identity without subject",
    authorities({
      name: "a",
      keyless: { trustedRootRef: { configMap: "a", key: "b" }, identities: [{ issuer: "x" }] },
    }),
    /identities\.0 needs the key subject/,
    /identities\[0\]\.subject: Required value/,
  ],
  [
    "a source with a pattern",
    verify({ source: { repository: "a.example/*" } }),
    /source\.repository is/,
    /source\.repository: .*write registry\/repository, without tag/,
  ],
  [
    "a source with a tag",
    verify({ source: { repository: "a.example/b:1" } }),
    /source\.repository is/,
    /write registry\/repository, without tag/,
  ],
  ["a selector without values", selecting({ operator: "In" }), /In needs values/, /operators In and NotIn need values/],
  [
    "a selector with values for nothing",
    selecting({ operator: "Exists", values: ["a"] }),
    /Exists takes no values/,
    /Exists and DoesNotExist take no values/,
  ],
  [
    "an attestation by nobody known",
    attested({ authorities: ["ci"] }),
    /names the authority "ci"/,
    /spec\.verify\.attestations: .*names an authority that is not in/,
  ],
  [
    "an attestation by a list of digests",
    attested({ authorities: ["frozen"] }, { name: "frozen", digests: [DIGEST] }),
    /frozen, which states nothing/,
    /names an authority that states nothing/,
  ],
  [
    "an attestation by one authority twice",
    attested({ authorities: ["key", "key"] }),
    /authorities must NOT have duplicate items/,
    /attestations\[0\]\.authorities\[1\]: Duplicate value/,
  ],
  [
    "an attestation by more than there are",
    attested({ authorities: ["key"], minimum: 2 }),
    /attestations\.0\.minimum is 2, and it names 1/,
    /attestations\[0\]\.minimum: .*more than there are/,
  ],
  [
    "a signature as attestation",
    attested({ predicateType: "https://sigstore.dev/cosign/sign/v1", authorities: ["key"] }),
    /is a signature, not an attestation/,
    /is a signature, not an attestation/,
  ],
  [
    "a namespace of the cluster's",
    document({}, { metadata: { name: "a", namespace: "b" } }),
    /write kind NamespacedWasmPolicy/,
    null,
  ],
  ["a tenant's without namespace", document({}, { kind: "NamespacedWasmPolicy" }), /needs the key namespace/, null],
  [
    "a tenant's exclusion",
    namespaced({ match: { repositories: ["a.example/**"], exclude: ["a.example/b"] } }),
    /exclude: only a WasmPolicy/,
    /unknown field "spec\.match\.exclude"/,
  ],
  [
    "a tenant's selector",
    namespaced({ match: { repositories: ["a.example/**"], namespaceSelector: { matchLabels: { a: "b" } } } }),
    /namespaceSelector: only a WasmPolicy/,
    /unknown field "spec\.match\.namespaceSelector"/,
  ],
  [
    "a tenant's source",
    namespaced({ verify: { authorities: [{ name: "a", digests: [DIGEST] }], source: { repository: "a.example/b" } } }),
    /source: only a WasmPolicy/,
    /unknown field "spec\.verify\.source"/,
  ],
  [
    "a tenant's reference to a Secret",
    namespaced({ verify: { authorities: [{ name: "a", key: { secretRef: { name: "s", key: "k" } } }] } }),
    /key\.secretRef and keyless read the operator's namespace/,
    /unknown field "spec\.verify\.authorities\[0\]\.key\.secretRef"/,
  ],
  [
    "a tenant's certificate authority",
    namespaced({ verify: { authorities: [{ name: "a", keyless: KEYLESS }] } }),
    /key\.secretRef and keyless read the operator's namespace/,
    /unknown field "spec\.verify\.authorities\[0\]\.keyless"/,
  ],
  [
    "a tenant's authority of two kinds",
    namespaced({ verify: { authorities: [{ name: "a", key: { pem }, digests: [DIGEST] }] } }),
    /has 2 of key/,
    /write exactly one of key and digests/,
  ],
  [
    "a tenant's key that is none",
    namespaced({ verify: { authorities: [{ name: "a", key: { pem: "x" } }] } }),
    /one public key in PEM/,
    /begins with -----BEGIN PUBLIC KEY-----/,
  ],
  [
    "another API version",
    document({}, { apiVersion: "wasmount.dev/v2" }),
    /apiVersion is "wasmount\.dev\/v2", allowed are wasmount\.dev\/v1alpha1/,
    null,
  ],
  ["another kind", document({}, { kind: "WasmPolice" }), /kind is "WasmPolice", allowed are WasmPolicy/, null],
];

/** Policies that have nothing wrong. */
export const goodPolicies: readonly (readonly [what: string, policy: object])[] = [
  ["the least", document()],
  ["one namespace's", namespaced()],
  [
    "patterns of every kind",
    repositories(
      "a.example/**",
      "a.example/*/b",
      "localhost/a",
      "localhost:5000/a/*",
      "registry:5000/a__b/c-d.e",
      "[::1]:5000/a",
      "10.0.0.1/a",
      "docker.io/**",
      "docker.io/library/*",
    ),
  ],
  [
    "exclusions and selectors",
    document({
      match: {
        repositories: ["a.example/**"],
        exclude: ["a.example/b/*"],
        namespaceSelector: {
          matchLabels: { "x.example/tier": "prod" },
          matchExpressions: [
            { key: "a", operator: "In", values: ["b"] },
            { key: "c", operator: "Exists" },
            { key: "c", operator: "DoesNotExist", values: [] },
          ],
        },
      },
    }),
  ],
  [
    "choices",
    document({ mode: "Audit", onRegistryError: "Warn", reference: { requireDigest: true, allowedTagPattern: "v*" } }),
  ],
  [
    "keys of every kind",
    authorities(
      ...Object.values(KINDS).map((pair, index) => ({ name: `key-${index}`, key: { pem: pair().publicPem } })),
      { name: "crlf", key: { pem: `\n${pem.replaceAll("\n", "\r\n")}\n`, hash: "sha512" } },
      { name: "secret", key: { secretRef: { name: "keys", key: "cosign.pub" } } },
    ),
  ],
  [
    "copies",
    authorities({
      name: "a",
      key: { pem },
      identity: "RemapPrefix",
      remapPrefix: { from: "docker.io/team", to: "mirror.example:5000" },
      formats: ["sigstoreBundle"],
      annotations: { env: "prod", "": "" },
    }),
  ],
  [
    "keyless, frozen, attested, from elsewhere",
    verify({
      minimum: 2,
      authorities: [
        { name: "ci", keyless: KEYLESS },
        { name: "frozen", digests: [DIGEST] },
      ],
      source: { repository: "a.example/signatures" },
      attestations: [{ predicateType: "https://slsa.dev/provenance/v1", authorities: ["ci"] }],
    }),
  ],
  [
    "a tenant's with everything it may have",
    namespaced({
      mode: "Warn",
      reference: { requireDigest: true },
      verify: {
        authorities: [
          { name: "a", key: { pem, hash: "sha256" }, identity: "Ignore" },
          { name: "b", digests: [DIGEST] },
        ],
        attestations: [{ ...ATTESTED, authorities: ["a"], minimum: 1 }],
      },
    }),
  ],
];
