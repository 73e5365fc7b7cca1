import type { Plan, PlanFilter } from "../../src/plan/plan.ts";

/** A plan with one filter, some of whose members a test chooses. */
export function samplePlan(filter: Partial<PlanFilter> = {}): Plan {
  return {
    schema: 1,
    namespace: "shop",
    dataPlane: "envoy",
    envoyVersion: "1.40",
    root: "/wasmount",
    filters: [
      {
        name: "headers",
        slot: "in-last-01",
        phase: "last",
        repository: "registry.example/filters/headers",
        digest: `sha256:${"a".repeat(64)}`,
        reference: "registry.example/filters/headers:1.0",
        config: "x-filtered-by: wasmount",
        rootId: null,
        onFailure: "block",
        runtimeFailure: "closed",
        capabilities: null,
        ...filter,
      },
    ],
    bootstrap: null,
    limits: { moduleBytes: 1 << 26, manifestBytes: 1 << 22, deadlineMs: 120_000 },
    registries: [],
    pullSecrets: null,
    fetcher: {
      image: "registry.example/wasmount:1",
      imagePullPolicy: "IfNotPresent",
      resources: { requests: { cpu: "10m" }, limits: { memory: "256Mi" } },
      volumeSize: "256Mi",
    },
  };
}
