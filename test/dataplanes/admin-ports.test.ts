import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { adminPortOf } from "../../src/dataplanes/admin-ports.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { higressPod } from "./higress-pods.ts";

function realPods(dataPlane: string): readonly Pod[] {
  const file = new URL(`../fixtures/${dataPlane}/pods.json`, import.meta.url);
  const found = Object.values(JSON.parse(readFileSync(file, "utf8")) as Readonly<Record<string, Pod>>);
  assert.ok(found.length > 0);
  return found;
}

describe("the port of Envoy's administration interface", () => {
  it("is what Kuma's injector says on the pod", () => {
    for (const pod of realPods("kuma")) {
      assert.equal(adminPortOf("kuma", pod), 9901);
      const annotated = (value?: string): Pod => ({
        ...pod,
        metadata: { ...pod.metadata, annotations: value === undefined ? {} : { "kuma.io/envoy-admin-port": value } },
      });
      assert.equal(adminPortOf("kuma", annotated("9902")), 9902);
      for (const value of [undefined, "", "0", "65536", "x"]) assert.equal(adminPortOf("kuma", annotated(value)), null);
    }
  });

  it("is what Envoy Gateway writes into every bootstrap", () => {
    for (const pod of realPods("envoy-gateway")) {
      const args = pod.spec.containers.find(({ name }) => name === "envoy")?.args ?? [];
      const { admin } = parse(args[args.indexOf("--config-yaml") + 1] ?? "");
      assert.equal(adminPortOf("envoy-gateway", pod), admin.address.socket_address.port_value);
    }
  });

  it("is that of Istio's agent at Higress's gateway", () => {
    assert.equal(adminPortOf("higress", higressPod()), 15_000);
    const env = [{ name: "PROXY_CONFIG", value: '{"proxyAdminPort":15001}' }];
    assert.equal(adminPortOf("higress", higressPod({ env })), 15_001);
  });

  it("is of no use where modules come without a version", () => {
    for (const dataPlane of ["consul", "gloo"] as const) {
      for (const pod of realPods(dataPlane)) assert.equal(adminPortOf(dataPlane, pod), null);
    }
  });
});
