import assert from "node:assert/strict";
import fc from "fast-check";
import { readRepositoryPattern } from "../../src/oci/repository-pattern.ts";
import { type CustomResourceDefinition, policyDefinition, type StructuralSchema } from "../../src/trust/crd.ts";
import type { PolicyKind } from "../../src/trust/policy.ts";
import { isRepositoryPrefix } from "../../src/trust/policy-rules.ts";
import { policySpecSchema } from "../../src/trust/policy-schema.ts";
import { policyValidations, type Validation } from "../../src/trust/policy-validations.ts";
import { policyRefusals } from "./policy-documents.ts";

const KINDS: readonly PolicyKind[] = ["WasmPolicy", "NamespacedWasmPolicy"];

/** Keywords that Kubernetes refuses in structural schemas, or everywhere (apiextensions-apiserver, pkg/apis/apiextensions). */
const REFUSED = [
  "const",
  "if",
  "then",
  "else",
  "$ref",
  "uniqueItems",
  "patternProperties",
  "definitions",
  "oneOf",
  "anyOf",
];

function schemaOf(definition: CustomResourceDefinition): StructuralSchema {
  return definition.spec.versions[0].schema.openAPIV3Schema;
}

/** All nodes of a schema by their places. */
function nodes(schema: StructuralSchema, path: string): (readonly [string, StructuralSchema])[] {
  const { properties = {}, items, additionalProperties } = schema;
  return [
    [path, schema],
    ...Object.entries(properties).flatMap(([name, node]) => nodes(node, path === "" ? name : `${path}.${name}`)),
    ...(items ? nodes(items, `${path}[]`) : []),
    ...(additionalProperties ? nodes(additionalProperties, `${path}{}`) : []),
  ];
}

for (const kind of KINDS) {
  describe(`the definition of ${kind}`, () => {
    const definition = policyDefinition(kind);
    const all = nodes(schemaOf(definition), "");
    const places = all.map(([path]) => path);

    it("is structural: each node has a type, and nothing that Kubernetes refuses", () => {
      for (const [path, node] of all) {
        assert.ok(["object", "array", "string", "integer", "boolean"].includes(node.type), path);
        assert.equal(node.type === "array", node.items !== undefined, path);
        assert.ok(!(node.properties && node.additionalProperties !== undefined), path);
        for (const keyword of REFUSED) assert.ok(!(keyword in node), `${path} has ${keyword}`);
        for (const name of node.required ?? []) assert.ok(node.properties?.[name], `${path} requires ${name}`);
      }
    });

    it("says of each field what it is, and bounds what a policy may hold", () => {
      for (const [path, node] of all.filter(([path]) => path !== "metadata")) {
        assert.ok(node.description, path);
        if (!path.startsWith("spec")) continue;
        if (node.type === "array") assert.ok(node["maxItems"], path);
        if (node.type === "string") assert.ok(node["maxLength"] ?? node["enum"], path);
        if (node.additionalProperties) assert.ok(node["maxProperties"], path);
      }
    });

    it("has every rule at its place, about fields that there are", () => {
      const found = all.filter(([, node]) => "x-kubernetes-validations" in node);
      assert.deepEqual(Object.fromEntries(found.map(([path, node]) => [path, node["x-kubernetes-validations"]])), {
        ...policyValidations[kind],
      });
      for (const [path, node] of found) {
        for (const { fieldPath, message } of node["x-kubernetes-validations"] as readonly Validation[]) {
          if (fieldPath) assert.ok(node.properties?.[fieldPath.slice(1)], `${path}${fieldPath}`);
          // A line break would be refused, and so would more than 2048 characters.
          assert.match(message, /^[^\n]{1,200}$/);
        }
      }
    });

    it("has a case of a refusal for each rule", () => {
      for (const [place, validations] of Object.entries(policyValidations[kind])) {
        for (const { message, fieldPath = "" } of validations) {
          const answer = `${place.replaceAll("[]", "[0]")}${fieldPath}: Invalid value: ${message}`;
          assert.ok(
            policyRefusals.some(([, , , says]) => says?.test(answer)),
            answer,
          );
        }
      }
    });

    it("finds authorities by their names", () => {
      const authorities = all.find(([path]) => path === "spec.verify.authorities")?.[1];
      assert.equal(authorities?.["x-kubernetes-list-type"], "map");
      assert.deepEqual(authorities?.["x-kubernetes-list-map-keys"], ["name"]);
    });

    it("has a status with conditions, and columns for it", () => {
      const [version] = definition.spec.versions;
      assert.deepEqual(version.subresources, { status: {} });
      assert.deepEqual(
        version.additionalPrinterColumns.map(column => (column as { readonly name: string }).name),
        ["Mode", "Minimum", "Ready", "Age"],
      );
      for (const path of ["observedGeneration", "policyHash", "conditions[].type", "conditions[].lastTransitionTime"]) {
        assert.ok(places.includes(`status.${path}`), path);
      }
      assert.equal("conversion" in definition.spec, false);
    });

    it("is made anew each time", () => {
      assert.deepEqual(policyDefinition(kind), definition);
    });
  });
}

describe("rules in CEL about names of repositories", () => {
  const piece = fc.constantFrom(
    ...["a.example", "localhost", "docker.io", "index.docker.io", "library", "a", "B", "a__b", "a-.b", "*", "**", "a*"],
    ...[":443", ":5000", ":0", ":1", "[::1]", "10.0.0.1", "/", "/", "/", "//", "", "@sha256:a"],
  );
  const names = fc.array(piece, { minLength: 1, maxLength: 8 }).map(pieces => pieces.join(""));
  const likely = fc
    .tuple(piece, fc.array(piece, { minLength: 1, maxLength: 3 }))
    .map(([host, path]) => [host, ...path].join("/"));
  const readers: Readonly<Record<string, (name: string) => boolean>> = {
    "spec.match.repositories[]": name => readRepositoryPattern(name) !== null,
    "spec.match.exclude[]": name => readRepositoryPattern(name) !== null,
    "spec.verify.source.repository": name => !name.includes("*") && readRepositoryPattern(name) !== null,
    "spec.verify.authorities[].remapPrefix.from": name => isRepositoryPrefix(name),
    "spec.verify.authorities[].remapPrefix.to": name => isRepositoryPrefix(name),
  };

  for (const [place, reader] of Object.entries(readers)) {
    it(`agree with the reader: ${place}`, () => {
      const holds = (policyValidations.WasmPolicy[place] ?? []).map(({ rule }) => predicate(rule));
      const accepts = (name: string) => holds.every(hold => hold(name));
      let accepted = 0;
      fc.assert(
        fc.property(fc.oneof(names, likely), name => {
          const read = reader(name);
          assert.equal(accepts(name), read, name);
          if (read) accepted += 1;
        }),
        { numRuns: 3000 },
      );
      assert.ok(accepted > 20, `${accepted} accepted`);
    });
  }

  /** The little of CEL that these rules are written in is JavaScript but for matches(); RE2's syntax is JavaScript's here. */
  function predicate(rule: string): (self: string) => boolean {
    const script = rule.replaceAll(
      /self\.matches\(r'([^']*)'\)/g,
      (_, pattern) => `RegExp(${JSON.stringify(pattern)}).test(self)`,
    );
    return new Function("self", `return ${script};`) as (self: string) => boolean;
  }
});

describe("the definitions of policies", () => {
  const [cluster, namespaced] = KINDS.map(kind => policyDefinition(kind));
  const placesOf = (definition: CustomResourceDefinition | undefined) =>
    definition ? nodes(schemaOf(definition), "").map(([path]) => path) : [];

  it("have names of their own", () => {
    assert.equal(cluster?.metadata.name, "wasmpolicies.wasmount.dev");
    assert.equal(cluster?.spec.scope, "Cluster");
    assert.equal(namespaced?.metadata.name, "namespacedwasmpolicies.wasmount.dev");
    assert.equal(namespaced?.spec.scope, "Namespaced");
    const names = [cluster, namespaced].flatMap(one => [one?.spec.names.plural, ...(one?.spec.names.shortNames ?? [])]);
    assert.equal(new Set(names).size, 4);
  });

  it("have all fields of a file's policy for the cluster", () => {
    const expected = nodes(policySpecSchema as unknown as StructuralSchema, "spec").map(([path]) => path);
    assert.deepEqual(
      placesOf(cluster)
        .filter(path => path.startsWith("spec"))
        .sort(),
      expected.sort(),
    );
  });

  it("let a namespace only demand more", () => {
    const kept = placesOf(namespaced);
    const lacking = placesOf(cluster).filter(path => !kept.includes(path));
    const roots = lacking.filter(path => !lacking.some(other => path !== other && path.startsWith(other)));
    assert.deepEqual(roots.sort(), [
      "spec.match.exclude",
      "spec.match.namespaceSelector",
      "spec.verify.authorities[].key.secretRef",
      "spec.verify.authorities[].keyless",
      "spec.verify.source",
    ]);
    assert.deepEqual(
      kept.filter(path => !placesOf(cluster).includes(path)),
      [],
    );
  });
});
