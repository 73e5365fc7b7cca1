import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { RegistryClient } from "../../src/oci/client.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { type FetchedModule, fetchModule } from "../../src/oci/fetch-module.ts";
import {
  CNCF_CONFIG,
  CNCF_WASM,
  CONTENT_CONFIG,
  CONTENT_WASM,
  DOCKER_LAYER_GZIP,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_EMPTY,
  OCI_INDEX,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
  SOLO_CONFIG,
  SOLO_WASM,
} from "../../src/oci/media-types.ts";
import { blobOf } from "../../src/oci/push.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { checkModule } from "../../src/wasm/check.ts";
import { bytesSource } from "../../src/wasm/module-source.ts";
import { flipLastByte } from "../environment/corruption.ts";
import { type Registry, startRegistry } from "../environment/registry/registry.ts";
import { wholeFilter } from "../wasm/whole-filter.ts";
import { COMPONENT } from "./images.ts";
import { MemorySink } from "./memory.ts";
import { coded, Stage } from "./scripted-server.ts";
import { rawTar } from "./tars.ts";

/*
 * Images as the tools of the last years wrote them, built byte by byte, pushed to a registry and fetched from it. Each
 * test is named after what its image is; A rows are taken, R rows are refused.
 */

const FILTER = Buffer.from(wholeFilter);
const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
const UNKNOWN_CONFIG = "application/vnd.unknown.config.v1+json";
const MARKDOWN = "application/vnd.module.wasm.doc.v1+markdown";
const RUNTIME = Buffer.from('{"type":"envoy_proxy","abiVersion":"v0.2.1","config":{"root_ids":["one"]}}');
const TITLE = "org.opencontainers.image.title";

interface Part {
  readonly type: string;
  readonly bytes: Buffer;
  readonly title?: string;
}

interface Image {
  /** The manifest's mediaType; null leaves it out. Default: OCI's. */
  readonly type?: string | null;
  readonly config?: Part;
  readonly layers: readonly Part[];
  readonly artifactType?: string;
}

const part = (type: string, bytes: Buffer | string, title?: string): Part => ({
  type,
  bytes: Buffer.from(bytes),
  ...(title === undefined ? {} : { title }),
});
const tar = (name = "plugin.wasm", module: Buffer = FILTER) => rawTar({ name, content: module });
const gz = (name?: string, module?: Buffer) => gzipSync(tar(name, module));
const other = gzipSync(rawTar({ name: "etc/passwd", content: "root" }));
const cncfConfig = (os = "wasip1") =>
  part(CNCF_CONFIG, JSON.stringify({ architecture: "wasm", os, layerDigests: [digestOf(FILTER)], component: null }));

describe("images of every kind, between a registry and us", () => {
  let registry: Registry;
  let client: RegistryClient;
  let stage: Stage;
  let pushed = 0;

  before(async () => {
    stage = new Stage();
    registry = await startRegistry();
    client = new RegistryClient({
      registries: [{ host: registry.address, plainHttp: true }],
      limits: { moduleBytes: 4 * 1024 * 1024 },
    });
  });

  after(async () => {
    client.close();
    await stage.clear();
    await registry.close();
  });

  async function blob(repository: string, { type, bytes, title }: Part): Promise<Descriptor> {
    await client.pushBlob(registry.address, repository, blobOf(bytes));
    const annotations = title === undefined ? {} : { annotations: { [TITLE]: title } };
    return { mediaType: type, digest: digestOf(bytes), size: bytes.length, ...annotations };
  }

  async function manifest(repository: string, document: object, type: string, tag: string): Promise<Descriptor> {
    const bytes = Buffer.from(JSON.stringify(document));
    return client.pushManifest(registry.address, repository, tag, { bytes, mediaType: type });
  }

  /** Pushes an image, with a tag of its own. @returns reference and descriptor */
  async function push({ type, config, layers, artifactType }: Image) {
    pushed += 1;
    const repository = `team/filter-${pushed}`;
    const document = {
      schemaVersion: 2,
      ...(type === null ? {} : { mediaType: type ?? OCI_MANIFEST }),
      ...(artifactType === undefined ? {} : { artifactType }),
      config: await blob(repository, config ?? part(OCI_CONFIG, "{}")),
      layers: await Promise.all(layers.map(layer => blob(repository, layer))),
    };
    const descriptor = await manifest(repository, document, type ?? OCI_MANIFEST, "v1");
    return { repository, reference: `${registry.address}/${repository}:v1`, descriptor };
  }

  async function pushIndex(
    repository: string,
    entries: readonly (Descriptor & { readonly platform?: object })[],
    type = OCI_INDEX,
  ): Promise<string> {
    await manifest(repository, { schemaVersion: 2, mediaType: type, manifests: entries }, type, "index");
    return `${registry.address}/${repository}:index`;
  }

  /** What a pod's reference becomes: resolved, pinned, fetched. */
  async function fetched(reference: string, by: RegistryClient = client): Promise<FetchedModule & { bytes: Buffer }> {
    const { registry: host, repository, ...rest } = parseReference(reference);
    const { digest } = await by.resolve({ registry: host, repository, ...rest });
    const sink = new MemorySink();
    const module = await fetchModule(by, { registry: host, repository, digest }, sink);
    return { ...module, bytes: sink.bytes };
  }

  const taken: readonly (readonly [what: string, image: Image, layout: string, rootIds?: readonly string[]])[] = [
    [
      "A1 a docker manifest of one layer",
      { type: DOCKER_MANIFEST, config: part(DOCKER_CONFIG, "{}"), layers: [part(DOCKER_LAYER_GZIP, gz())] },
      "compat",
    ],
    [
      "A1 a docker manifest of two layers, the module in the last",
      {
        type: DOCKER_MANIFEST,
        config: part(DOCKER_CONFIG, "{}"),
        layers: [part(DOCKER_LAYER_GZIP, other), part(DOCKER_LAYER_GZIP, gz())],
      },
      "compat",
    ],
    ["A2 an OCI manifest of one layer", { layers: [part(OCI_LAYER_GZIP, gz())] }, "compat"],
    [
      "A2 an OCI manifest of two layers, the module in the last",
      { layers: [part(OCI_LAYER_GZIP, other), part(OCI_LAYER_GZIP, gz())] },
      "compat",
    ],
    ["A2 an OCI manifest, zstd", { layers: [part(OCI_LAYER_ZSTD, zstdCompressSync(tar()))] }, "compat"],
    [
      "A2 an OCI manifest, with runtime-config.json",
      {
        layers: [
          part(
            OCI_LAYER_GZIP,
            gzipSync(rawTar({ content: FILTER }, { name: "runtime-config.json", content: RUNTIME })),
          ),
        ],
      },
      "compat",
      ["one"],
    ],
    ["A3 ./plugin.wasm", { layers: [part(OCI_LAYER_GZIP, gz("./plugin.wasm"))] }, "compat"],
    ["A3 /plugin.wasm", { layers: [part(OCI_LAYER_GZIP, gz("/plugin.wasm"))] }, "compat"],
    ["A3 a nested plugin.wasm", { layers: [part(OCI_LAYER_GZIP, gz("opt/filters/plugin.wasm"))] }, "compat"],
    [
      "A4 solo oci, config first",
      {
        type: null,
        config: part(SOLO_CONFIG, RUNTIME),
        layers: [part(SOLO_CONFIG, RUNTIME, "runtime-config.json"), part(SOLO_WASM, FILTER, "filter.wasm")],
      },
      "solo-oci",
      ["one"],
    ],
    [
      "A4 solo oci, module first",
      { config: part(SOLO_CONFIG, RUNTIME), layers: [part(SOLO_WASM, FILTER), part(SOLO_CONFIG, RUNTIME)] },
      "solo-oci",
      ["one"],
    ],
    ["A5 a manifest without mediaType", { type: null, layers: [part(OCI_LAYER_GZIP, gz())] }, "compat"],
    [
      "A6 Higress, documents first",
      {
        config: part(UNKNOWN_CONFIG, "{}"),
        layers: [
          part("application/vnd.module.wasm.spec.v1+yaml", "apiVersion: 1.0.0", "spec.yaml"),
          part(MARKDOWN, "# doc", "README.md"),
          part(OCI_LAYER_GZIP, gz(), "plugin.tar.gz"),
        ],
      },
      "compat",
    ],
    [
      "A6 Higress, five layers",
      {
        config: part(UNKNOWN_CONFIG, "{}"),
        layers: [
          part("application/vnd.module.wasm.spec.v1+yaml", "apiVersion: 1.0.0", "spec.yaml"),
          part(MARKDOWN, "# doc", "README.md"),
          part("application/vnd.module.wasm.doc.v1.zh+markdown", "# zh", "README_ZH.md"),
          part("application/vnd.module.wasm.icon.v1+png", "png", "icon.png"),
          part(OCI_LAYER_GZIP, gz(), "plugin.tar.gz"),
        ],
      },
      "compat",
    ],
    ["A7 solo, one layer", { config: part(OCI_EMPTY, "{}"), layers: [part(SOLO_WASM, FILTER)] }, "solo-oci"],
    [
      "A8 solo, three layers",
      {
        config: part(SOLO_CONFIG, RUNTIME),
        layers: [part(SOLO_CONFIG, RUNTIME), part(MARKDOWN, "# doc"), part(SOLO_WASM, FILTER)],
      },
      "solo-oci",
      ["one"],
    ],
    [
      "A9 wasm-to-oci, Kubewarden",
      { type: null, config: part(CONTENT_CONFIG, "{}"), layers: [part(CONTENT_WASM, FILTER)] },
      "content",
    ],
    ["A10 CNCF v0, wasip1", { config: cncfConfig(), layers: [part(CNCF_WASM, FILTER, "f.wasm")] }, "cncf"],
    [
      "A10 CNCF v0 by its artifactType",
      { artifactType: CNCF_CONFIG, config: part(OCI_EMPTY, "{}"), layers: [part(CNCF_WASM, FILTER)] },
      "cncf",
    ],
    [
      "a plain oras push, which calls the file a tar",
      {
        artifactType: "application/vnd.unknown.artifact.v1",
        config: part(OCI_EMPTY, "{}"),
        layers: [part(OCI_LAYER, FILTER, "f.wasm")],
      },
      "titled",
    ],
    [
      "a titled layer of a type that nobody knows",
      { config: part(UNKNOWN_CONFIG, "{}"), layers: [part("application/x-thing", FILTER, "dir/f.wasm")] },
      "titled",
    ],
  ];
  for (const [what, image, layout, rootIds = []] of taken) {
    it(what, async () => {
      const { reference } = await push(image);
      const module = await fetched(reference);
      assert.ok(module.bytes.equals(FILTER));
      assert.deepEqual([module.layout, module.rootIds, module.indexBytes], [layout, rootIds, null]);
      assert.equal(`sha256:${module.moduleSha256}`, digestOf(FILTER));
    });
  }

  const compat: Image = { layers: [part(OCI_LAYER_GZIP, gz())] };
  const foreign: Image = { layers: [part(OCI_LAYER_GZIP, other)] };
  const attested = { platform: { os: "unknown", architecture: "unknown" } };
  const reference = { "vnd.docker.reference.type": "attestation-manifest" };

  it("A11 an index of docker buildx: linux/amd64 and its attestation", async () => {
    for (const type of [OCI_INDEX, DOCKER_LIST]) {
      const { repository, descriptor } = await push(compat);
      const attestation = await push({ layers: [part("application/vnd.in-toto+json", "{}")] });
      const index = await pushIndex(
        repository,
        [
          { ...descriptor, platform: { os: "linux", architecture: "amd64" } },
          { ...attestation.descriptor, ...attested, annotations: reference },
        ],
        type,
      );
      const module = await fetched(index);
      assert.ok(module.bytes.equals(FILTER));
      assert.equal(module.manifestDigest, descriptor.digest);
      assert.equal(
        digestOf(module.indexBytes ?? Buffer.alloc(0)),
        (await client.resolve(parseReference(index))).digest,
      );
    }
  });

  it("A11 an index with one image for wasm/wasip1 among others", async () => {
    const { repository, descriptor } = await push(compat);
    const { descriptor: wrong } = await push(foreign);
    const index = await pushIndex(repository, [
      { ...wrong, platform: { os: "linux", architecture: "amd64" } },
      { ...descriptor, platform: { os: "wasip1", architecture: "wasm" } },
    ]);
    assert.equal((await fetched(index)).manifestDigest, descriptor.digest);
  });

  it("A12 a digest, and a tag that says something else beside a digest", async () => {
    const { repository, descriptor } = await push(compat);
    const moved = {
      schemaVersion: 2,
      config: await blob(repository, part(OCI_CONFIG, "{}")),
      layers: [await blob(repository, part(OCI_LAYER_GZIP, other))],
    };
    await manifest(repository, moved, OCI_MANIFEST, "v1");
    for (const name of [`@${descriptor.digest}`, `:v1@${descriptor.digest}`, `:none@${descriptor.digest}`]) {
      const module = await fetched(`${registry.address}/${repository}${name}`);
      assert.deepEqual([module.manifestDigest, module.bytes.equals(FILTER)], [descriptor.digest, true]);
    }
  });

  it("A13 a blob that is elsewhere", async () => {
    const { repository, descriptor } = await push(compat);
    const front = await redirecting(`http://${registry.address}`);
    const { port } = front.address() as AddressInfo;
    const host = `127.0.0.1:${port}`;
    const both = new RegistryClient({
      registries: [host, registry.address].map(name => ({ host: name, plainHttp: true })),
    });
    try {
      const module = await fetched(`${host}/${repository}@${descriptor.digest}`, both);
      assert.ok(module.bytes.equals(FILTER));
    } finally {
      both.close();
      front.close();
      front.closeAllConnections();
    }
  });

  const refused: readonly (readonly [what: string, image: Image, code: string, message: RegExp])[] = [
    ["R1 no layers", { layers: [] }, "UnsupportedLayout", /the image has no layers; supported: /],
    [
      "R2 an uncompressed tar",
      { layers: [part(OCI_LAYER, tar())] },
      "UnsupportedLayout",
      /found application\/vnd\.oci\.image\.layer\.v1\.tar; supported: .*tar\+gzip/,
    ],
    [
      "R3 the empty layer",
      { config: part(OCI_EMPTY, "{}"), layers: [part(OCI_EMPTY, "{}")] },
      "UnsupportedLayout",
      /found application\/vnd\.oci\.empty\.v1\+json/,
    ],
    ["R4 a tar without plugin.wasm", { layers: [part(OCI_LAYER_GZIP, gz("filter.wasm"))] }, "BadArchive", /no entry/],
    [
      "R4 a tar with plugin.wasm in the first of two layers",
      { layers: [part(OCI_LAYER_GZIP, gz()), part(OCI_LAYER_GZIP, other)] },
      "BadArchive",
      /no entry named plugin\.wasm/,
    ],
    ["R6 bad magic", { layers: [part(CNCF_WASM, "\0asn\x01\0\0\0")] }, "NotAModule", /no Wasm/],
    [
      "R6 bad magic in a tar",
      { layers: [part(OCI_LAYER_GZIP, gz(undefined, Buffer.from("#!/bin/sh")))] },
      "NotAModule",
      /no Wasm/,
    ],
    ["R6 text under a module's title", { layers: [part(OCI_LAYER, "(module)", "f.wasm")] }, "NotAModule", /no Wasm/],
    ["R7 a component", { layers: [part(CNCF_WASM, COMPONENT)] }, "NotAModule", /a Wasm component, which Envoy can't/],
    [
      "R7 a component in a tar",
      { layers: [part(OCI_LAYER_GZIP, gz(undefined, COMPONENT))] },
      "NotAModule",
      /a Wasm component/,
    ],
    [
      "R9 CNCF with two layers",
      { config: cncfConfig(), layers: [part(CNCF_WASM, FILTER), part(CNCF_WASM, COMPONENT)] },
      "UnsupportedLayout",
      /exactly one layer, this image has 2/,
    ],
    [
      "R9 CNCF, wasip2",
      { config: cncfConfig("wasip2"), layers: [part(CNCF_WASM, FILTER)] },
      "UnsupportedLayout",
      /wasip2/,
    ],
    [
      "R10 a gzip bomb by its ratio",
      { layers: [part(OCI_LAYER_GZIP, gzipSync(Buffer.concat([tar(), Buffer.alloc(3 * 1024 * 1024)])))] },
      "BadArchive",
      /more than 20 times its size/,
    ],
    [
      "R10 a zstd bomb by its ratio",
      { layers: [part(OCI_LAYER_ZSTD, zstdCompressSync(Buffer.concat([tar(), Buffer.alloc(3 * 1024 * 1024)])))] },
      "BadArchive",
      /more than 20 times its size/,
    ],
    [
      "R10 a gzip bomb by its size",
      { layers: [part(OCI_LAYER_GZIP, gzipSync(rawTar({ content: FILTER }, { name: "x", content: noise(6) })))] },
      "TooLarge",
      /unpacks to more than/,
    ],
  ];
  for (const [what, image, code, message] of refused) {
    it(what, async () => {
      const { reference: name } = await push(image);
      await assert.rejects(fetched(name), coded(code, message));
    });
  }

  it("R5 a layer, a config and a manifest with a wrong checksum", async () => {
    const image = { config: cncfConfig(), layers: [part(CNCF_WASM, Buffer.concat([FILTER, Buffer.from([0, 1, 0])]))] };
    for (const which of ["layer", "config", "manifest"] as const) {
      const { reference: name, descriptor } = await push(image);
      const digest = {
        layer: digestOf(image.layers[0]?.bytes ?? Buffer.alloc(0)),
        config: digestOf(image.config.bytes),
        manifest: descriptor.digest,
      }[which];
      registry.corrupt(digest, flipLastByte);
      await assert.rejects(fetched(name), coded("DigestMismatch"), which);
      registry.corrupt(digest, flipLastByte);
      assert.ok(await fetched(name));
    }
  });

  it("R8 a module without or with an unknown ABI: fetched, and refused before Envoy sees it", async () => {
    const bare = Buffer.from("\0asm\x01\0\0\0", "latin1");
    const unknown = Buffer.from(FILTER.toString("latin1").replace("_0_2_1", "_9_9_9"), "latin1");
    assert.ok(!unknown.equals(FILTER));
    for (const module of [bare, unknown]) {
      const { reference: name } = await push({ layers: [part(CNCF_WASM, module)] });
      const { bytes } = await fetched(name);
      const { ok, abi, problems } = checkModule(bytesSource(bytes), { envoyVersion: "1.40" });
      assert.deepEqual([ok, abi], [false, null]);
      assert.match(problems.map(({ message }) => message).join("\n"), /\bABI\b/);
    }
    assert.ok(checkModule(bytesSource(FILTER), { envoyVersion: "1.40" }).ok);
  });

  it("R11 a blob, and a token, at the metadata address", async () => {
    const targets = ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]"];
    for (const target of targets) {
      const away = await stage.serve((_request, response) =>
        response.writeHead(307, { location: `http://${target}/latest/meta-data/` }).end(),
      );
      const realm = await stage.serve((_request, response) =>
        response.writeHead(401, { "www-authenticate": `Bearer realm="https://${target}/token"` }).end(),
      );
      for (const [server, code] of [
        [away, "ForbiddenAddress"],
        [realm, "BadChallenge"],
      ] as const) {
        const eager = stage.client([server, { address: target }]);
        const reference = `${server.address}/team/filter@${digestOf(FILTER)}`;
        await assert.rejects(fetched(reference, eager), coded(code), target);
        assert.equal(server.seen.length, 1);
      }
    }
  });
});

/** Mebibytes of zeros and ones without a pattern, the same each time: they compress to a tenth or so. */
function noise(mebibytes: number): Buffer {
  const bytes = Buffer.alloc(mebibytes * 1024 * 1024);
  let state = 1;
  for (let at = 0; at < bytes.length; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 31;
  }
  return bytes;
}

/** A registry that serves manifests and sends everyone who wants blobs to another one. */
async function redirecting(origin: string): Promise<Server> {
  const server = createServer(async (request, response) => {
    const target = new URL(request.url ?? "/", origin);
    if (target.pathname.includes("/blobs/")) {
      response.writeHead(307, { location: target.href }).end();
      return;
    }
    const answer = await fetch(target, { method: request.method ?? "GET" });
    const body = Buffer.from(await answer.arrayBuffer());
    response.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "" }).end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}
