import "./src/cli/young-generation.ts";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { compiledPath, loadScript } from "./src/cli/compiled-script.ts";
import type { fetchProcess } from "./src/cli/fetch-process.ts";
import { moduleImage } from "./src/oci/module-image.ts";
import type { Plan } from "./src/plan/plan.ts";
import { planToEnvironment } from "./src/plan/transport.ts";
import { noopModule } from "./src/wasm/noop-module.ts";

// node compile.ts fetch SCRIPT: writes V8's compiled code of the fetcher beside its script. V8 compiles a function when it
// is called first, so the fetcher runs once, on a plan that needs most of it. The word "fetch" sets V8's flags as they are
// in the fetcher: with others V8 rejects the code.
const BOOTSTRAP = `
static_resources:
  listeners:
  - name: inbound # a comment
    address: {socket_address: {address: 0.0.0.0, port_value: 10000}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: inbound
          route_config: {virtual_hosts: [{name: app, domains: ["*"], routes: [{match: {prefix: /}, route: {cluster: app}}]}]}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
`;
const [, , , path = ""] = process.argv;
const folder = await mkdtemp(join(tmpdir(), "wasmount-compile-"));
const images = await Promise.all(
  (["cncf", "compat"] as const).map(layout => moduleImage({ module: noopModule, name: "noop", layout })),
);
const contents = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
for (const { manifest, blobs } of images) {
  contents.set(manifest.digest, { type: manifest.mediaType, bytes: manifest.bytes });
  for (const blob of blobs) {
    const bytes = await buffer(blob.open());
    contents.set(blob.digest, { type: "application/octet-stream", bytes });
  }
}
const registry = createServer(({ url = "" }, response) => {
  const { type, bytes } = contents.get(url.slice(url.lastIndexOf("/") + 1)) ?? { type: "text/plain", bytes: null };
  response.writeHead(bytes ? 200 : 404, { "content-type": type, "content-length": bytes?.length ?? 0 }).end(bytes);
});
try {
  registry.listen(0, "127.0.0.1");
  await once(registry, "listening");
  const source = join(folder, "envoy.yaml");
  await writeFile(source, BOOTSTRAP);
  const { port } = registry.address() as AddressInfo;
  const plan = planFor(`127.0.0.1:${port}`, join(folder, "volume"), source);
  for (const { name, value } of planToEnvironment(plan).variables) process.env[name] = value;
  const { exported, script } = loadScript<{ fetchProcess: typeof fetchProcess }>(path);
  await exported.fetchProcess();
  if (process.exitCode) throw new Error(`the fetcher ended with ${process.exitCode}`);
  await writeFile(compiledPath(path), script.createCachedData(), { mode: 0o444 });
} finally {
  registry.close();
  await rm(folder, { recursive: true });
}

function planFor(host: string, root: string, source: string): Plan {
  const filters = images.map(({ manifest }, index) => ({
    name: `filter-${index}`,
    slot: `in-last-0${index}`,
    phase: "last" as const,
    repository: `${host}/team/filter`,
    digest: manifest.digest,
    reference: `${host}/team/filter:1`,
    config: "{}",
    rootId: null,
    onFailure: "block" as const,
    runtimeFailure: "closed" as const,
    capabilities: null,
  }));
  return {
    schema: 1,
    namespace: "build",
    dataPlane: "envoy",
    envoyVersion: "1.40",
    root,
    filters,
    bootstrap: { source, target: `${root}/bootstrap${source}`, copy: null },
    limits: { moduleBytes: 1 << 20, manifestBytes: 1 << 20, deadlineMs: 60_000 },
    registries: [{ host, plainHttp: true }],
    pullSecrets: null,
    fetcher: { image: "", imagePullPolicy: "IfNotPresent", resources: {}, volumeSize: "1Mi" },
  };
}
