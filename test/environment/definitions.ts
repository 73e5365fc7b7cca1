import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { run } from "./cluster/command.ts";
import { findGo, goEnvironment } from "./cluster/go.ts";
import type { Manifest } from "./stage.ts";

const folder = fileURLToPath(new URL("./modules/definitions", import.meta.url));

/** Where each project keeps its definitions in its module, whose go.sum pins them. */
const sources = [
  { module: "github.com/cert-manager/cert-manager", path: "deploy/crds" },
  { module: "github.com/prometheus-operator/prometheus-operator", path: "example/prometheus-operator-crd" },
] as const;

const wanted = [
  "certificates.cert-manager.io",
  "issuers.cert-manager.io",
  "prometheusrules.monitoring.coreos.com",
  "servicemonitors.monitoring.coreos.com",
];

/**
 * The definitions of other projects' kinds that the chart has objects of, as these projects publish them: from their Go
 * modules, kept in Go's own cache.
 * @throws ClusterError GoMissing, GoTooOld, CommandFailed
 */
export async function foreignDefinitions(): Promise<readonly Manifest[]> {
  const go = await findGo();
  const found: Manifest[] = [];
  for (const { module, path } of sources) {
    const answer = await run(go.path, ["mod", "download", "-json", module], { cwd: folder, env: goEnvironment() });
    const { Dir } = JSON.parse(answer) as { readonly Dir: string };
    for (const name of (await readdir(`${Dir}/${path}`)).filter(name => name.endsWith(".yaml"))) {
      found.push(parse(await readFile(`${Dir}/${path}/${name}`, "utf8")));
    }
  }
  const definitions = found.filter(definition => wanted.includes(definition?.metadata?.name));
  if (definitions.length !== wanted.length)
    throw new Error(`${wanted.length - definitions.length} definitions are missing`);
  return definitions;
}
