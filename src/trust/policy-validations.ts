import { REPOSITORY_PATTERN_RULE } from "../oci/repository-pattern.ts";
import { SIGNATURE_PREDICATE } from "./claim.ts";
import type { PolicyKind } from "./policy.ts";

/** A rule of a CustomResourceDefinition's schema in CEL (x-kubernetes-validations). */
export interface Validation {
  readonly rule: string;
  readonly message: string;
  /** Which field of the object the message is about, as ".name". */
  readonly fieldPath?: string;
}

/*
 * What policy-rules.ts holds policies to, as far as CEL can say it and the API server's budget for it reaches. Left to the
 * reader: whether a key can be used, one key under two names, the one spelling of IPv6 addresses, and how long the parts of
 * a repository's name and how high its port may be.
 */

// The grammar of src/oci/reference.ts, of names in their one spelling alone.
const LABEL = "[a-z0-9]+(?:-+[a-z0-9]+)*";
const PORT = ":[1-9][0-9]{0,4}";
const SEGMENT = "[a-z0-9]+(?:(?:[.]|__?|-+)[a-z0-9]+)*";
const HOST = `(?:localhost|${LABEL}(?:[.]${LABEL})+|\\[[0-9a-f:.]+\\])`;
// A host without dot is one by its port.
const REGISTRY = `(?:${HOST}(?:${PORT})?|${LABEL}${PORT})`;

const OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
const LIBRARY = "Docker Hub's own images are docker.io/library/…";

function matches(pattern: string, subject = "self"): string {
  return `${subject}.matches(r'${pattern}')`;
}

const oneSpelling: readonly Validation[] = [
  {
    rule: `!${matches("^(?:[^/]*:443|index[.]docker[.]io|registry-1[.]docker[.]io)(?:/|$)")}`,
    message: "write the registry as references do: docker.io for Docker Hub, and no port 443",
  },
  {
    // URLs take such a host for an address, and write "127.1" as "127.0.0.1" (WHATWG URL, "ends in a number").
    rule: `!${matches("^(?:[^/:]*[.])?(?:[0-9]+|0x[0-9a-f]*)(?:[:/]|$)")} || ${matches(`^(?:${OCTET}[.]){3}${OCTET}(?:[:/]|$)`)}`,
    message: "a host that ends in a number is an IPv4 address: four numbers from 0 to 255",
  },
];

const repositoryPattern: readonly Validation[] = [
  { rule: matches(`^${REGISTRY}/(?:(?:${SEGMENT}|[*])/)*(?:${SEGMENT}|[*][*]?)$`), message: REPOSITORY_PATTERN_RULE },
  ...oneSpelling,
  { rule: `self == 'docker.io/**' || !${matches("^docker[.]io/[^/]+$")}`, message: LIBRARY },
];

const repository: readonly Validation[] = [
  { rule: matches(`^${REGISTRY}(?:/${SEGMENT})+$`), message: "write registry/repository, without tag" },
  ...oneSpelling,
  { rule: `!${matches("^docker[.]io/[^/]+$")}`, message: LIBRARY },
];

const repositoryPrefix: readonly Validation[] = [
  {
    rule: matches(`^${REGISTRY}(?:/${SEGMENT})*$`),
    message: 'write a registry, or the beginning of a repository\'s name up to a "/", as references do',
  },
  ...oneSpelling,
  { rule: "self != 'docker.io'", message: LIBRARY },
];

/** A rule of the key, not of its text: the API server's answer holds a text that breaks a rule, and it may be a private key. */
const publicKey: Validation = {
  rule: `!has(self.pem) || ${matches("^\\s*-----BEGIN PUBLIC KEY-----\\r?\\n[A-Za-z0-9+/=\\r\\n]+-----END PUBLIC KEY-----\\s*$", "self.pem")}`,
  message: "write one public key in PEM: it begins with -----BEGIN PUBLIC KEY-----",
  fieldPath: ".pem",
};

const remapped: Validation = {
  rule: "(self.identity == 'RemapPrefix') == has(self.remapPrefix)",
  message: "identity RemapPrefix needs remapPrefix, and remapPrefix is for no other identity",
};

const requirement: readonly Validation[] = [
  {
    rule: "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
    message: "the operators In and NotIn need values",
  },
  {
    rule: "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
    message: "the operators Exists and DoesNotExist take no values",
  },
];

const verify: readonly Validation[] = [
  {
    rule: "self.minimum <= self.authorities.size()",
    message: "minimum is more than there are authorities",
    fieldPath: ".minimum",
  },
  {
    rule: "self.attestations.all(a, a.authorities.all(n, self.authorities.exists(known, known.name == n)))",
    message: "an attestation names an authority that is not in spec.verify.authorities",
    fieldPath: ".attestations",
  },
  {
    rule: "self.attestations.all(a, a.authorities.all(n, !self.authorities.exists(known, known.name == n && has(known.digests))))",
    message: "an attestation names an authority that states nothing: it is a list of digests",
    fieldPath: ".attestations",
  },
];

const attestation: readonly Validation[] = [
  {
    rule: "self.minimum <= self.authorities.size()",
    message: "minimum is more than there are authorities",
    fieldPath: ".minimum",
  },
  {
    rule: `self.predicateType != '${SIGNATURE_PREDICATE}'`,
    message: `${SIGNATURE_PREDICATE} is a signature, not an attestation`,
    fieldPath: ".predicateType",
  },
];

const common: Readonly<Record<string, readonly Validation[]>> = {
  "spec.match.repositories[]": repositoryPattern,
  "spec.verify": verify,
  "spec.verify.authorities[].remapPrefix.from": repositoryPrefix,
  "spec.verify.authorities[].remapPrefix.to": repositoryPrefix,
  "spec.verify.attestations[]": attestation,
};

/** The rules of a kind by the place of what they are about; "[]" stands for each item. */
export const policyValidations: Readonly<Record<PolicyKind, Readonly<Record<string, readonly Validation[]>>>> = {
  WasmPolicy: {
    ...common,
    "spec.match.exclude[]": repositoryPattern,
    "spec.match.namespaceSelector.matchExpressions[]": requirement,
    "spec.verify.source.repository": repository,
    "spec.verify.authorities[]": [
      {
        rule: "[has(self.key), has(self.keyless), has(self.digests)].exists_one(there, there)",
        message: "write exactly one of key, keyless and digests",
      },
      remapped,
    ],
    "spec.verify.authorities[].key": [
      { rule: "has(self.pem) != has(self.secretRef)", message: "write exactly one of pem and secretRef" },
      publicKey,
    ],
  },
  NamespacedWasmPolicy: {
    ...common,
    "spec.verify.authorities[]": [
      { rule: "has(self.key) != has(self.digests)", message: "write exactly one of key and digests" },
      remapped,
    ],
    "spec.verify.authorities[].key": [publicKey],
  },
};
