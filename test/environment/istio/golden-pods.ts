import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { binaryOf } from "../cluster/binaries.ts";
import type { Progress } from "../cluster/progress.ts";
import { spawnChecked } from "../spawn.ts";
import type { Manifest } from "../stage.ts";
import { istioManifests, NO_CLUSTER } from "./istiod.ts";

/** Where the pods that Istio's own injector made are kept, for tests that run without it. */
export const goldenPodsFile = new URL("../../fixtures/istio/pods.json", import.meta.url);

/** How Istio is asked for a proxy. */
const kinds: Readonly<
  Record<string, { readonly annotations?: object; readonly labels?: object; readonly cni?: true }>
> = {
  native: { annotations: { "sidecar.istio.io/nativeSidecar": "true" } },
  classic: { annotations: { "sidecar.istio.io/nativeSidecar": "false" } },
  "native under CNI": { annotations: { "sidecar.istio.io/nativeSidecar": "true" }, cni: true },
  gateway: { annotations: { "inject.istio.io/templates": "gateway" } },
};

/** A pod of each kind as `istioctl kube-inject` writes it, with a filter asked for. */
export async function goldenPods(progress: Progress): Promise<Readonly<Record<string, Manifest>>> {
  const istioctl = await binaryOf("istioctl", progress);
  const folder = await mkdtemp(join(tmpdir(), "wasmount-istio-golden-"));
  try {
    const pods: Record<string, Manifest> = {};
    for (const [kind, { annotations = {}, cni = false }] of Object.entries(kinds)) {
      const settings = await injectorSettings(folder, cni, progress);
      const input = join(folder, "pod.yaml");
      await writeFile(input, stringify(pod(kind, annotations)));
      const text = await spawnChecked(istioctl, ["kube-inject", "-f", input, ...settings], { env: NO_CLUSTER });
      pods[kind] = parseAllDocuments(text)[0]?.toJS();
    }
    return pods;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function pod(kind: string, annotations: object): Manifest {
  const direction = kind === "gateway" ? { "wasmount.dev/direction.headers": "gateway" } : {};
  const containers =
    kind === "gateway"
      ? [{ name: "istio-proxy", image: "auto" }]
      : [{ name: "app", image: "registry.example/shop:1", ports: [{ containerPort: 8080 }] }];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "shop",
      namespace: "shop",
      labels: { app: "shop" },
      annotations: {
        ...annotations,
        ...direction,
        "wasmount.dev/module.headers": `registry.example/headers@sha256:${"a".repeat(64)}`,
      },
    },
    spec: { containers },
  };
}

/** What istiod's ConfigMaps say, as files. */
async function injectorSettings(folder: string, cni: boolean, progress: Progress): Promise<string[]> {
  const manifests = await istioManifests(progress, { cni });
  const dataOf = (name: string): Record<string, string> =>
    manifests.find(({ kind, metadata }) => kind === "ConfigMap" && metadata.name === name)?.data;
  const injector = dataOf("istio-sidecar-injector");
  const files = {
    injectConfigFile: injector["config"],
    valuesFile: injector["values"],
    meshConfigFile: dataOf("istio")["mesh"],
  };
  const flags: string[] = [];
  for (const [flag, text = ""] of Object.entries(files)) {
    const path = join(folder, flag);
    await writeFile(path, text);
    flags.push(`--${flag}`, path);
  }
  return flags;
}

if (import.meta.main) {
  await writeFile(goldenPodsFile, `${JSON.stringify(await goldenPods(console.log), null, 2)}\n`);
}
