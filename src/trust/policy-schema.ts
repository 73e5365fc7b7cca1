import { LAYOUT_NAMES } from "../oci/layout.ts";
import { HASH_NAMES } from "./public-key.ts";

/** What of JSON Schema the schema of policies is made of: little enough for Kubernetes' structural schemas, too. */
export interface PolicySchema {
  readonly type: "object" | "array" | "string" | "integer" | "boolean";
  readonly description: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly items?: PolicySchema;
  readonly properties?: Readonly<Record<string, PolicySchema>>;
  readonly required?: readonly string[];
  readonly maxProperties?: number;
  /** False where the properties are all that there are; a schema makes a map. */
  readonly additionalProperties?: false | PolicySchema;
}

interface Bounds {
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
}

type Properties = Readonly<Record<string, PolicySchema>>;

function part(properties: Properties, required: readonly string[], description: string): PolicySchema {
  return { type: "object", description, additionalProperties: false, properties, required };
}

function text(description: string, maxLength = 1024, pattern?: string): PolicySchema {
  return { type: "string", minLength: 1, maxLength, description, ...(pattern === undefined ? {} : { pattern }) };
}

function list(items: PolicySchema, description: string, bounds: Bounds = {}): PolicySchema {
  return { type: "array", minItems: 0, maxItems: 64, ...bounds, items, description };
}

function map(description: string, maxLength: number): PolicySchema {
  const value: PolicySchema = { type: "string", maxLength, description: "as it is" };
  return { type: "object", maxProperties: 64, additionalProperties: value, description };
}

function choice(values: readonly string[], description: string, value?: string): PolicySchema {
  return { type: "string", enum: values, description, ...(value === undefined ? {} : { default: value }) };
}

function count(minimum: number, maximum: number, value: number, description: string): PolicySchema {
  return { type: "integer", minimum, maximum, default: value, description };
}

function optional(schema: PolicySchema, value: unknown): PolicySchema {
  return { ...schema, default: value };
}

const NAME = "^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$";
const name = (what: string) => text(what, 253, NAME);
const digest = text("sha256:<64 lower-case hex digits>", 71, "^sha256:[a-f0-9]{64}$");
const repositories = text(
  "registry/repository, without tag; * stands for one whole segment, /** at the end for the rest",
);
const FORMATS = ["simpleSigning", "sigstoreBundle"];

const key = part(
  {
    pem: text("the key in PEM (-----BEGIN PUBLIC KEY-----): P-256, P-384, Ed25519 or RSA of 2048 to 8192 bits", 8192),
    secretRef: part(
      { name: name("the Secret's name"), key: text("which of its keys", 253) },
      ["name", "key"],
      "a Secret of the operator's namespace that holds the key",
    ),
    hash: choice(HASH_NAMES, "instead of the hash that goes with the key"),
  },
  [],
  "who has the private half of this public key",
);

const keyless = part(
  {
    trustedRootRef: part(
      { configMap: name("the ConfigMap's name"), key: text("which of its keys", 253) },
      ["configMap", "key"],
      "a ConfigMap of the operator's namespace that holds a Sigstore trusted root",
    ),
    identities: list(
      part(
        { issuer: text("the issuer of the identity, as it is"), subject: text("whose it is, as it is") },
        ["issuer", "subject"],
        "both are compared whole",
      ),
      "who may sign: no patterns",
      { minItems: 1 },
    ),
    tlogThreshold: count(0, 4, 1, "how many different transparency logs must have the signature"),
    ctlogThreshold: count(0, 1, 1, "how many certificate logs must have the certificate"),
    timestampThreshold: count(1, 1, 1, "how many proofs of time there must be"),
  },
  ["trustedRootRef", "identities"],
  "who gets certificates for these identities",
);

const authority = part(
  {
    name: name("how reports call it"),
    key,
    keyless,
    digests: list(digest, "images that are trusted as they are, signed or not", { minItems: 1, maxItems: 256 }),
    formats: optional(
      list(choice(FORMATS, "a kind of signatures"), "which kinds of signatures count", { minItems: 1, maxItems: 2 }),
      FORMATS,
    ),
    identity: choice(
      ["MatchRepository", "RemapPrefix", "Ignore"],
      "the repository that a signature has to be for: the image's, the one that it was copied from, or any",
      "MatchRepository",
    ),
    remapPrefix: part(
      {
        from: text("what the names of the repositories began with that the signatures are for"),
        to: text("what the names of the copies begin with"),
      },
      ["from", "to"],
      "for identity RemapPrefix: where the images were copied from",
    ),
    annotations: optional(map("what the signature has to say besides", 1024), {}),
  },
  ["name"],
  "exactly one of key, keyless and digests",
);

const namespaceSelector = part(
  {
    matchLabels: map("labels that the namespace has to have", 63),
    matchExpressions: list(
      part(
        {
          key: text("a label's key", 317),
          operator: choice(["In", "NotIn", "Exists", "DoesNotExist"], "what has to hold of the label"),
          values: list({ type: "string", maxLength: 63, description: "a label's value" }, "for In and NotIn"),
        },
        ["key", "operator"],
        "one condition",
      ),
      "all have to hold",
    ),
  },
  [],
  "which namespaces, by their labels; all, where nothing is said",
);

const attestation = part(
  {
    predicateType: text("what is stated, such as https://slsa.dev/provenance/v1"),
    authorities: list(name("an authority of this policy"), "who may state it", {
      minItems: 1,
      maxItems: 32,
      // Twice the same one would seem to be two.
      uniqueItems: true,
    }),
    minimum: count(1, 32, 1, "how many different ones have to"),
  },
  ["predicateType", "authorities"],
  "one statement",
);

/** What a policy demands, defaults included. */
export const policySpecSchema: PolicySchema = part(
  {
    match: part(
      {
        repositories: list(repositories, "which images it is for, by their repository", { minItems: 1 }),
        exclude: optional(list(repositories, "of those, the ones that it is not for"), []),
        namespaceSelector: optional(namespaceSelector, {}),
      },
      ["repositories"],
      "what it is for",
    ),
    mode: choice(
      ["Enforce", "Warn", "Audit"],
      "what follows where an image does not pass: it is denied, its author is warned, or it is logged",
      "Enforce",
    ),
    onRegistryError: choice(
      ["Deny", "Defer", "Warn"],
      "what follows where the registry can't be asked for signatures; Defer leaves it to the fetcher",
      "Deny",
    ),
    module: optional(
      part(
        {
          formats: optional(
            list(choice(LAYOUT_NAMES, "a layout"), "the layouts of images that may hold it; none stands for any", {
              maxItems: LAYOUT_NAMES.length,
            }),
            [],
          ),
          maxBytes: {
            type: "integer",
            minimum: 1,
            maximum: 1024 * 1024 * 1024,
            description: "bytes that it may have, decompressed; without it, as many as the operator allows",
          },
        },
        [],
        "what a module has to be like; the fetcher holds it to that",
      ),
      {},
    ),
    reference: optional(
      part(
        {
          requireDigest: {
            type: "boolean",
            default: false,
            description: "whether the image must be named by its digest",
          },
          allowedTagPattern: {
            type: "string",
            maxLength: 128,
            default: "",
            description: "which tags it may be named by: * stands for any text; empty is any",
          },
        },
        [],
        "how the image may be named",
      ),
      {},
    ),
    verify: part(
      {
        minimum: count(1, 32, 1, "how many different authorities have to vouch for the image"),
        authorities: list(authority, "who may vouch for it", { minItems: 1, maxItems: 32 }),
        source: part(
          { repository: text("registry/repository, without tag") },
          ["repository"],
          "where signatures are, if not beside the image",
        ),
        attestations: optional(list(attestation, "what must be stated, and by whom", { maxItems: 16 }), []),
      },
      ["authorities"],
      "who has to vouch for the images",
    ),
  },
  ["match", "verify"],
  "what is demanded of images, and of which",
);

const metadata = part(
  {
    name: name("the policy's name"),
    namespace: name("its namespace"),
    labels: map("labels", 63),
    // Kubernetes' bound of all annotations together: kubectl keeps the whole manifest in one.
    annotations: map("annotations", 262_144),
  },
  ["name"],
  "Kubernetes' own",
);

/** What a policy may say. Defaults are filled in by whoever validates with it. */
export const policySchema: PolicySchema = part(
  {
    apiVersion: choice(["wasmount.dev/v1alpha1"], "the version of this schema"),
    kind: choice(["WasmPolicy", "NamespacedWasmPolicy"], "the cluster's, or one namespace's"),
    metadata,
    spec: policySpecSchema,
  },
  ["apiVersion", "kind", "metadata", "spec"],
  "who has to vouch for images",
);
