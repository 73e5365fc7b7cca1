import assert from "node:assert/strict";
import { digestOf } from "../../src/oci/digest.ts";
import { OCI_EMPTY, OCI_INDEX, OCI_MANIFEST } from "../../src/oci/media-types.ts";
import type { MirrorSettings } from "../../src/oci/mirror.ts";
import type { RegistryClientOptions } from "../../src/oci/options.ts";
import { parseReference } from "../../src/oci/reference.ts";
import { coded, collect, type Script, type ScriptedServer, Stage } from "./scripted-server.ts";

const EMPTY = { mediaType: OCI_EMPTY, digest: digestOf(Buffer.from("{}")), size: 2 };
const MANIFEST = Buffer.from(
  JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: EMPTY, layers: [EMPTY] }),
);
const DIGEST = digestOf(MANIFEST);
const MOVED = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, config: EMPTY, layers: [] }));
const BLOB = Buffer.from("a blob of some bytes");
const DESCRIPTOR = { mediaType: "application/wasm", digest: digestOf(BLOB), size: BLOB.length };

/** A registry that has one manifest under every name, and one blob. */
const having =
  (manifest: Buffer, blob = BLOB): Script =>
  (request, response) => {
    const { url = "" } = request;
    if (url.includes("/tags/list"))
      return void response.writeHead(200).end(JSON.stringify({ tags: [`${blob.length}`] }));
    if (url.includes("/referrers/")) {
      response.writeHead(200, { "content-type": OCI_INDEX });
      return void response.end(JSON.stringify({ schemaVersion: 2, manifests: [] }));
    }
    const body = url.includes("/blobs/") ? blob : manifest;
    response.writeHead(200, { "content-type": url.includes("/blobs/") ? "text/plain" : OCI_MANIFEST });
    response.end(request.method === "HEAD" ? undefined : body);
  };
const failing =
  (status: number): Script =>
  (_request, response) =>
    void response.writeHead(status).end();

describe("mirrors of a registry", () => {
  const stage = new Stage();
  afterEach(() => stage.clear());

  function client(
    origin: ScriptedServer,
    mirrors: readonly ScriptedServer[],
    settings: Partial<MirrorSettings> = {},
    options: RegistryClientOptions = {},
  ) {
    const registries = [
      {
        host: origin.address,
        plainHttp: true,
        mirrors: mirrors.map(({ address }) => ({ host: address, ...settings })),
      },
      ...mirrors.map(({ address }) => ({ host: address, plainHttp: true })),
    ];
    return stage.client([], { registries, privateAddresses: "Deny", retry: { attempts: 1 }, ...options });
  }

  it("are asked in their order before the registry, which isn't asked at all where one has it", async () => {
    const [first, second, origin] = [
      await stage.serve(failing(404)),
      await stage.serve(having(MANIFEST)),
      await stage.serve(having(MANIFEST)),
    ];
    const asking = client(origin, [first, second], { prefix: "proxy" });
    assert.equal((await asking.manifest(origin.address, "team/filter", DIGEST)).digest, DIGEST);
    assert.deepEqual(await collect(asking.blob(origin.address, "team/filter", DESCRIPTOR)), BLOB);
    assert.deepEqual([first.seen.length, second.seen.length, origin.seen.length], [2, 2, 0]);
    assert.equal(second.seen[0]?.url, `/v2/proxy/team/filter/manifests/${DIGEST}`);
  });

  for (const status of [401, 403, 404, 429, 500]) {
    it(`are passed over where they answer ${status}`, async () => {
      const [mirror, origin] = [await stage.serve(failing(status)), await stage.serve(having(MANIFEST))];
      const asking = client(origin, [mirror]);
      assert.equal((await asking.manifest(origin.address, "a", DIGEST)).digest, DIGEST);
      assert.deepEqual(await collect(asking.blob(origin.address, "a", DESCRIPTOR)), BLOB);
      assert.equal(mirror.seen.length, 2);
    });
  }

  it("are passed over where they are gone", async () => {
    const [mirror, origin] = [await stage.serve(failing(404)), await stage.serve(having(MANIFEST))];
    await mirror.close();
    assert.equal((await client(origin, [mirror]).manifest(origin.address, "a", DIGEST)).digest, DIGEST);
  });

  it("are believed nothing that the digest doesn't prove", async () => {
    const other = Buffer.from("A blob of some bytes");
    const [mirror, origin] = [await stage.serve(having(MOVED, other)), await stage.serve(having(MANIFEST))];
    const asking = client(origin, [mirror]);
    assert.equal((await asking.manifest(origin.address, "a", DIGEST)).digest, DIGEST);
    // Its bytes are out already when the hash tells.
    await assert.rejects(collect(asking.blob(origin.address, "a", DESCRIPTOR)), coded("DigestMismatch"));
  });

  it("are not asked what a tag means, nor for any list, unless they are believed", async () => {
    const [mirror, origin] = [await stage.serve(having(MOVED, Buffer.from("x"))), await stage.serve(having(MANIFEST))];
    const ask = async (settings: Partial<MirrorSettings>) => {
      const asking = client(origin, [mirror], settings);
      const reference = parseReference(`${origin.address}/a:v1`);
      return [
        (await asking.resolve(reference)).digest,
        (await asking.manifest(origin.address, "a", "v1")).digest,
        ...(await asking.tags(origin.address, "a")),
        (await asking.referrers(origin.address, "a", DIGEST)).length,
      ];
    };
    assert.deepEqual(await ask({}), [DIGEST, DIGEST, String(BLOB.length), 0]);
    assert.deepEqual(mirror.seen, []);
    assert.deepEqual(await ask({ resolveTags: true }), [digestOf(MOVED), digestOf(MOVED), "1", 0]);
    assert.equal(mirror.seen.length, 5);
  });

  it("get their own credentials and never the registry's", async () => {
    const locked =
      (user: string): Script =>
      (request, response, body) => {
        const expected = `Basic ${btoa(`${user}:secret`)}`;
        if (request.headers.authorization === expected) return having(MANIFEST)(request, response, body);
        response.writeHead(401, { "www-authenticate": "Basic realm=x" }).end();
      };
    const [mirror, stranger, origin] = [
      await stage.serve(locked("mirror")),
      await stage.serve(locked("origin")),
      await stage.serve(locked("origin")),
    ];
    const credentials = (registry: string) => {
      const names = new Map([
        [mirror.address, "mirror"],
        [origin.address, "origin"],
      ]);
      const username = names.get(registry);
      return username === undefined ? [] : [{ kind: "password", username, password: "secret" } as const];
    };
    await client(origin, [mirror], {}, { credentials }).manifest(origin.address, "a", DIGEST);
    assert.equal(origin.seen.length, 0);
    await client(origin, [stranger], {}, { credentials }).manifest(origin.address, "a", DIGEST);
    assert.ok(origin.seen.length > 0);
    assert.deepEqual(new Set(stranger.seen.map(({ authorization }) => authorization)), new Set([null]));
  });

  it("are continued by the next where a blob breaks off", async () => {
    const [mirror, origin] = [
      await stage.serve((_request, response) => {
        response.writeHead(200, { "content-length": String(BLOB.length) });
        response.write(BLOB.subarray(0, 7), () => response.destroy());
      }),
      await stage.serve(having(MANIFEST)),
    ];
    assert.deepEqual(await collect(client(origin, [mirror]).blob(origin.address, "a", DESCRIPTOR)), BLOB);
    assert.equal(origin.seen.length, 1);
  });

  it("may not use up the time that the registry needs", async () => {
    const [silent, origin] = [await stage.serve(() => {}), await stage.serve(having(MANIFEST))];
    const asking = client(origin, [silent], {}, { deadlineMs: 2000 });
    assert.equal((await asking.manifest(origin.address, "a", DIGEST)).digest, DIGEST);
  });

  it("stand in the message where all fail, and the registry's failure decides", async () => {
    const [mirror, origin] = [await stage.serve(failing(500)), await stage.serve(failing(404))];
    const asking = client(origin, [mirror]);
    const message = new RegExp(`${origin.address}/a.*404.*tried before: ${mirror.address}: Server`);
    await assert.rejects(asking.manifest(origin.address, "a", DIGEST), coded("NotFound", message));
    await assert.rejects(collect(asking.blob(origin.address, "a", DESCRIPTOR)), coded("NotFound", message));
  });

  it("get no pushes", async () => {
    const [mirror, origin] = [
      await stage.serve(having(MANIFEST)),
      await stage.serve((_request, response) => void response.writeHead(201).end()),
    ];
    await client(origin, [mirror]).pushManifest(origin.address, "a", "v1", {
      bytes: MANIFEST,
      mediaType: OCI_MANIFEST,
    });
    assert.deepEqual(mirror.seen, []);
  });
});
