import assert from "node:assert/strict";
import fc from "fast-check";
import { fetcherResources } from "../../src/admission/fetcher-resources.ts";
import { isRefusal } from "../../src/decision/refusal.ts";
import { type ContainerLimit, readLimitRange } from "../../src/kube/limit-range.ts";
import { milliUnits } from "../../src/kube/quantity.ts";

const operator = {
  resources: { requests: { cpu: "20m", memory: "64Mi" }, limits: { cpu: "1", memory: "256Mi" } },
  maxResources: { cpu: "2", memory: "1Gi" },
};

type Item = Partial<Record<"min" | "max" | "maxLimitRequestRatio", Record<string, string>>> & { type?: string };

function limitRange(...items: Item[]): readonly ContainerLimit[] {
  const limits = items.map(item => ({ type: "Container", ...item }));
  return readLimitRange({ metadata: { name: "bounds" }, spec: { limits } });
}

function fitted(wishes: Parameters<typeof fetcherResources>[1], ...items: Item[]) {
  const result = fetcherResources(operator, wishes, limitRange(...items));
  return isRefusal(result) ? `${result.reason}: ${result.detail}` : result;
}

describe("the fetcher's resources", () => {
  it("are the operator's", () => assert.deepEqual(fitted(null), operator.resources));

  it("are what the author asks for, inside the operator's bounds", () => {
    assert.deepEqual(fitted({ requests: { cpu: "100m" }, limits: { memory: "1Gi" } }), {
      requests: { cpu: "100m", memory: "64Mi" },
      limits: { cpu: "1", memory: "1Gi" },
    });
    assert.equal(
      fitted({ limits: { memory: "1025Mi" } }),
      "ResourcesExceeded: annotation wasmount.dev/resources: limits 1025Mi of memory, the operator allows at most 1Gi",
    );
    assert.match(String(fitted({ requests: { "ephemeral-storage": "1" } })), /^ResourcesExceeded: .* allows none/);
  });

  it("move the operator's own amount where the author names the other one", () => {
    assert.deepEqual(fitted({ limits: { cpu: "10m" } }), {
      requests: { cpu: "10m", memory: "64Mi" },
      limits: { cpu: "10m", memory: "256Mi" },
    });
    assert.deepEqual(fitted({ requests: { cpu: "1500m" } }), {
      requests: { cpu: "1500m", memory: "64Mi" },
      limits: { cpu: "1500m", memory: "256Mi" },
    });
    assert.match(
      String(fitted({ requests: { cpu: "2" }, limits: { cpu: "1" } })),
      /^BadValue: .*2 of cpu, .* limit 1$/,
    );
  });

  it("are moved into a LimitRange", () => {
    assert.deepEqual(fitted(null, { max: { cpu: "500m", memory: "128Mi" }, min: { cpu: "50m" } }), {
      requests: { cpu: "50m", memory: "64Mi" },
      limits: { cpu: "500m", memory: "128Mi" },
    });
  });

  it("keep within the ratio of limit to request", () => {
    assert.deepEqual(fitted(null, { maxLimitRequestRatio: { cpu: "3" } }), {
      requests: { cpu: "334m", memory: "64Mi" },
      limits: { cpu: "1", memory: "256Mi" },
    });
  });

  it("fit below what all of a pod may have", () => {
    assert.deepEqual(fitted(null, { type: "Pod", max: { cpu: "100m" }, min: { cpu: "4" } }), {
      requests: { cpu: "20m", memory: "64Mi" },
      limits: { cpu: "100m", memory: "256Mi" },
    });
  });

  it("are refused, with both numbers, where LimitRanges contradict each other", () => {
    assert.equal(
      fitted(null, { max: { memory: "128Mi" } }, { min: { memory: "1Gi" } }),
      "LimitRangeConflict: LimitRange bounds allows at most 128Mi of memory, others at least 1Gi",
    );
  });

  it("are refused where too little memory is left to run", () => {
    assert.equal(
      fitted(null, { max: { memory: "32Mi" } }),
      "LimitRangeConflict: a LimitRange allows at most 32Mi of memory, the fetcher needs 64Mi",
    );
  });

  it("lie within every limit, or are refused", () => {
    const amount = fc.integer({ min: 1, max: 4000 }).map(milli => `${milli}m`);
    const item = fc.record(
      {
        min: amount.map(cpu => ({ cpu })),
        max: amount.map(cpu => ({ cpu })),
        maxLimitRequestRatio: fc.integer({ min: 1, max: 9 }).map(ratio => ({ cpu: String(ratio) })),
      },
      { requiredKeys: [] },
    );
    const inside = (item: Item, request: bigint, limit: bigint) =>
      request <= limit &&
      (!item.min?.["cpu"] || request >= milli(item.min["cpu"])) &&
      (!item.max?.["cpu"] || limit <= milli(item.max["cpu"])) &&
      (!item.maxLimitRequestRatio?.["cpu"] || limit * 1000n <= request * milli(item.maxLimitRequestRatio["cpu"]));
    fc.assert(
      fc.property(fc.array(item, { maxLength: 3 }), items => {
        const result = fetcherResources(operator, null, limitRange(...items));
        if (isRefusal(result)) {
          // Only two items of which one asks for more than the other allows leave no room.
          const least = items.flatMap(({ min }) => (min ? [milli(min.cpu)] : []));
          const most = items.flatMap(({ max }) => (max ? [milli(max.cpu)] : []));
          return least.some(min => most.some(max => min > max));
        }
        const [request, limit] = [milli(result.requests?.["cpu"] ?? ""), milli(result.limits?.["cpu"] ?? "")];
        return items.every(item => inside(item, request, limit));
      }),
    );
  });
});

function milli(quantity: string): bigint {
  return milliUnits(quantity) ?? assert.fail(`${quantity} is no quantity`);
}
