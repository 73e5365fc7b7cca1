import { HASH_NAMES } from "./public-key.ts";

function section(properties: object, required: readonly string[] = [], defaulted = true) {
  return { type: "object", additionalProperties: false, properties, required, ...(defaulted ? { default: {} } : {}) };
}

function part(properties: object, required: readonly string[] = []) {
  return section(properties, required, false);
}

function text(description: string, maxLength = 1024, pattern?: string) {
  return { type: "string", minLength: 1, maxLength, description, ...(pattern === undefined ? {} : { pattern }) };
}

function list(items: object, description: string, { minItems = 0, maxItems = 64 } = {}) {
  return { type: "array", minItems, maxItems, items, description };
}

function optional<T extends object, D>(schema: T, value: D) {
  return { ...schema, default: value };
}

const NAME = "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$";
const name = (what: string) => text(what, 253, NAME);
const digest = text("sha256:<64 lower-case hex digits>", 71, "^sha256:[a-f0-9]{64}$");
const labels = { type: "object", maxProperties: 64, additionalProperties: { type: "string", maxLength: 1024 } };
const repository = text("registry/repository");

const authority = part(
  {
    name: name("how reports call it"),
    key: part({
      pem: text("a public key in PEM: P-256, P-384, Ed25519 or RSA", 8192),
      secretRef: part({ name: name("a Secret of the operator's namespace"), key: text("its key", 253) }, [
        "name",
        "key",
      ]),
      hash: { enum: HASH_NAMES, description: "instead of the hash that goes with the key" },
    }),
    keyless: part(
      {
        trustedRootRef: part(
          { configMap: name("a ConfigMap of the operator's namespace"), key: text("its key", 253) },
          ["configMap", "key"],
        ),
        identities: list(
          part({ issuer: text("the issuer of the identity, as it is"), subject: text("whose it is, as it is") }, [
            "issuer",
            "subject",
          ]),
          "who may sign: no patterns",
          { minItems: 1 },
        ),
        tlogThreshold: { type: "integer", minimum: 0, maximum: 4, default: 1, description: "transparency logs" },
        ctlogThreshold: { type: "integer", minimum: 0, maximum: 1, default: 1, description: "certificate logs" },
        timestampThreshold: { type: "integer", minimum: 1, maximum: 1, default: 1, description: "proofs of time" },
      },
      ["trustedRootRef", "identities"],
    ),
    digests: list(digest, "what is trusted as it is, signed or not", { minItems: 1, maxItems: 256 }),
    formats: optional(
      list({ enum: ["simpleSigning", "sigstoreBundle"] }, "which kinds of signatures count", {
        minItems: 1,
        maxItems: 2,
      }),
      ["simpleSigning", "sigstoreBundle"],
    ),
    identity: {
      default: "MatchRepository",
      description: "the repository that a signature has to be for",
      if: { type: "object" },
      // biome-ignore lint/suspicious/noThenProperty: the keyword of JSON Schema
      then: part({ RemapPrefix: part({ from: repository, to: repository }, ["from", "to"]) }, ["RemapPrefix"]),
      else: { enum: ["MatchRepository", "Ignore"] },
    },
    annotations: optional(labels, {}),
  },
  ["name"],
);

/** What a policy may say. Defaults are filled in by whoever validates with it. */
export const policySchema = {
  ...part(
    {
      apiVersion: { const: "wasmount.dev/v1alpha1" },
      kind: { enum: ["WasmPolicy", "NamespacedWasmPolicy"] },
      metadata: part(
        { name: name("the policy's name"), namespace: name("its namespace"), labels, annotations: labels },
        ["name"],
      ),
      spec: part(
        {
          match: part(
            {
              repositories: list(repository, "* stands for one segment, ** as the last for the rest", { minItems: 1 }),
              exclude: optional(list(repository, "of those, the ones that it is not for"), []),
              namespaceSelector: section({
                matchLabels: labels,
                matchExpressions: list(
                  part(
                    {
                      key: text("a label's key", 317),
                      operator: { enum: ["In", "NotIn", "Exists", "DoesNotExist"] },
                      values: list({ type: "string", maxLength: 63 }, "for In and NotIn"),
                    },
                    ["key", "operator"],
                  ),
                  "all have to hold",
                ),
              }),
            },
            ["repositories"],
          ),
          mode: { enum: ["Enforce", "Warn", "Audit"], default: "Enforce" },
          onRegistryError: { enum: ["Deny", "Defer", "Warn"], default: "Deny" },
          reference: section({
            requireDigest: { type: "boolean", default: false },
            allowedTagPattern: { type: "string", maxLength: 128, default: "", description: "* stands for any text" },
          }),
          verify: part(
            {
              minimum: { type: "integer", minimum: 1, maximum: 32, default: 1 },
              authorities: list(authority, "who may sign", { minItems: 1, maxItems: 32 }),
              source: part({ repository }, ["repository"]),
              attestations: optional(
                list(
                  part(
                    {
                      predicateType: text("what is stated, such as https://slsa.dev/provenance/v1"),
                      authorities: list({ type: "string" }, "names of authorities", { minItems: 1, maxItems: 32 }),
                      minimum: { type: "integer", minimum: 1, maximum: 32, default: 1 },
                    },
                    ["predicateType", "authorities"],
                  ),
                  "what must be stated, and by whom",
                  { maxItems: 16 },
                ),
                [],
              ),
            },
            ["authorities"],
          ),
        },
        ["match", "verify"],
      ),
    },
    ["apiVersion", "kind", "metadata", "spec"],
  ),
} as const;
