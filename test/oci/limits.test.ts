import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { RegistryClient } from "../../src/oci/client.ts";
import { hexOf } from "../../src/oci/digest.ts";
import { fetchModule } from "../../src/oci/fetch-module.ts";
import type { FetchLimits } from "../../src/oci/limits.ts";
import { OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { collectEvidence, SIGNATURE_ANNOTATION, SIMPLE_SIGNING } from "../../src/trust/collection.ts";
import { descriptorOf, MODULE, manifestBytes } from "./images.ts";
import { MemorySink } from "./memory.ts";
import { coded, collect, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";
import { rawTar } from "./tars.ts";

const REPOSITORY = "team/filter";
const CONFIG = Buffer.from("{}");
const LAYER = gzipSync(rawTar({ content: MODULE }, { name: "zeros", content: Buffer.alloc(4 * 1024 * 1024) }));
const IMAGE = manifestBytes({ layers: [MODULE, LAYER].map(layer => descriptorOf(layer, OCI_LAYER_GZIP)) });
const INDEX = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: Array(2).fill(descriptorOf(IMAGE, OCI_MANIFEST)),
  }),
);
const BUNDLE = Buffer.alloc(100, "b");
const PAYLOADS = [Buffer.alloc(20, "p"), Buffer.alloc(30, "p")];
const subject = descriptorOf(IMAGE, OCI_MANIFEST);
const REFERRERS = [
  manifestBytes({ subject, layers: [descriptorOf(BUNDLE, "application/vnd.dev.sigstore.bundle.v0.3+json")] }),
  manifestBytes({ subject }),
];
const PAGES = REFERRERS.map(referrer =>
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [descriptorOf(referrer, OCI_MANIFEST)] }),
);
const SIGNATURES = manifestBytes({
  layers: PAYLOADS.map(payload => ({
    ...descriptorOf(payload, SIMPLE_SIGNING),
    annotations: { [SIGNATURE_ANNOTATION]: "AAAA" },
  })),
});
const TOKEN = '{"token":"good"}';
const ERROR = '{"errors":[{"code":"NAME_UNKNOWN"}]}';

const digestOf = (bytes: Buffer) => descriptorOf(bytes, "").digest;
const DIGEST = digestOf(IMAGE);
const MANIFESTS = new Map([
  ...[IMAGE, INDEX, ...REFERRERS].map(bytes => [digestOf(bytes), bytes] as const),
  [`sha256-${hexOf(DIGEST)}.sig`, SIGNATURES],
]);
const BLOBS = new Map([CONFIG, MODULE, LAYER, BUNDLE, ...PAYLOADS].map(bytes => [digestOf(bytes), bytes] as const));

/** A registry that wants a token, moves its blobs twice, and pages its referrers one by one. */
const registry: Script = (request, response) => {
  const { url = "", headers } = request;
  const [path = "", query] = url.split("?");
  const item = path.split("/").at(-1) ?? "";
  if (path === "/token") return void response.end(TOKEN);
  if (headers.authorization === undefined) {
    const challenge = `Bearer realm="http://${headers.host}/token"`;
    return void response.writeHead(401, { "www-authenticate": challenge }).end();
  }
  if (path.includes("/blobs/") && query !== "moved-again") {
    const location = `${path}?${query === undefined ? "moved" : "moved-again"}`;
    return void response.writeHead(307, { location }).end();
  }
  if (path.includes("/referrers/")) {
    const link = query ? {} : { link: `<${path}?page=2>; rel="next"` };
    return void response.writeHead(200, { "content-type": OCI_INDEX, ...link }).end(PAGES[query ? 1 : 0]);
  }
  const found = MANIFESTS.get(item) ?? BLOBS.get(item);
  if (found === undefined) return void response.writeHead(404).end(ERROR);
  const type = item === digestOf(INDEX) ? OCI_INDEX : OCI_MANIFEST;
  response.writeHead(200, { "content-type": type }).end(found);
};

type Act = (client: RegistryClient, address: string) => Promise<unknown>;

const manifest =
  (digestOrTag: string): Act =>
  (client, address) =>
    client.manifest(address, REPOSITORY, digestOrTag);
const blob: Act = (client, address) => collect(client.blob(address, REPOSITORY, descriptorOf(MODULE, "")));
const module: Act = (client, address) =>
  fetchModule(client, { registry: address, repository: REPOSITORY, digest: DIGEST }, new MemorySink());
const failure: Act = (client, address) => assert.rejects(manifest("none")(client, address), coded("NotFound", /NAME_/));
const pair: Act = (client, address) => Promise.all([1, 2].map(() => manifest("together")(client, address)));
const evidence: Act = async (client, address) => {
  const never = new AbortController().signal;
  const { faults } = await collectEvidence(client, { registry: address, repository: REPOSITORY }, [DIGEST], never);
  assert.equal(faults.join("\n"), "");
};

describe("what is read from a registry", () => {
  const stage = new Stage();
  afterEach(() => stage.clear());

  /** The registry, which answers requests for "together" when two of them are there, and refuses one that stays alone. */
  function serve(): Promise<ScriptedServer> {
    let first: ServerResponse | null = null;
    const answer = (response: ServerResponse) => response.writeHead(200, { "content-type": OCI_MANIFEST }).end(IMAGE);
    return stage.serve((request, response, body) => {
      const isOther = !request.url?.endsWith("/manifests/together") || request.headers.authorization === undefined;
      if (isOther) return registry(request, response, body);
      if (first !== null) {
        for (const one of [first, response]) answer(one);
        return;
      }
      first = response;
      setTimeout(() => response.writableEnded || response.writeHead(400).end(), 200);
    });
  }

  const cases: Record<keyof FetchLimits, [enough: number, less: number, act: Act, says: RegExp]> = {
    moduleBytes: [MODULE.length, MODULE.length - 1, blob, /has 8 bytes, 7 are allowed/],
    manifestBytes: [IMAGE.length, IMAGE.length - 1, manifest(DIGEST), /the manifest has more than/],
    layers: [2, 1, manifest(DIGEST), /more than 1 layers/],
    indexEntries: [2, 1, manifest(digestOf(INDEX)), /more than 1 manifests/],
    unpackRatio: [1024, 100, module, /more than 100 times its size/],
    signatureManifestBytes: [SIGNATURES.length, SIGNATURES.length - 1, evidence, /a manifest of signatures has/],
    signatures: [2, 1, evidence, /has 2 signatures, 1 are allowed/],
    referrers: [2, 1, evidence, /more than the 1 referrers allowed/],
    referrerPages: [2, 1, evidence, /more than the 1 pages allowed/],
    bundleBytes: [100, 99, evidence, /has 100 bytes, 99 are allowed/],
    payloadBytes: [30, 29, evidence, /has 30 bytes, 29 are allowed/],
    tokenBytes: [TOKEN.length, TOKEN.length - 1, manifest(DIGEST), /the token has more than the 15 bytes/],
    // What is cut off is not understood.
    errorBytes: [ERROR.length, ERROR.length - 1, failure, /unexpected message: .*nothing by this name \(404\)$/],
    redirects: [2, 1, blob, /more than 1 redirects/],
    connections: [2, 1, pair, /refuses the request/],
  };
  for (const [limit, [enough, less, act, says]] of Object.entries(cases)) {
    it(`is held to ${limit}`, async () => {
      const attempt = async (value: number) => {
        const server = await serve();
        return act(stage.client([server], { limits: { [limit]: value } }), server.address);
      };
      await attempt(enough);
      await assert.rejects(attempt(less), says);
    });
  }
});
