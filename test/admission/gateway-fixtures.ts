import { readFileSync } from "node:fs";
import type { NamedDataPlane } from "../../src/config/named-data-plane.ts";
import { dataPlanesOf } from "../../src/dataplanes/data-planes.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { higressPod } from "../dataplanes/higress-pods.ts";
import { type AdmissionFixture, configOf } from "./fixtures.ts";

/** A gateway's pod as its platform makes it, and what its proxy's container is called. */
export interface GatewayFixture extends AdmissionFixture {
  readonly proxy: string;
}

function made(platform: string): Readonly<Record<string, Pod>> {
  return JSON.parse(readFileSync(new URL(`../fixtures/${platform}/pods.json`, import.meta.url), "utf8"));
}

/** Pods of gateways: what is under test/fixtures says how it was made (test/fixtures/README.md). */
export function gatewayFixtures(): readonly GatewayFixture[] {
  const { controllerNamespace, merged, enterprise } = { ...made("envoy-gateway"), ...made("gloo") };
  if (!controllerNamespace || !merged || !enterprise) throw new Error("test/fixtures lacks pods of gateways");
  return [
    fixture("envoy-gateway", "", controllerNamespace, "envoy"),
    fixture("envoy-gateway", "merged", merged, "envoy"),
    fixture("gloo", "", enterprise, "gateway-proxy"),
    fixture("higress", "", higressPod(), "higress-gateway"),
  ];
}

function fixture(dataPlane: NamedDataPlane, kind: string, pod: Pod, proxy: string): GatewayFixture {
  const operator = { dataPlanes: [dataPlane] };
  return {
    name: [dataPlane, kind].filter(part => part !== "").join("-"),
    pod,
    namespace: { name: pod.metadata.namespace ?? "default", labels: {}, annotations: {} },
    operator,
    config: configOf(operator),
    dataPlanes: dataPlanesOf({ istio: null, named: [dataPlane] }),
    proxy,
  };
}
