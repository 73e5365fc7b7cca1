import { readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { parse } from "yaml";
import { chartFolder, Helm, manifestsOf } from "./helm.ts";
import type { Manifest } from "./stage.ts";

/** The manifests that ship: the chart with its defaults. */
export const installationFile = new URL("../../manifests/install.yaml", import.meta.url);

const HEAD = `# wasmount with the chart's defaults, for \`kubectl apply --server-side -f\`. Written by \`npm run manifests\` from
# charts/wasmount: change that. How to go on from here: docs/install.md.
apiVersion: v1
kind: Namespace
metadata:
  name: wasmount-system
  labels:
    # Nothing of wasmount's needs more.
    pod-security.kubernetes.io/enforce: restricted
`;

/** What a mesh needs beside the installation: its file in manifests, its templates, and how the chart is told of it. */
const meshes = {
  istio: {
    what: "What attaches filters to Istio's proxies",
    told: "istio.enabled in its\n# configuration: docs/istio.md.",
    set: "istio.enabled=true",
    templates: ["istio-slots", "rbac/istio"],
  },
  kuma: {
    what: "What attaches filters to Kuma's proxies",
    told: "dataPlanes: [kuma] in\n# its configuration: docs/data-planes.md.",
    set: "dataPlanes={kuma}",
    templates: ["kuma-slots", "rbac/kuma"],
  },
  consul: {
    what: "What the webhook may do to know of Consul's services",
    told: "dataPlanes:\n# [consul] in its configuration: docs/data-planes.md.",
    set: "dataPlanes={consul}",
    templates: ["rbac/consul"],
  },
} as const;

export type ShippedMesh = keyof typeof meshes;
export const shippedMeshes = Object.keys(meshes) as readonly ShippedMesh[];

/** A mesh's file in manifests. */
export function meshFile(mesh: ShippedMesh): URL {
  return new URL(`../../manifests/${mesh}.yaml`, import.meta.url);
}

/** Its text. */
export async function renderedMesh(helm: Helm, mesh: ShippedMesh): Promise<string> {
  const { what, told, set, templates } = meshes[mesh];
  const shown = templates.flatMap(template => ["--show-only", `templates/${template}.yaml`]);
  const flags = ["--namespace", "wasmount-system", "--set", set, ...shown];
  const head = `# ${what}, with the chart's defaults, for \`kubectl apply --server-side -f\`. Written by
# \`npm run manifests\` from charts/wasmount: change that. The webhook wants to be told, by ${told}
`;
  return head + withoutHelm(await helm.run("template", "wasmount", chartFolder, ...flags));
}

/** The text of manifests/install.yaml, rendered by the real Helm. */
export async function renderedInstallation(helm: Helm): Promise<string> {
  const text = await helm.run(
    "template",
    "wasmount",
    chartFolder,
    "--namespace",
    "wasmount-system",
    "--no-hooks",
    "--skip-tests",
  );
  return HEAD + withoutHelm(text);
}

/** It is not Helm that manages what kubectl applies. */
function withoutHelm(text: string): string {
  return text
    .replaceAll(/^ +app\.kubernetes\.io\/managed-by: Helm\n/gm, "")
    .trimEnd()
    .concat("\n");
}

/** What ships of some kinds, each its own copy. */
export async function shipped(...kinds: readonly string[]): Promise<Manifest[]> {
  return ofKinds(await readFile(installationFile, "utf8"), kinds);
}

/** What manifests have for a mesh, of some kinds. */
export async function shippedFor(mesh: ShippedMesh, ...kinds: readonly string[]): Promise<Manifest[]> {
  return ofKinds(await readFile(meshFile(mesh), "utf8"), kinds);
}

/** The same, for what is needed before the first test is defined. */
export function shippedNow(...kinds: readonly string[]): Manifest[] {
  return ofKinds(readFileSync(installationFile, "utf8"), kinds);
}

function ofKinds(text: string, kinds: readonly string[]): Manifest[] {
  return manifestsOf(text).filter(({ kind }) => kinds.includes(kind));
}

/** The configuration that ships, as an object. */
export async function shippedConfiguration(): Promise<Manifest> {
  const [configuration] = await shipped("ConfigMap");
  return parse(configuration.data["wasmount.yaml"]);
}

if (import.meta.main) {
  const helm = await Helm.open(console.log);
  await writeFile(installationFile, await renderedInstallation(helm));
  for (const mesh of shippedMeshes) await writeFile(meshFile(mesh), await renderedMesh(helm, mesh));
}
