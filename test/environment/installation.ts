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

/** The EnvoyFilters of slots, with the chart's defaults. */
export const istioFile = new URL("../../manifests/istio.yaml", import.meta.url);

const ISTIO_HEAD = `# What attaches filters to Istio's proxies, with the chart's defaults, for \`kubectl apply --server-side -f\`. Written by
# \`npm run manifests\` from charts/wasmount: change that. The webhook wants to be told, by istio.enabled in its
# configuration: docs/istio.md.
`;

/** The text of manifests/istio.yaml. */
export async function renderedIstio(helm: Helm): Promise<string> {
  return ISTIO_HEAD + withoutHelm(await helm.run("template", "wasmount", chartFolder, ...ISTIO));
}

const ISTIO = [
  ...["--namespace", "wasmount-system", "--set", "istio.enabled=true"],
  ...["--show-only", "templates/istio-slots.yaml", "--show-only", "templates/rbac/istio.yaml"],
];

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

/** What manifests/istio.yaml has of some kinds. */
export async function shippedForIstio(...kinds: readonly string[]): Promise<Manifest[]> {
  return ofKinds(await readFile(istioFile, "utf8"), kinds);
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
  await writeFile(istioFile, await renderedIstio(helm));
}
