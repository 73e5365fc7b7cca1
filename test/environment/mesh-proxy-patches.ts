const text = { type: "string" } as const;
const labels = { type: "object", additionalProperties: text } as const;

/** A change of one kind of filters, as far as wasmount asks for one. */
function modification(operations: readonly string[]) {
  return {
    type: "object",
    required: ["operation"],
    properties: {
      operation: { type: "string", enum: operations },
      match: { type: "object", properties: { name: text, origin: text, listenerName: text } },
      // Envoy's configuration, as a text.
      value: text,
    },
  };
}

/**
 * MeshProxyPatches of Kuma, to be defined in a cluster without Kuma: a definition of our own with the members that wasmount
 * writes and no others, so that an API server refuses a misspelt one. Kuma's has more, and no Go module brings it.
 */
export const meshProxyPatches = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "meshproxypatches.kuma.io" },
  spec: {
    group: "kuma.io",
    scope: "Namespaced",
    names: {
      kind: "MeshProxyPatch",
      listKind: "MeshProxyPatchList",
      plural: "meshproxypatches",
      singular: "meshproxypatch",
    },
    versions: [
      {
        name: "v1alpha1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["targetRef", "default"],
                properties: {
                  targetRef: {
                    type: "object",
                    required: ["kind"],
                    properties: { kind: { type: "string", enum: ["Mesh", "Dataplane"] }, labels },
                  },
                  default: {
                    type: "object",
                    properties: {
                      appendModifications: {
                        type: "array",
                        items: {
                          type: "object",
                          properties: {
                            httpFilter: modification(["AddFirst", "AddBefore"]),
                            networkFilter: modification(["AddBefore"]),
                          },
                        },
                      },
                    },
                  },
                },
              },
            },
          },
        },
      },
    ],
  },
} as const;
