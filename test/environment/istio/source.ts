import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findGo, goEnvironment } from "../cluster/go.ts";
import { spawnChecked } from "../spawn.ts";
import { versions } from "../versions.ts";

const folder = fileURLToPath(new URL("../modules/istio", import.meta.url));

/** A file of the pinned Istio's sources, out of Go's module cache. */
export async function istioSource(path: string): Promise<string> {
  const go = await findGo();
  const module = `istio.io/istio@v${versions.istio}`;
  const said = await spawnChecked(go.path, ["mod", "download", "-json", module], {
    cwd: folder,
    env: { ...goEnvironment(), GOFLAGS: "-mod=readonly" },
  });
  const { Dir } = JSON.parse(said.slice(said.indexOf("{"))) as { readonly Dir: string };
  return join(Dir, path);
}
