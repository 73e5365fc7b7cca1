import { parseConfig } from "../../src/config/load.ts";
import type { NamedDataPlane } from "../../src/config/named-data-plane.ts";
import { dataPlanesOf } from "../../src/dataplanes/data-planes.ts";
import type { Pod } from "../../src/kube/pod.ts";
import { consulPods } from "../dataplanes/consul-pods.ts";
import { kumaPods } from "../dataplanes/kuma-pods.ts";
import { type AdmissionFixture, configOf, NEEDED } from "./fixtures.ts";

/** A mesh's pod, and what its proxy's container is called. */
export interface MeshFixture extends AdmissionFixture {
  readonly proxy: string;
}

/** Pods that injectors of Kuma and of Consul made. */
export function meshFixtures(): readonly MeshFixture[] {
  const of = (dataPlane: NamedDataPlane, proxy: string, pods: Readonly<Record<string, Pod>>) =>
    Object.entries(pods).map(([kind, pod]) => fixture(dataPlane, kind, pod, proxy));
  const { "several services": _, ...single } = consulPods;
  return [...of("kuma", "kuma-sidecar", kumaPods), ...of("consul", "consul-dataplane", single)];
}

function fixture(dataPlane: NamedDataPlane, kind: string, pod: Pod, proxy: string): MeshFixture {
  const operator = { dataPlanes: [dataPlane] };
  const { kuma, consul } = parseConfig(JSON.stringify({ ...NEEDED, ...operator }), "an operator's mesh");
  return {
    name: `${dataPlane} ${kind}`.replaceAll(" ", "-"),
    pod,
    namespace: { name: "shop", labels: { "wasmount.dev/inject": "true" }, annotations: {} },
    operator,
    config: configOf(operator),
    dataPlanes: dataPlanesOf({
      istio: null,
      named: [dataPlane],
      kuma: { ...kuma, slotState: () => "Installed" },
      consul: { ...consul, serviceState: () => "Attached" },
    }),
    proxy,
  };
}
