import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";
import { run } from "./cluster/command.ts";
import { findGo, goEnvironment } from "./cluster/go.ts";
import { meshProxyPatches } from "./mesh-proxy-patches.ts";
import type { Manifest } from "./stage.ts";

const folderOf = (name: string) => fileURLToPath(new URL(`./modules/${name}`, import.meta.url));

/** Where each project keeps its definitions in its module, whose go.sum pins them. */
const sources = [
  { folder: "definitions", module: "github.com/cert-manager/cert-manager", path: "deploy/crds" },
  {
    folder: "definitions",
    module: "github.com/prometheus-operator/prometheus-operator",
    path: "example/prometheus-operator-crd",
  },
  { folder: "istio", module: "istio.io/api", path: "kubernetes" },
] as const;

const wanted = [
  "certificates.cert-manager.io",
  "envoyfilters.networking.istio.io",
  "issuers.cert-manager.io",
  "meshproxypatches.kuma.io",
  "prometheusrules.monitoring.coreos.com",
  "servicemonitors.monitoring.coreos.com",
];

/**
 * The definitions of other projects' kinds that the chart has objects of, as these projects publish them: from their Go
 * modules, kept in Go's own cache; Kuma's is not to be had by Go, and is ours.
 * @throws ClusterError GoMissing, GoTooOld, CommandFailed
 */
export async function foreignDefinitions(): Promise<readonly Manifest[]> {
  const go = await findGo();
  const found: Manifest[] = [];
  for (const { folder, module, path } of sources) {
    const answer = await run(go.path, ["mod", "download", "-json", module], {
      cwd: folderOf(folder),
      env: goEnvironment(),
    });
    const { Dir } = JSON.parse(answer) as { readonly Dir: string };
    for (const name of (await readdir(`${Dir}/${path}`)).filter(name => name.endsWith(".yaml"))) {
      const documents = parseAllDocuments(await readFile(`${Dir}/${path}/${name}`, "utf8"));
      found.push(...documents.map(document => document.toJS() as Manifest));
    }
  }
  found.push(meshProxyPatches);
  const definitions = found.filter(definition => wanted.includes(definition?.metadata?.name));
  if (definitions.length !== wanted.length)
    throw new Error(`${wanted.length - definitions.length} definitions are missing`);
  return definitions;
}
