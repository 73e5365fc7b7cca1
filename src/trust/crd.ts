import { POLICY_API_VERSION, type PolicyKind } from "./policy.ts";
import { type PolicySchema, policySpecSchema } from "./policy-schema.ts";
import { policyValidations } from "./policy-validations.ts";

/** A structural schema of Kubernetes (CustomResourceDefinition, openAPIV3Schema), as far as policies need one. */
export interface StructuralSchema {
  readonly type: PolicySchema["type"];
  readonly description?: string;
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

/** A CustomResourceDefinition of apiextensions.k8s.io/v1 with one version. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1";
  readonly kind: "CustomResourceDefinition";
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: {
      readonly kind: PolicyKind;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly scope: "Cluster" | "Namespaced";
    readonly versions: readonly [
      {
        readonly name: string;
        readonly served: true;
        readonly storage: true;
        readonly schema: { readonly openAPIV3Schema: StructuralSchema };
        readonly subresources: { readonly status: object };
        readonly additionalPrinterColumns: readonly object[];
      },
    ];
  };
}

/** What of a kind is its own. */
interface Kind {
  readonly scope: "Cluster" | "Namespaced";
  readonly shortNames: readonly string[];
  readonly description: string;
  /** Fields that it lacks, by their place. */
  readonly lacks: ReadonlySet<string>;
  /** Keywords by the place of the node that they are added to, in place of its own. */
  readonly keywords: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

// Authorities are found by their names, attestations name each once; no other list is merged item by item.
const LISTS = {
  "spec.verify.authorities": { "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"] },
};

const kinds: Readonly<Record<PolicyKind, Kind>> = {
  WasmPolicy: {
    scope: "Cluster",
    shortNames: ["wpol"],
    description: "Who has to vouch for the Wasm modules of a cluster. All policies that match an image have to pass.",
    lacks: new Set(),
    keywords: { ...LISTS, "spec.match.namespaceSelector": { "x-kubernetes-map-type": "atomic" } },
  },
  // Whoever may write in a namespace may demand more of it: whatever takes from a demand, or reads what the operator has,
  // is no field of this kind, so that there is no rule about it that could be wrong.
  NamespacedWasmPolicy: {
    scope: "Namespaced",
    shortNames: ["nwpol"],
    description:
      "What is demanded of the Wasm modules of one namespace besides what the cluster's WasmPolicies demand. It vouches for nothing.",
    lacks: new Set([
      "spec.match.exclude",
      "spec.match.namespaceSelector",
      "spec.verify.source",
      "spec.verify.authorities[].keyless",
      "spec.verify.authorities[].key.secretRef",
    ]),
    keywords: {
      ...LISTS,
      "spec.verify.authorities[]": { description: "exactly one of key and digests" },
      "spec.verify.authorities[].key": { required: ["pem"] },
    },
  },
};

/**
 * The definition of a kind, made of the schema that files of policies are held to. Unknown fields are not refused by a
 * structural schema but pruned: it takes `fieldValidation: Strict`, kubectl's default, to be told of them.
 * @throws {TypeError} a rule or keyword is for a place that the schema does not have
 */
export function policyDefinition(kind: PolicyKind): CustomResourceDefinition {
  const { scope, shortNames } = kinds[kind];
  const [group = "", version = ""] = POLICY_API_VERSION.split("/");
  const singular = kind.toLowerCase();
  const plural = singular.replace(/y$/, "ies");
  const names = { kind, listKind: `${kind}List`, plural, singular, shortNames, categories: ["wasmount"] };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names,
      scope,
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schemaOf(kind) },
          subresources: { status: {} },
          additionalPrinterColumns: [
            { name: "Mode", type: "string", jsonPath: ".spec.mode" },
            { name: "Minimum", type: "integer", jsonPath: ".spec.verify.minimum" },
            { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
            { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
          ],
        },
      ],
    },
  };
}

function schemaOf(kind: PolicyKind): StructuralSchema {
  const { description, lacks, keywords } = kinds[kind];
  const validations = policyValidations[kind];
  const unseen = new Set([...lacks, ...Object.keys(keywords), ...Object.keys(validations)]);
  const spec = structural(policySpecSchema, "spec", path => {
    unseen.delete(path);
    if (lacks.has(path)) return null;
    const rules = validations[path];
    return { ...keywords[path], ...(rules === undefined ? {} : { "x-kubernetes-validations": rules }) };
  });
  if (spec === null || unseen.size > 0) throw new TypeError(`the schema has no ${[...unseen].join(", ")}`);
  return {
    type: "object",
    description,
    required: ["spec"],
    properties: {
      apiVersion: { type: "string", description: POLICY_API_VERSION },
      kind: { type: "string", description: kind },
      // The API server knows what this is, and refuses even a description.
      metadata: { type: "object" },
      spec,
      status: STATUS,
    },
  };
}

/**
 * A node as Kubernetes takes it: nothing is said of further properties (they are pruned), and bounds that say nothing are
 * left out. @param own what is added to a node at a place, or null for a node that is left out
 */
function structural(
  schema: PolicySchema,
  path: string,
  own: (path: string) => Readonly<Record<string, unknown>> | null,
): StructuralSchema | null {
  const added = own(path);
  if (added === null) return null;
  const { properties, items, additionalProperties, required, uniqueItems, minItems, ...plain } = schema;
  const child = (node: PolicySchema, place: string) => structural(node, place, own);
  const children = Object.entries(properties ?? {}).flatMap(([name, node]) => {
    const made = child(node, `${path}.${name}`);
    return made === null ? [] : [[name, made] as const];
  });
  const item = items === undefined ? null : child(items, `${path}[]`);
  const value = additionalProperties ? child(additionalProperties, `${path}{}`) : null;
  return {
    ...plain,
    ...(minItems ? { minItems } : {}),
    // Kubernetes has no uniqueItems, which is quadratic: a set is compared by its items' hashes.
    ...(uniqueItems ? { "x-kubernetes-list-type": "set" } : {}),
    ...(required?.length ? { required } : {}),
    ...(properties === undefined ? {} : { properties: Object.fromEntries(children) }),
    ...(item === null ? {} : { items: item }),
    ...(value === null ? {} : { additionalProperties: value }),
    ...added,
  };
}

// The patterns and bounds of metav1.Condition (k8s.io/apimachinery, pkg/apis/meta/v1/types.go).
const CONDITION_TYPE =
  "^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$";
const generation = {
  type: "integer",
  format: "int64",
  minimum: 0,
  description: "the metadata.generation that this is about",
} as const;

const STATUS: StructuralSchema = {
  type: "object",
  description: "what the webhook makes of the policy",
  properties: {
    observedGeneration: generation,
    policyHash: {
      type: "string",
      maxLength: 128,
      description: "the hash of what is demanded, keys and roots that it refers to included",
    },
    conditions: {
      type: "array",
      description: "Ready says whether the policy is in force as it is written",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
      items: {
        type: "object",
        description: "Kubernetes' own",
        required: ["type", "status", "lastTransitionTime", "reason", "message"],
        properties: {
          type: { type: "string", maxLength: 316, pattern: CONDITION_TYPE, description: "what it is about" },
          status: { type: "string", enum: ["True", "False", "Unknown"], description: "whether it holds" },
          observedGeneration: generation,
          lastTransitionTime: { type: "string", format: "date-time", description: "since when its status is this" },
          reason: {
            type: "string",
            minLength: 1,
            maxLength: 1024,
            pattern: "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            description: "why, as a code",
          },
          message: { type: "string", maxLength: 32_768, description: "why, for people" },
        },
      },
    },
  },
};
