import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { compiledPath, loadScript } from "./src/cli/compiled-script.ts";
import type { fetchProcess } from "./src/cli/fetch-process.ts";
import { digestOf } from "./src/oci/digest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "./src/oci/media-types.ts";
import { moduleImage } from "./src/oci/module-image.ts";
import type { Plan } from "./src/plan/plan.ts";
import { planToEnvironment } from "./src/plan/transport.ts";
import type { Rule } from "./src/trust/rule.ts";
import { readImageSigner, signedBundle } from "./src/trust/signing.ts";
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
const ABSENT = { type: "text/plain", bytes: null };
const folder = await mkdtemp(join(tmpdir(), "wasmount-compile-"));
const images = await Promise.all(
  (["cncf", "compat"] as const).map(layout => moduleImage({ module: noopModule, name: "noop", layout })),
);
let host = "";
const contents = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
for (const { manifest, blobs } of images) {
  contents.set(manifest.digest, { type: manifest.mediaType, bytes: manifest.bytes });
  for (const blob of blobs) {
    const bytes = await buffer(blob.open());
    contents.set(blob.digest, { type: "application/octet-stream", bytes });
  }
}
// Half of what pods wait for is to be signed: a rule, and the bundles that satisfy it.
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const signer = readImageSigner(privateKey.export({ type: "pkcs8", format: "pem" }).toString(), null);
const registry = createServer(({ url = "" }, response) => {
  const referrers = /\/referrers\/(sha256:[0-9a-f]{64})/.exec(url)?.[1];
  const last = url.slice(url.lastIndexOf("/") + 1);
  const { type, bytes } = (referrers === undefined ? contents.get(last) : signatureOf(referrers)) ?? ABSENT;
  response.writeHead(bytes ? 200 : 404, { "content-type": type, "content-length": bytes?.length ?? 0 }).end(bytes);
});
try {
  registry.listen(0, "127.0.0.1");
  await once(registry, "listening");
  const source = join(folder, "envoy.yaml");
  await writeFile(source, BOOTSTRAP);
  const { port } = registry.address() as AddressInfo;
  host = `127.0.0.1:${port}`;
  const plan = planFor(host, join(folder, "volume"), source);
  for (const { name, value } of planToEnvironment(plan).variables) process.env[name] = value;
  const { exported, scripts } = loadScript<{ fetchProcess: typeof fetchProcess }>(path);
  await exported.fetchProcess();
  if (process.exitCode) throw new Error(`the fetcher ended with ${process.exitCode}`);
  for (const [file, script] of scripts) {
    await writeFile(compiledPath(file), script.createCachedData(), { mode: 0o444 });
  }
} finally {
  registry.close();
  await rm(folder, { recursive: true });
}

/** A list of the one signature that an image has, which is there from then on. */
function signatureOf(digest: string): { readonly type: string; readonly bytes: Buffer } {
  const bundle = signedBundle({ digest, repository: `${host}/team/filter`, annotations: {} }, signer);
  const layer = keep(bundle, "application/vnd.dev.sigstore.bundle.v0.3+json");
  const config = keep(Buffer.from("{}"), OCI_EMPTY);
  const subject = { mediaType: OCI_MANIFEST, digest, size: contents.get(digest)?.bytes.length ?? 0 };
  const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers: [layer], subject };
  const manifests = [keep(Buffer.from(JSON.stringify(manifest)), OCI_MANIFEST)];
  const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
  return { type: OCI_INDEX, bytes: Buffer.from(JSON.stringify(index)) };
}

function keep(bytes: Buffer, mediaType: string) {
  const digest = digestOf(bytes);
  contents.set(digest, { type: mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}

function ruleByKey(): Rule {
  return {
    policy: "WasmPolicy/build",
    mode: "Enforce",
    onRegistryError: "Deny",
    requireDigest: false,
    allowedTagPattern: "",
    module: { formats: [], maxBytes: null },
    minimum: 1,
    authorities: [
      {
        kind: "key",
        name: "build",
        formats: ["sigstoreBundle"],
        identity: "MatchRepository",
        annotations: {},
        pem: publicKey.export({ type: "spki", format: "pem" }).toString(),
        hash: null,
      },
    ],
    source: null,
    attestations: [],
  };
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
    trust: { rules: ["WasmPolicy/build"], deferred: false },
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
    rules: [ruleByKey()],
    pullSecrets: null,
    fetcher: { image: "", imagePullPolicy: "IfNotPresent", resources: {}, volumeSize: "1Mi" },
  };
}
